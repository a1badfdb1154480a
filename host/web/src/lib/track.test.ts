import assert from "node:assert/strict";
import { test } from "node:test";
import type { Value } from "./api.ts";
import type { Frame } from "./live.ts";
import { together } from "./together.ts";
import { kindOf, own, Track, unitOf } from "./track.ts";

const frame = (tick: number, value: Value, more: Partial<Frame> = {}): Frame =>
  ({ tick, at: tick * 1000, changes: new Map([["a", value]]), whole: false, gap: 0, after: tick - 1, every: 0, ...more });

test("what a value is", () => {
  assert.equal(kindOf(1, false), "number");
  assert.equal(kindOf(1, true), "counter");
  assert.equal(kindOf({ "": 1, b: 2 }, true), "counter");
  assert.equal(kindOf("1.0", false), "text");
  assert.equal(kindOf({ "": { distinct: 3 } }, false), "distinct");
  assert.equal(kindOf({ "": { count: 1, p50: 2 } }, false), "quantiles");
  assert.equal(kindOf({ b: 2 }, false), null);
  assert.equal(kindOf({ p50: 12, p99: 40 }, false), null);
  assert.equal(kindOf({ distinct: 3 }, false), null);
  assert.equal(kindOf(null, false), null);
  assert.equal(own({ "": 7, b: 1 }), 7);
});

test("a counter is drawn as what it grows a second", () => {
  const track = new Track("a", "counter", 1, 600);
  track.take(frame(9, 90, { whole: true }));
  track.take(frame(10, 100));
  track.take(frame(11, 105));
  // Nothing for three ticks, then ten at once: all of them in that tick.
  track.take(frame(15, 115));
  assert.deepEqual(track.times, [11, 12, 14, 15]);
  assert.deepEqual(track.columns[0], [5, 0, 0, 10]);
  // The first of a new stream may hold several ticks.
  track.take(frame(20, 125, { after: 15 }));
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
  assert.deepEqual([counter.times, counter.columns[0]], [[12], [0]]);
  // It is but assumed: the last of it moves along, and is there no more when something comes.
  gauge.hold(20);
  assert.deepEqual(gauge.times, [10, 20]);
  gauge.take(frame(21, 9));
  assert.deepEqual([gauge.times, gauge.columns[0]], [[10, 20, 21], [7, 7, 9]]);
});

test("an event that is late is no time without growth", () => {
  const track = new Track("a", "counter", 1, 600);
  track.take(frame(9, 90, { whole: true }));
  track.take(frame(10, 100));
  for (const [tick, at] of [[11, 11], [12, 12.45], [13, 13], [14, 14.8], [15, 15]] as const) {
    track.hold(at - 0.05);
    track.take(frame(tick, tick * 10, { at: at * 1000 }));
  }
  assert.deepEqual(track.columns[0]?.slice(1), [10, 10, 10, 10]);
});

test("what a counter grew after a long silence came in the tick that tells it", () => {
  const track = new Track("a", "counter", 1, 600);
  track.take(frame(9, 90, { whole: true }));
  track.take(frame(10, 100));
  track.take(frame(11, 101));
  for (let at = 12; at < 40; at += 0.25) track.hold(at);
  track.take(frame(41, 131));
  assert.deepEqual([track.times, track.columns[0]], [[11, 12, 40, 41], [1, 0, 0, 30]]);
  // One event for three ticks has what it grew in all of them.
  track.take(frame(44, 137, { after: 41 }));
  assert.deepEqual(track.columns[0]?.at(-1), 2);
});

test("what was assumed after the last that was heard is none: history fills it", () => {
  const [gauge, counter] = [new Track("a", "number", 1, 600), new Track("a", "counter", 1, 600)];
  for (const track of [gauge, counter]) {
    track.take(frame(9, 7, { whole: true }));
    track.take(frame(10, 7));
    track.take(frame(11, 8));
    // Heard of until 15; the connection was dead then, and was found to be so at 55.
    for (let at = 12; at < 55; at += 1) track.hold(at);
    track.lose(55);
    track.lose(56);
    // The page draws once more before it is told.
    track.hold(59.9);
    track.take(frame(60, 9, { whole: true, gap: 45_000 }));
    assert.deepEqual(track.missed, [15, 60]);
    track.fill(15, 60, [20, 40], [[5, 6]]);
  }
  assert.deepEqual([gauge.times, gauge.columns[0]], [[9, 10, 11, 15, 20, 40, 60], [7, 7, 8, 8, 5, 6, 9]]);
  assert.deepEqual([counter.times, counter.columns[0]], [[11, 15, 20, 40, 60], [1, 0, 5, 6, null]]);
  // When history has all of it, the counter goes on with what it grows next: no hole is left.
  counter.fill(15, 60, [20, 40, 58], [[5, 6, 7]], true);
  assert.deepEqual([counter.times, counter.columns[0]], [[11, 15, 20, 40, 58], [1, 0, 5, 6, 7]]);
  counter.take(frame(61, 12));
  counter.take(frame(62, 15));
  assert.deepEqual([counter.times.at(-1), counter.columns[0]?.at(-1)], [62, 3]);
});

