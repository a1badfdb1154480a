import assert from "node:assert/strict";
import { test } from "node:test";
import { before, chartOf, FROM, read, spanOf, timeOf, written } from "./state.ts";

test("what is written is read again, whatever the keys are", () => {
  const state = {
    from: "-30d", to: "1767571200", zoom: [1_767_000_000, 1_767_100_000] as [number, number], step: "1h",
    charts: [
      { keys: ["cpu,,idle", "a%2Cb,<script>,ערך,👩‍👩‍👧", "chart=x&from=-1h"], style: "stacked" as const, log: true, as: "p50,p99", units: "µs & more", compare: "-7d", colours: [3, 1] },
      { ...chartOf(["cpu,*,user"]), compare: "cpu,h2,user" },
    ],
  };
  assert.deepEqual(read(written(state)), state);
});

test("nothing said is the last year, and needs no words", () => {
  const state = read("");
  assert.deepEqual(state, { from: FROM, to: "now", zoom: null, step: "", charts: [] });
  assert.equal(written(state), "");
});

test("a link that is written by hand needs no chart", () => {
  assert.deepEqual(read("?key-load,,one&key=cpu,,idle&from=-1d").charts, [chartOf(["load,,one", "cpu,,idle"])]);
  assert.equal(read("?key-load,,one&from=-1d").from, "-1d");
});

test("what is wrong is left out", () => {
  const state = read("?from=yesterday&zoom=5..3&zoom=x..y&chart=pie&key-a&colours=9,-1,x&%E0%A4%A&chart=line&as=rate");
  assert.deepEqual(state, { from: FROM, to: "now", zoom: null, step: "", charts: [{ ...chartOf(["a"]), colours: [1, 1, 0] }] });
  assert.equal(read(`?${"chart=line&key-a&".repeat(100)}`).charts.length, 24);
});

test("times are those of the trend", () => {
  assert.equal(before("-1.5h"), 5400);
  for (const text of ["1h", "-", "-h", "-0s", "-7y", "cpu,h1"]) assert.equal(before(text), null, text);
  assert.equal(timeOf("-1d", 100_000), 13_600);
  assert.equal(timeOf("2026-01-05", 0), 1_767_571_200);
  assert.equal(timeOf("2026-01-05T00:00:00+01:00", 0), 1_767_567_600);
  assert.equal(timeOf("2026-01-05T00:00", 0), 1_767_571_200);
  assert.equal(timeOf("soon", 0), null);
  // No calendar goes back so far, and a page that shows it would fall over it.
  assert.equal(timeOf("-999999999w", 0), null);
  assert.equal(read("?from=-999999999w").from, FROM);
  assert.deepEqual(spanOf(read("?from=-99999d"), 1_000_000_000), [0, 1_000_000_000]);
  assert.deepEqual(read("?key-").charts, []);
  assert.deepEqual(spanOf(read("?from=200&to=100"), 365 * 86_400), [0, 365 * 86_400]);
});
