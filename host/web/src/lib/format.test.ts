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

test("figures that are huge, none, or next to nothing are as short as others", () => {
  for (const [value, want] of [[9_999.7, "10 k"], [1e300, "1.00e+300"], [-1e21, "-1.00e+21"], [-0, "0"]] as const) assert.equal(plain(format.short(value)), want);
  for (const [value, want] of [[-0, "0"], [1e-9, "1e-9"], [0.1 + 0.2 - 0.3, "5.55112e-17"], [-0.00002, "-0.00002"], [1e300, "1e+300"], [NaN, "–"]] as const) assert.equal(plain(format.exact(value)), want);
  for (const [value, units, want] of [
    [NaN, "bytes", "–"], [1e300, "bytes", "1.00e+300 B"], [NaN, "s", "–"], [1e300, "s", "1.16e+295 d"], [1e9, "s", "11.6 k d"], [1e300, "%", "1.00e+300 %"], [-0, "bytes", "0 B"],
  ] as const) assert.equal(plain(format.withUnits(value, units)), want);
  assert.deepEqual(format.tickTexts([-0.1, -1e-17, 0.1], "", 0.1), ["-0.1", "0", "0.1"]);
});

test("a moment has its zone, and a stretch over a change of the clock both", () => {
  const zone = process.env["TZ"];
  try {
    process.env["TZ"] = "Europe/Zurich";
    assert.equal(format.zoned(Date.UTC(2026, 0, 5, 12)), "2026-01-05 13:00 UTC+1");
    assert.equal(format.between(Date.UTC(2026, 0, 5), Date.UTC(2026, 0, 6)), "2026-01-05 01:00 – 2026-01-06 01:00 UTC+1");
    assert.equal(format.between(Date.UTC(2026, 2, 1), Date.UTC(2026, 3, 1)), "2026-03-01 01:00 UTC+1 – 2026-04-01 02:00 UTC+2");
    process.env["TZ"] = "America/St_Johns";
    assert.equal(format.zone(Date.UTC(2026, 0, 5)), "UTC-3:30");
    process.env["TZ"] = "UTC";
    assert.equal(format.moment(1000, true), "1970-01-01 00:00:01");
    assert.equal(format.zone(0), "UTC");
  } finally {
    if (zone === undefined) delete process.env["TZ"];
    else process.env["TZ"] = zone;
  }
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

test("ticks of an axis are told apart, in one size", () => {
  for (const [ticks, units, apart, want] of [
    [[0, 0.5, 1], "", 0.5, "0|0.5|1"],
    [[1000.2, 1000.4, 1000.6], "", 0.2, "1000.2|1000.4|1000.6"],
    [[1_230_000, 1_235_000], "", 5000, "1.23 M|1.235 M"],
    [[0, 5000, 10_000], "", 5000, "0|5 k|10 k"],
    [[100, 100.25, 100.5], "%", 0.25, "100 %|100.25 %|100.5 %"],
    [[0, 0.00001], "", 0.00001, "0|0.00001"],
    [[0, 1e-12], "", 1e-12, "0|1.00e-12"],
    [[200e6, 400e6], "bytes", 200e6, "191 MiB|381 MiB"],
    [[1000e6, 1200e6], "bytes/sec", 200e6, "0.93 GiB/s|1.12 GiB/s"],
    [[0.01, 0.0125], "seconds", 0.0025, "10 ms|12.5 ms"],
    [[60, 90], "s", 30, "1 min|1 min 30 s"],
    [[3600.5, 3601], "s", 0.5, "3600.5 s|3601 s"],
    [[12, null], "requests", 2, "12 requests|"],
    [[-4, -2, 0], "", 2, "-4|-2|0"],
  ] as Array<[Array<number | null>, string, number, string]>) {
    assert.equal(format.tickTexts(ticks, units, apart).map(plain).join("|"), want);
  }
});

test("a name that turns others round is seen to be one", () => {
  assert.equal(format.cut("\u202egnp.exe", 60), "\ufffdgnp.exe");
  assert.equal(format.cut(`${"x".repeat(30)}\u2066`, 10), "xxxxxxxxx…");
  assert.equal(format.cut("مرحبا بالعالم", 60), "مرحبا بالعالم", "what is written from the right is no such name");
});
