import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Failed, type Got, type Value, groups } from "./api.ts";
import { type Frame, Live } from "./live.ts";
import { Events, type Source, type Told } from "./stream.ts";

/** A daemon of paper: what it has, who follows, and a way to break. */
class Daemon implements Source {
  values: { [path: string]: Value } = {};
  /** Its last tick, and how long one is. */
  at = 100;
  tick = 1_000;
  time = 1_000_000;
  gets: string[][] = [];
  pulls: Array<{ paths: string[]; since: number; opened: () => void; told: (tick: number, changes: Told) => void; heard: () => void; broken: (error: Error) => void }> = [];
  away = false;
  #waiting: Array<() => void> = [];

  now = () => this.time;
  forgets = false;
  forgot = async () => this.forgets;

  get = async (paths: readonly string[]): Promise<Got> => {
    this.gets.push([...paths]);
    if (this.away) throw new Failed("The daemon does not answer.", 0);
    if (paths.some((path) => this.bad.has(path))) throw new Failed("That is none.", 400);
    return { found: paths.map((path) => ({ [path]: this.values[path] ?? null })), metas: [], tick: this.at, truncated: false };
  };

  pull: Source["pull"] = (paths, since, signal, { opened, told, heard }) =>
    new Promise((_, broken) => {
      signal.addEventListener("abort", () => broken(new DOMException("given up", "AbortError")));
      // What a follower throws ends a stream.
      const ends = <T extends unknown[]>(call: (...args: T) => void) => (...args: T) => { try { call(...args); } catch (error) { broken(error as Error); } };
      this.pulls.push({ paths: [...paths], since, opened, told: ends(told), heard: ends(heard), broken });
      if (!this.slow) opened();
      this.#waiting.splice(0).forEach((go) => go());
    });

  /** Streams are not answered yet. */
  slow = false;
  /** What it refuses. */
  bad = new Set<string>();

