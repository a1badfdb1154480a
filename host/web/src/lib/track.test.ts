import assert from "node:assert/strict";
import { test } from "node:test";
import type { Value } from "./api.ts";
import type { Frame } from "./live.ts";
import { kindOf, own, Track } from "./track.ts";

const frame = (tick: number, value: Value, more: Partial<Frame> = {}): Frame =>
  ({ tick, at: tick * 1000, changes: new Map([["a", value]]), whole: false, gap: 0, spread: false, ...more });

test("what a value is", () => {
  assert.equal(kindOf(1, false), "number");
  assert.equal(kindOf(1, true), "counter");
  assert.equal(kindOf({ "": 1, b: 2 }, true), "counter");
  assert.equal(kindOf("1.0", false), "text");
  assert.equal(kindOf({ "": { distinct: 3 } }, false), "distinct");
  assert.equal(kindOf({ "": { count: 1, p50: 2 } }, false), "quantiles");
  assert.equal(kindOf({ b: 2 }, false), null);
  assert.equal(kindOf(null, false), null);
  assert.equal(own({ "": 7, b: 1 }), 7);
});

test("a counter is drawn as what it grows a second", () => {
  const track = new Track("a", "counter", 1, 600);
  track.take(frame(10, 100, { whole: true }));
  track.take(frame(11, 105));
  // Nothing for three ticks, then ten at once: all of them in that tick.
  track.take(frame(15, 115));
  assert.deepEqual(track.times, [11, 14, 15]);
  assert.deepEqual(track.columns[0], [5, 0, 10]);
  // The first of a new stream may hold several ticks.
  track.take(frame(20, 125, { spread: true }));
  assert.deepEqual(track.columns[0]?.at(-1), 2);
  // What is told once more is no gap, and no growth.
  track.take(frame(20, 125, { whole: true }));
  assert.deepEqual(track.columns[0]?.at(-1), 2);
  // One that is less than before began anew.
  track.take(frame(21, 3));
  assert.deepEqual(track.columns[0]?.at(-1), null);
});

test("what does not change is held, a counter at nothing", () => {
  const [gauge, counter] = [new Track("a", "number", 1, 600), new Track("a", "counter", 1, 600)];
  for (const track of [gauge, counter]) {
    track.take(frame(10, 7, { whole: true }));
    track.hold(10.5);
    track.hold(12);
  }
  assert.deepEqual([gauge.times, gauge.columns[0]], [[10, 12], [7, 7]]);
  assert.deepEqual(counter.columns[0], [0, 0]);
});

test("a break is a gap until history fills it", () => {
  const track = new Track("a", "number", 1, 600);
  track.take(frame(10, 1, { whole: true }));
  track.take(frame(11, 2));
  track.take(frame(40, 3, { whole: true, gap: 29_000 }));
  assert.deepEqual([track.times, track.columns[0], track.missed], [[10, 11, 12, 40], [1, 2, null, 3], [11, 40]]);
  track.fill(11, 40, [5, 15, 25, 35, 45], [[9, 8, 7, 6, 5]]);
  assert.deepEqual([track.times, track.columns[0]], [[10, 11, 15, 25, 35, 40], [1, 2, 8, 7, 6, 3]]);
});

test("sketches are told of the last minute", () => {
  const track = new Track("a", "quantiles", 1, 600);
  track.take(frame(10, { "": { count: 9, p50: 1, p90: 2, p99: 3, last_minute: { count: 2, p50: 4, p90: 5, p99: 6 } } } as Value));
  track.take(frame(11, { "": { count: 9, p50: 1, last_minute: { count: 0 } } } as Value));
  assert.deepEqual(track.columns, [[6, null], [5, null], [4, null]]);
});

test("texts are told by their changes", () => {
  const track = new Track("a", "text", 1, 600);
  for (const [tick, text] of [[10, "x"], [11, "x"], [12, "y"]] as const) track.take(frame(tick, text));
  assert.deepEqual(track.texts, [{ at: 10, text: "x" }, { at: 12, text: "y" }]);
  track.begin([{ at: 3, text: "w" }, { at: 5, text: "x" }, { at: 12, text: "y" }]);
  assert.deepEqual(track.texts, [{ at: 3, text: "w" }, { at: 5, text: "x" }, { at: 12, text: "y" }]);
});

test("it keeps no more than it is to keep", () => {
  const track = new Track("a", "number", 1, 100);
  for (let tick = 1; tick < 5000; tick += 1) track.take(frame(tick, tick));
  assert.ok(track.times.length <= 111 && track.columns[0]?.length === track.times.length);
  assert.equal(track.columns[0]?.at(-1), 4999);
});