test("after a long break no more is asked for than is kept", () => {
  const track = new Track("a", "number", 1, 600);
  track.take(frame(10, 1, { whole: true }));
  track.take(frame(900_000, 2, { whole: true, gap: 899_990_000 }));
  assert.deepEqual(track.missed, [899_400, 900_000]);
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

test("a break that has no step of history in it is drawn across, once history is whole", () => {
  for (const kind of ["number", "counter"] as const) {
    const track = new Track("a", kind, 1, 600);
    track.take(frame(9, 1, { whole: true }));
    track.take(frame(10, 1));
    track.take(frame(11, 2));
    track.take(frame(18, 3, { whole: true, gap: 7_000 }));
    const [from, to] = track.missed ?? [0, 0];
    track.fill(from, to, [5, 25], [[7, 7]]);
    assert.ok(track.columns[0]?.includes(null), kind);
    // A history that has nothing at all says nothing.
    track.fill(from, to, [], [], true);
    assert.ok(track.columns[0]?.includes(null), kind);
    track.fill(from, to, [5, 25], [[7, 7]], true);
    assert.ok(!track.columns[0]?.includes(null), kind);
  }
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
  track.tell([{ at: 3, text: "w" }, { at: 5, text: "x" }, { at: 12, text: "y" }], 10);
  assert.deepEqual(track.texts, [{ at: 3, text: "w" }, { at: 5, text: "x" }, { at: 12, text: "y" }]);
  // What was told while nobody listened is told by history.
  track.take(frame(60, "b", { whole: true, gap: 40_000 }));
  assert.deepEqual(track.missed, [20, 60]);
  track.tell([{ at: 20, text: "y" }, { at: 30, text: "a" }, { at: 50, text: "b" }], 60);
  assert.deepEqual(track.texts.slice(2), [{ at: 12, text: "y" }, { at: 30, text: "a" }, { at: 50, text: "b" }]);
});

test("it keeps no more than it is to keep", () => {
  const track = new Track("a", "number", 1, 100);
  for (let tick = 1; tick < 5000; tick += 1) track.take(frame(tick, tick));
  assert.ok(track.times.length <= 112 && track.columns[0]?.length === track.times.length);
  assert.equal(track.columns[0]?.at(-1), 4999);
});

test("several are drawn over one row of times, and no more of them than is seen", () => {
  const [a, b] = [new Track("a", "number", 1, 600), new Track("a", "number", 1, 600)];
  for (let tick = 1; tick <= 100; tick += 1) {
    a.take(frame(tick, tick));
    if (tick % 10 === 5) b.take(frame(tick, -tick, { after: tick - 10 }));
  }
  assert.deepEqual(together([a, b], [50.5, 55.5]), {
    times: [45, 50, 51, 52, 53, 54, 55, 56, 65],
    columns: [[null, 50, 51, 52, 53, 54, 55, 56, 56], [-45, -45, -45, -45, -45, -45, -55, -55, -65]],
  });
  assert.deepEqual(together([a], [97.5, 200]), { times: [97, 98, 99, 100], columns: [[97, 98, 99, 100]] });
  assert.deepEqual(a.at(50.4), [50]);
  assert.deepEqual(a.at(0.5), [null]);
});

test("the units of a counter are those of its growth", () => {
  assert.deepEqual([unitOf("counter", "bytes"), unitOf("counter", ""), unitOf("number", "bytes"), unitOf("distinct", "bytes")], ["bytes/s", "/s", "bytes", ""]);
});

test("what was lost is what it was until it is told anew, and goes on then", () => {
  const track = new Track("a", "number", 1, 600);
  track.take(frame(10, 1, { whole: true }));
  track.lose(11);
  track.lose(12);
  assert.deepEqual([track.columns[0], track.at(null), track.known()], [[1, null], [null], [1]]);
  // It is told before the page has heard that the connection is back, and is lost once more.
  track.take(frame(20, 2, { whole: true, gap: 9_000 }));
  track.lose(21);
  track.hold(23);
  assert.deepEqual([track.at(null), track.missed], [[2], [11, 20]]);
});

test("an answer is of a moment within a tick, and no rate is reckoned from there as if it were its end", () => {
  const track = new Track("a", "counter", 1, 600);
  // Ten a tick; the answer comes in the middle of the one after 10.
  track.take(frame(10, 105, { whole: true, at: 10_500 }));
  track.take(frame(11, 110));
  assert.deepEqual(track.times, []);
  track.take(frame(12, 120));
  track.take(frame(13, 130));
  // Somebody else comes to the same path: what is asked for him is of another such moment.
  track.take(frame(13, 135, { whole: true, at: 13_500 }));
  track.take(frame(14, 140));
  assert.deepEqual([track.times, track.columns[0]], [[12, 13, 14], [10, 10, 10]]);
  // Where nothing was told of the tick it was asked in, it did not change in that.
  const quiet = new Track("a", "counter", 1, 600);
  quiet.take(frame(10, 100, { whole: true, at: 10_500 }));
  quiet.take(frame(15, 107));
  assert.equal(quiet.columns[0]?.at(-1), 7);
});

test("an answer that was quicker than the stream is not undone by what that tells late", () => {
  const [gauge, counter] = [new Track("a", "number", 1, 600), new Track("a", "counter", 1, 600)];
  gauge.take(frame(10, 7, { whole: true }));
  gauge.take(frame(9, 5, { at: 10_100 }));
  gauge.take(frame(11, 8));
  assert.deepEqual(gauge.columns[0], [7, 8]);
  counter.take(frame(10, 105, { whole: true }));
  counter.take(frame(10, 100, { at: 10_100 }));
  counter.take(frame(11, 110));
  assert.deepEqual(counter.columns[0], [10]);
});

test("what a counter grew in a short break is by how long that was", () => {
  const track = new Track("a", "counter", 1, 600);
  track.take(frame(9, 90, { whole: true }));
  for (let tick = 10; tick < 13; tick += 1) track.take(frame(tick, tick * 10));
  // Half a tick more than there are ticks.
  track.take(frame(15, 155, { whole: true, at: 15_500, gap: 3_500 }));
  track.take(frame(16, 160));
  track.take(frame(17, 170));
  assert.deepEqual([track.times, track.columns[0]], [[11, 12, 15.5, 17], [10, 10, 10, 10]]);
  // A daemon of another life.
  track.take(frame(3, 500, { whole: true, at: 19_000, gap: 2_000 }));
  assert.equal(track.columns[0]?.at(-1), null);
  track.take(frame(4, 501, { at: 20_000 }));
  track.take(frame(5, 505, { at: 21_000 }));
  assert.equal(track.columns[0]?.at(-1), 4);
});

test("what is asked for now and then grew in the time between two answers, and does not stand still meanwhile", () => {
  const track = new Track("a", "counter", 1, 600);
  track.take(frame(10, 100, { whole: true }));
  // Ten a second, asked for each 6.5 s: no whole ticks.
  for (let n = 1; n <= 3; n += 1) {
    const at = 10 + n * 6.5;
    for (let time = at - 6.25; time < at; time += 0.25) track.hold(time);
    track.take(frame(Math.floor(at), at * 10, { at: at * 1000, after: Math.floor(at) - 6.5, every: 6_500 }));
  }
  assert.deepEqual([track.times.slice(-2), track.columns[0]?.slice(-2), track.every], [[23, 29.5], [10, 10], 6.5]);
  track.hold(35);
  assert.deepEqual(track.at(null), [10]);
  // It said nothing for long.
  track.hold(43);
  assert.deepEqual([track.times.slice(-2), track.at(null)], [[36, 43], [0]]);
});

test("a counter is not said to stand still before it could have been told that it does not", () => {
  const track = new Track("a", "counter", 1, 600);
  track.take(frame(10, 100, { whole: true }));
  track.fill(0, 10, [2, 4], [[3, 3]]);
  track.hold(10.5);
  assert.deepEqual(track.at(null), [3]);
  track.hold(12);
  assert.deepEqual([track.times, track.columns[0]], [[2, 4, 10, 12], [3, 3, 0, 0]]);
});

test("a clock that is put back has all asked for anew", () => {
  for (const kind of ["number", "counter"] as const) {
    const track = new Track("a", kind, 1, 100);
    track.take(frame(10, 1, { whole: true }));
    for (let tick = 11; tick < 20; tick += 1) track.take(frame(tick, tick));
    track.take(frame(20, 50, { whole: true, gap: 1, at: 5_000 }));
    assert.deepEqual([track.times.filter((time) => time > 5), track.missed], [[], [-95, 5]], kind);
    // How long a counter took to grow by what it did meanwhile, two clocks do not tell.
    assert.deepEqual(track.columns[0]?.filter((figure) => figure !== null), kind === "counter" ? [] : [50], kind);
    track.take(frame(22, 60, { at: 7_000 }));
    track.take(frame(23, 63, { at: 8_000 }));
    assert.equal(track.columns[0]?.at(-1), kind === "counter" ? 3 : 63, kind);
  }
});

test("a break before anything is drawn is one as well", () => {
  const track = new Track("a", "counter", 1, 600);
  track.take(frame(10, 1, { whole: true }));
  track.take(frame(50, 9, { whole: true, gap: 39_000 }));
  assert.deepEqual(track.missed, [11, 50]);
  // One that only begins then has all of its time asked for.
  const text = new Track("a", "text", 1, 600);
  text.take(frame(50, "x", { whole: true, gap: 39_000 }));
  assert.equal(text.missed, null);
});