  /** Is done when there is one more stream. */
  async opened(): Promise<void> {
    await new Promise<void>((go) => this.#waiting.push(go));
  }

  get last() {
    const last = this.pulls.at(-1);
    assert.ok(last);
    return last;
  }
}

/** What a test began ends with it, however that ends. */
const all: Live[] = [];
afterEach(() => all.splice(0).forEach((live) => live.stop()));

function begun(source: Source): Live {
  const live = new Live(source);
  all.push(live);
  return live;
}

function follow(live: Live, path: string) {
  const frames: Frame[] = [];
  return { frames, stop: live.watch(path, (frame) => frames.push(frame)) };
}

test("begins with what is and goes on from that tick with what changes", async () => {
  const daemon = new Daemon();
  daemon.values = { a: 1, "b,,c": 2 };
  const live = begun(daemon);
  const [a, b] = [follow(live, "a"), follow(live, "b,,c")];
  await daemon.opened();
  assert.deepEqual(daemon.gets, [["a", "b,,c"]]);
  assert.deepEqual([daemon.last.since, daemon.last.paths], [100, ["a", "b,,c"]]);
  daemon.last.told(101, [{ a: 5 }, { "b,,c": 7 }]);
  daemon.last.told(102, [{ "a,x": 1 }]);
  assert.deepEqual(a.frames.map((frame) => [frame.whole, frame.tick, ...frame.changes]), [[true, 100, ["a", 1]], [false, 101, ["a", 5]], [false, 102, ["a,x", 1]]]);
  assert.deepEqual(b.frames.map((frame) => [...frame.changes]), [[["b,,c", 2]], [["b,,c", 7]]]);
});

test("a path that lists is told each match", async () => {
  const daemon = new Daemon();
  const live = begun(daemon);
  const list = follow(live, "a,*");
  await daemon.opened();
  daemon.last.told(101, [{ "a,x": 1 }, { "a,y": 2 }, { "a,y,z": 3 }, { "b,x": 4 }]);
  assert.deepEqual([...(list.frames.at(-1)?.changes ?? [])], [["a,x", 1], ["a,y", 2]]);
});

test("who comes later is told what is, and the others are asked for nothing twice", async () => {
  const daemon = new Daemon();
  const live = begun(daemon);
  const a = follow(live, "a");
  await daemon.opened();
  daemon.last.told(110, [{ a: 1 }]);
  daemon.at = 120;
  const b = follow(live, "b");
  await daemon.opened();
  assert.deepEqual(daemon.gets, [["a"], ["b"]]);
  // What changed of `a` between 110 and 120 is told by the new stream.
  assert.deepEqual([daemon.last.since, daemon.last.paths], [110, ["a", "b"]]);
  assert.equal(a.frames.length, 2);
  assert.equal(b.frames[0]?.whole, true);
});

test("who comes while a stream is being opened is told what is, too", async () => {
  const daemon = new Daemon();
  const live = begun(daemon);
  daemon.slow = true;
  follow(live, "a");
  await daemon.opened();
  const again = daemon.opened();
  const late = follow(live, "a");
  daemon.last.opened();
  await again;
  assert.deepEqual(late.frames.map(({ whole }) => whole), [true]);
});

test("a break is told, tried again and healed with all that is", async () => {
  const daemon = new Daemon();
  const live = begun(daemon);
  const states: string[] = [];
  live.onState(() => states.push(live.state));
  const a = follow(live, "a");
  await daemon.opened();
  daemon.values = { a: 9 };
  daemon.at = 200;
  daemon.time += 7_000;
  daemon.away = true;
  const again = daemon.opened();
  daemon.last.broken(new Failed("The connection broke.", 0));
  await new Promise((tick) => setTimeout(tick));
  assert.deepEqual([live.state, live.error], ["offline", "The connection broke."]);
  daemon.away = false;
  await again;
  assert.deepEqual(states, ["live", "offline", "live"]);
  const last = a.frames.at(-1);
  assert.deepEqual([last?.whole, last?.gap, last?.changes.get("a"), daemon.last.since], [true, 7_000, 9, 200]);
});

test("a hidden page follows nothing, and goes on where it was", async () => {
  const daemon = new Daemon();
  const live = begun(daemon);
  follow(live, "a");
  await daemon.opened();
  daemon.last.told(150, [{ a: 1 }]);
  live.rest(true);
  daemon.last.told(151, [{ a: 2 }]);
  const again = daemon.opened();
  live.rest(false);
  await again;
  assert.deepEqual([daemon.gets.length, daemon.last.since], [1, 150]);
  // After a long while leaves may have gone of which nobody can tell any more.
  live.rest(true);
  daemon.time += 60_000;
  const anew = daemon.opened();
  live.rest(false);
  await anew;
  assert.equal(daemon.gets.length, 2);
});

test("whoever is back asks for all when the daemon was another, and is live only when a stream is", async () => {
  const daemon = new Daemon();
  const live = begun(daemon);
  follow(live, "a");
  await daemon.opened();
  assert.equal(live.state, "live");
  live.rest(true);
  assert.equal(live.state, "connecting");
  daemon.forgets = true;
  const again = daemon.opened();
  live.rest(false);
  assert.equal(live.state, "connecting");
  await again;
  assert.deepEqual([daemon.gets.length, live.state], [2, "live"]);
});

test("a break is since when something was heard, not since something changed", async () => {
  const daemon = new Daemon();
  const live = begun(daemon);
  const a = follow(live, "a");
  await daemon.opened();
  daemon.time += 3_600_000;
  daemon.last.heard();
  // Somebody else who comes is no break.
  const again = daemon.opened();
  const b = follow(live, "a");
  await again;
  assert.deepEqual([a.frames.at(-1)?.gap, b.frames.length], [0, 1]);
  daemon.time += 2_000;
  daemon.last.heard();
  daemon.time += 40_000;
  const healed = daemon.opened();
  daemon.last.broken(new Failed("The connection broke.", 0));
  await healed;
  assert.equal(a.frames.at(-1)?.gap, 40_000);
});

test("what changed is told with the tick after which it did", async () => {
  const daemon = new Daemon();
  const live = begun(daemon);
  const a = follow(live, "a");
  await daemon.opened();
  daemon.time += 30_000;
  // A new stream: the older one told all but the last ticks.
  const again = daemon.opened();
  follow(live, "b");
  daemon.at = 130;
  await again;
  daemon.last.told(131, [{ a: 1 }]);
  assert.equal(a.frames.at(-1)?.after, 128);
  daemon.time += 10_000;
  daemon.last.told(141, [{ a: 2 }]);
  assert.equal(a.frames.at(-1)?.after, 140);
  // The first of a stream that comes late is of its tick alone.
  const once = daemon.opened();
  follow(live, "c");
  await once;
  daemon.time += 20_000;
  daemon.last.told(161, [{ a: 3 }]);
  assert.equal(a.frames.at(-1)?.after, 160);
  // After a rest nobody knows.
  live.rest(true);
  daemon.time += 4_000;
  const back = daemon.opened();
  live.rest(false);
  await back;
  daemon.last.told(165, [{ a: 4 }]);
  assert.equal(a.frames.at(-1)?.after, daemon.last.since);
});

test("a daemon that stood still, or words that were held up, are a break", async () => {
  const daemon = new Daemon();
  const live = begun(daemon);
  const a = follow(live, "a");
  await daemon.opened();
  daemon.time += 1_000;
  daemon.last.told(101, [{ a: 1 }]);
  // Nothing changed for a minute, which is none.
  for (let n = 0; n < 4; n += 1) {
    daemon.time += 15_000;
    daemon.last.heard();
  }
  daemon.last.told(161, [{ a: 2 }]);
  daemon.time += 4_000;
  daemon.last.told(162, [{ a: 3 }]);
  assert.deepEqual(a.frames.slice(1).map(({ tick }) => tick), [101, 161, 162]);
  // Twelve seconds without a tick; first it says that nothing is new.
  daemon.time += 12_000;
  daemon.at = 163;
  daemon.values = { a: 9 };
  daemon.last.heard();
  const again = daemon.opened();
  daemon.last.told(163, [{ a: 4 }]);
  await again;
  const last = a.frames.at(-1);
  assert.deepEqual([last?.whole, last?.gap, last?.changes.get("a"), live.state], [true, 11_000, 9, "live"]);
  // A clock that is put back is one as well: what was drawn stands at times to come.
  daemon.time -= 3_600_000;
  const anew = daemon.opened();
  daemon.last.heard();
  await anew;
  assert.deepEqual([a.frames.at(-1)?.whole, a.frames.at(-1)?.at, a.frames.at(-1)?.gap], [true, daemon.time, 1]);
});

test("who follows a path with others has the break that comes before he is told", async () => {
  const daemon = new Daemon();
  const live = begun(daemon);
  const a = follow(live, "a");
  await daemon.opened();
  daemon.time += 30_000;
  const again = daemon.opened();
  follow(live, "a");
  daemon.last.broken(new Failed("The connection broke.", 0));
  await again;
  assert.equal(a.frames.at(-1)?.gap, 30_000);
});

test("a path that is refused is no other's loss", async () => {
  const daemon = new Daemon();
  daemon.bad.add("bad");
  const live = begun(daemon);
  for (const path of ["a", "bad", "c", `x,${"%2C".repeat(50_000)}`]) follow(live, path);
  await daemon.opened();
  assert.deepEqual([live.state, daemon.last.paths], ["live", ["a", "c"]]);
  assert.equal(live.refusal("bad"), "That is none.");
  assert.match(live.refusal(`x,${"%2C".repeat(50_000)}`) ?? "", /too long/);
  assert.equal(live.refusal("a"), null);
});

test("what no stream takes is asked for; each stream goes on from where it was", async () => {
  const daemon = new Daemon();
  const live = begun(daemon);
  const all = Array.from({ length: 800 }, (_, i) => follow(live, `n${i}`));
  await daemon.opened();
  await new Promise((tick) => setTimeout(tick));
  assert.deepEqual(daemon.pulls.map(({ paths }) => paths.length), [256, 256, 256]);
  // It is told what changes as well.
  daemon.values = { n799: 5 };
  daemon.at = 101;
  const told = () => all[799]?.frames.some((frame) => frame.changes.get("n799") === 5);
  for (let i = 0; i < 40 && !told(); i += 1) await new Promise((later) => setTimeout(later, 50));
  assert.ok(told());
  // One is told a tick of which the others have not heard.
  const [first, second] = daemon.pulls;
  first?.told(110, [{ n0: 1 }]);
  const again = daemon.opened();
  const [gone] = all;
  gone?.stop();
  await again;
  assert.deepEqual(daemon.pulls.slice(3).map(({ since }) => since), [100, 100, 100].slice(0, daemon.pulls.length - 3));
  assert.equal(second?.since, 100);
});

test("of what has much below it the figure alone is asked for", async () => {
  const daemon = new Daemon();
  const live = begun(daemon);
  follow(live, "hits");
  follow(live, "b");
  follow(live, "branch");
  await daemon.opened();
  const again = daemon.opened();
  daemon.last.told(101, [{ hits: 1 }, Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`hits,${i}`, 1]))]);
  await again;
  assert.deepEqual(daemon.last.paths, ["b", "branch"]);
  // Nor does a stream tell what a branch folds to; what has a value and something below it is told by itself.
  daemon.last.told(102, [{ b: 1, "b,x": 1 }]);
  daemon.last.told(103, [{ "b,x": 2 }]);
  const once = daemon.opened();
  daemon.last.told(104, [{ "branch,x": 1 }]);
  await once;
  assert.deepEqual(daemon.last.paths, ["b"]);
});

