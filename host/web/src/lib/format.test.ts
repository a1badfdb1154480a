import assert from "node:assert/strict";
import { test } from "node:test";
import * as format from "./format.ts";

const plain = (text: string) => text.replaceAll("\u202f", " ");

test("numbers are short", () => {
  for (const [value, want] of [[0, "0"], [0.5, "0.5"], [98.0099, "98"], [98.25, "98.3"], [1234, "1234"], [12_345, "12.3 k"], [999_960, "1 M"], [-2_500_000, "-2.5 M"], [0.0123, "0.0123"], [0.00001, "1.00e-5"], [NaN, "–"], [Infinity, "–"]] as const) {
    assert.equal(plain(format.short(value)), want);
  }
  assert.equal(plain(format.exact(1234567.5)), "1 234 568");
});

test("units say what a number is", () => {
  for (const [value, units, want] of [[2048, "bytes", "2 KiB"], [1023, "Bytes", "1023 B"], [1_048_000, "bytes/sec", "1023 KiB/s"], [0.0123, "seconds", "12.3 ms"], [1500, "ms", "1.5 s"], [12.34, "%", "12.3 %"], [5, "requests", "5 requests"], [5, "", "5"]] as const) {
    assert.equal(plain(format.withUnits(value, units)), want);
  }
});

test("times are told in two units at most", () => {
  for (const [seconds, want] of [[0, "0 s"], [0.000002, "2 µs"], [59.5, "59.5 s"], [60, "1 min"], [200, "3 min 20 s"], [187_200, "2 d 4 h"], [-90, "-1 min 30 s"]] as const) {
    assert.equal(plain(format.duration(seconds)), want);
  }
  assert.equal(plain(format.ago(1000, 13_000)), "12 s ago");
  assert.equal(format.ago(1000, 1200), "now");
});

test("a long text is cut between characters", () => {
  assert.equal(format.cut("abc", 3), "abc");
  assert.equal(format.cut("🦀🦀🦀", 2), "🦀…");
  assert.equal(format.cut("x".repeat(10_000), 10), "xxxxxxxxx…");
});
