import assert from "node:assert/strict";
import { test } from "node:test";
import { Failed, type TrendOptions } from "./api.ts";
import { type Ask, History } from "./history.ts";
import { Track } from "./track.ts";

/** A daemon of paper that has the same history of all paths, and fails where `fails` says. */
function daemon(fails: (paths: readonly string[], asked: number) => Failed | null) {
  const asked: string[][] = [];
  const ask = async (paths: readonly string[], { from, to, step }: TrendOptions) => {
    asked.push([...paths]);
    const failed = fails(paths, asked.length);
    if (failed) throw failed;
    const apart = Number.parseInt(String(step), 10);
    const steps = Math.ceil((Number(to) - Number(from)) / apart);
    return paths.map((path) => ({ [path]: { from, step: apart, values: Array.from({ length: steps }, (_, i) => i) } }));
  };
  return { ask: ask as unknown as Ask, asked };
}

/** Fills tracks, and is done when all are but `without`. */
function filled(history: History, tracks: Track[], without = 0): Promise<void> {
  return new Promise((done) => {
    let left = tracks.length - without;
    for (const track of tracks) history.fill({ track, from: 1000, to: 1100, done: () => { if ((left -= 1) === 0) done(); }, wanted: () => true });
  });
}

const track = (path: string) => new Track(path, "number", 1, 600);

test("more than a request takes is asked for in several", async () => {
  const { ask, asked } = daemon((paths) => (paths.length > 256 ? new Failed("too many", 400) : null));
  const tracks = Array.from({ length: 600 }, (_, i) => track(`n${i}`));
  await filled(new History(ask, 1), tracks);
  assert.deepEqual(asked.map(({ length }) => length), [256, 256, 88]);
  assert.ok(tracks.every(({ times }) => times.length === 10));
});

test("what failed is asked for again, and what is refused is no other's loss", async () => {
  const { ask, asked } = daemon((paths, n) => (n === 1 ? new Failed("reading", 503) : paths.includes("bad") ? new Failed("no", 400) : null));
  const tracks = ["a", "bad", "c"].map(track);
  await filled(new History(ask, 1), tracks, 1);
  assert.deepEqual(tracks.map(({ times }) => times.length), [10, 0, 10]);
  assert.deepEqual(asked[1], ["a", "bad", "c"]);
});

test("what was not committed yet is asked for once more, of the end alone", async () => {
  let clock = 1108;
  const asked: number[][] = [];
  const ask = (async (paths: readonly string[], { from, to }: TrendOptions) => {
    asked.push([Number(from), Number(to)]);
    const steps = Array.from({ length: Math.ceil((Number(to) - Number(from)) / 10) }, (_, i) => Number(from) + 10 * i);
    // There is a commit each 10 s.
    return paths.map((path) => ({ [path]: { from, step: 10, values: steps.map((at) => (at + 20 <= clock ? 5 : null)) } }));
  }) as unknown as Ask;
  const laters: Array<{ run: () => void; ms: number }> = [];
  const history = new History(ask, 1, () => clock, (run, ms) => laters.push({ run, ms }));
  const one = track("a");
  let done = () => {};
  const filled = () => new Promise<void>((is) => { done = is; });
  const first = filled();
  history.fill({ track: one, from: 1000, to: 1107, done: () => done(), wanted: () => true });
  await first;
  await new Promise(setImmediate);
  assert.ok(one.columns[0]?.includes(null));
  const [later] = laters;
  assert.equal(laters.length, 1);
  clock += Number(later?.ms) / 1000;
  const second = filled();
  later?.run();
  await second;
  await new Promise(setImmediate);
  assert.ok(one.times.length > 9 && !one.columns[0]?.includes(null), `${one.columns[0]}`);
  assert.deepEqual([asked.length, asked[1]?.[0], laters.length], [2, 1070, 1]);
});

test("what is new does not wait until what failed is asked for again", async () => {
  const { ask, asked } = daemon((paths) => (paths.includes("bad") && paths.length === 1 ? new Failed("reading", 503) : null));
  const history = new History(ask, 600_000);
  const wanted = { from: 1000, to: 1100, done: () => {}, bad: true };
  history.fill({ ...wanted, track: track("bad"), wanted: () => wanted.bad });
  while (asked.length === 0) await new Promise((go) => setTimeout(go, 5));
  wanted.bad = false;
  await filled(history, [track("new")]);
  assert.deepEqual(asked, [["bad"], ["new"]]);
});