test("a page for which there is no room for a stream asks again and again", async () => {
  const daemon = new Daemon();
  const live = begun(Object.assign(daemon, { slots: { take: () => 0, leave: () => undefined } }));
  daemon.values = { a: 1 };
  const a = follow(live, "a");
  const told = () => a.frames.some((frame) => frame.changes.get("a") === 2);
  setTimeout(() => { daemon.values = { a: 2 }; daemon.at = 103; }, 300);
  for (let i = 0; i < 60 && !told(); i += 1) await new Promise((later) => setTimeout(later, 50));
  assert.deepEqual([told(), daemon.pulls.length, live.state], [true, 0, "live"]);
  // It changed since it was asked for last, and is said to be asked for so often.
  daemon.time += 1_500;
  daemon.at = 104;
  daemon.values = { a: 3 };
  for (let i = 0; i < 60 && a.frames.at(-1)?.changes.get("a") !== 3; i += 1) await new Promise((later) => setTimeout(later, 50));
  assert.deepEqual([a.frames.at(-1)?.after, a.frames.at(-1)?.every], [102.5, 1_000]);
});

test("nobody follows what nobody watches", async () => {
  const daemon = new Daemon();
  const live = begun(daemon);
  const [a] = [follow(live, "a"), follow(live, "b")];
  await daemon.opened();
  const again = daemon.opened();
  a.stop();
  await again;
  assert.deepEqual(daemon.last.paths, ["b"]);
});

