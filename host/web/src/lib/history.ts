// How paths went on before anybody looked, and while nobody could: history put into tracks.

import { clockOffset, groups, halving, isTooLong, trend } from "./api.ts";
import type { Kind, Track } from "./track.ts";

interface Line { from?: number; step?: number; times?: number[]; events?: Array<[number, string | boolean | null]>; [figure: string]: unknown }

/** What is asked of history for each kind; figures in the order of its columns. */
const ASKED: { [kind in Kind]: { as: string; figures: string[]; step: number } } = {
  number: { as: "value", figures: ["values"], step: 10 },
  counter: { as: "rate", figures: ["values"], step: 10 },
  quantiles: { as: "p99,p90,p50", figures: ["p99", "p90", "p50"], step: 60 },
  distinct: { as: "value", figures: ["values"], step: 60 },
  text: { as: "value", figures: [], step: 10 },
};

/** A track and the stretch (s) of which it wants to know what was; `done` is called when there is something to draw. */
export interface Wanted {
  track: Track;
  from: number;
  to: number;
  done: () => void;
  /** Whether anybody still wants it. */
  wanted: () => boolean;
}

/** A step is in history so long (s) after its end: what goes on is committed each 10 s. */
const COMMITTED = 12;

/** When (s) all of a stretch that history will ever have is there. */
function whole({ track, to }: Wanted): number {
  return to + ASKED[track.kind].step + COMMITTED;
}

/** Tracks that begin at about the same time are asked for together (ms). */
const GATHER = 30;
const WAIT_MIN = 2_000;
const WAIT_MAX = 60_000;

/** What is used of the daemon; tests have their own. */
export type Ask = typeof trend;
type Later = (run: () => void, ms: number) => unknown;

export class History {
  readonly #ask: Ask;
  readonly #wait: number;
  readonly #now: () => number;
  readonly #later: Later;
  #waits: number;
  #all: Wanted[] = [];
  #timer: ReturnType<typeof setTimeout> | null = null;
  #due = 0;

  /** `wait` is how long it waits (ms) to ask again for what failed, at first; `now` in seconds, `later` as setTimeout. */
  constructor(ask: Ask = trend, wait = WAIT_MIN, now = () => Date.now() / 1000, later: Later = (run, ms) => setTimeout(run, ms)) {
    this.#ask = ask;
    this.#now = now;
    this.#later = later;
    this.#wait = this.#waits = wait;
  }

  /** Has a stretch filled, as soon as the daemon can. */
  fill(one: Wanted): void {
    this.#all.push(one);
    this.#begin(GATHER);
  }

  #begin(after: number): void {
    const due = performance.now() + after;
    // What waits long for what failed is no other's wait.
    if (this.#timer !== null && this.#due <= due) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#run();
    }, after);
  }

  async #run(): Promise<void> {
    const all = this.#all.filter(({ track, wanted }) => wanted() && !isTooLong(track.path));
    this.#all = [];
    const now = this.#now();
    const failed = await prefill(all, now, this.#ask);
    // The end of it was not over yet, or not committed: that alone is asked for once more.
    for (const one of all) {
      const left = whole(one) - now;
      if (left <= 0 || failed.includes(one)) continue;
      const from = Math.max(one.from, one.to - 2 * ASKED[one.track.kind].step - COMMITTED);
      this.#later(() => this.fill({ ...one, from }), left * 1000);
    }
    if (failed.length === 0) {
      this.#waits = this.#wait;
      return;
    }
    // Just after its start a daemon may not have read what it kept.
    this.#all.push(...failed);
    this.#begin(this.#waits);
    this.#waits = Math.min(this.#waits * 2, WAIT_MAX);
  }
}

/** History put into tracks: as many requests as are needed for each kind, each for itself. Gives what failed and may not next time. */
async function prefill(wanted: readonly Wanted[], now: number, ask: Ask): Promise<Wanted[]> {
  const failed: Wanted[] = [];
  await Promise.all((Object.keys(ASKED) as Kind[]).map(async (kind) => {
    const some = wanted.filter(({ track }) => track.kind === kind);
    let at = 0;
    await Promise.all(groups(some.map(({ track }) => track.path)).map(async (paths) => {
      const group = some.slice(at, at += paths.length);
      const there = new Set(group);
      try {
        await halving(group, async (part) => {
          await fillOf(kind, part, now, ask);
          part.forEach((one) => { there.delete(one); one.done(); });
        }, (one) => there.delete(one));
      } catch {
        failed.push(...there);
      }
    }));
  }));
  return failed;
}

/** One request, over all that is wanted of its tracks. What has no history stays as it is. */
async function fillOf(kind: Kind, some: readonly Wanted[], now: number, ask: Ask): Promise<void> {
  const ahead = clockOffset() / 1000;
  const { as, figures, step } = ASKED[kind];
  const begin = Math.floor((Math.min(...some.map(({ from }) => from)) + ahead) / step) * step;
  const end = Math.ceil(Math.max(...some.map(({ to }) => to)) + ahead);
  const lines = await ask<Array<{ [path: string]: Line }>>(some.map(({ track }) => track.path),
    { from: begin, to: end, step: `${step}s`, ...(kind === "text" ? {} : { as }) });
  some.forEach((one, i) => {
    const { track, from, to } = one;
    const line = lines[i]?.[track.path];
    if (!line) return;
    if (kind === "text") {
      const events = (line.events ?? []).filter(([, text]) => text !== null);
      track.tell(events.map(([at, text]) => ({ at: Math.max(at - ahead, from), text: String(text) })), to);
      return;
    }
    const columns = figures.map((figure) => (line[figure] ?? []) as Array<number | null>);
    // What a step tells is of all of it: it stands in its middle.
    const times = columns[0]?.map((_, n) => (line.times?.[n] ?? (line.from ?? 0) + n * (line.step ?? step)) + step / 2 - ahead) ?? [];
    track.fill(from, to, times, columns, now >= whole(one));
  });
}

/** The page's. */
export const history = new History();