test("events are read however they are cut", () => {
  const text = "retry: 2000\n\nid: 7\ndata: [{\"a\":\"ü\\n\"}]\n\n: nothing new\n\nid: 8\ndata: []\n\n";
  for (let at = 0; at <= text.length; at += 1) {
    const told: Array<[string, string]> = [];
    const events = new Events((id, data) => told.push([id, data]));
    events.feed(text.slice(0, at));
    events.feed(text.slice(at));
    if (at === 0) {
      // Once more, letter by letter.
      told.length = 0;
      for (const letter of text) events.feed(letter);
    }
    assert.deepEqual(told, [["7", "[{\"a\":\"ü\\n\"}]"], ["8", "[]"]]);
  }
});

test("paths are asked for in requests that the daemon takes", () => {
  assert.deepEqual(groups(Array.from({ length: 300 }, (_, n) => `k${n}`)).map((group) => group.length), [256, 44]);
  assert.deepEqual(groups(Array.from({ length: 9 }, () => "x".repeat(10_000))).map((group) => group.length), [4, 4, 1]);
  assert.deepEqual(groups([]), []);
});

test("who follows nothing knows whether there is a connection", async () => {
  const daemon = new Daemon();
  const live = begun(daemon);
  live.retry();
  await daemon.opened();
  assert.deepEqual([live.state, daemon.last.paths.length], ["live", 1]);
});
