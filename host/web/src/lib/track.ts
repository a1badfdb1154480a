// How one path went on lately: its figures by time, as they came. Nothing here knows a page or a clock.

import type { Sketch, Value } from "./api.ts";
import type { Frame } from "./live.ts";

/** What is drawn of a path. */
export type Kind = "number" | "counter" | "quantiles" | "distinct" | "text";

/** A text and since when it holds (s). */
export interface Told { at: number; text: string }

/** The columns of each kind, as a legend calls them. */
export const COLUMNS: { [kind in Kind]: string[] } = {
  number: ["value"], counter: ["a second"], quantiles: ["p99", "p90", "median"], distinct: ["in the last minute"], text: [],
};

/** Texts that are kept. */
const TEXTS = 50;
/** A gap (s) that is drawn as one; less is a tick that came late. */
const GAP = 5;
/** Two points are so far apart (s) at least. */
const LATER = 0.001;

type Numbers = Array<number | null>;

/** The own value in what was answered: numbers, texts and sketches with something below them stand at `""`. */
export function own(value: Value | undefined): Value | undefined {
  if (value !== null && typeof value === "object" && "" in value) return (value as { [key: string]: Value })[""];
  return value;
}

/** What a value is drawn as; null for one that is none: a branch, or nothing. `counts` says that its action is to add. */
export function kindOf(value: Value | undefined, counts: boolean): Kind | null {
  const is = own(value);
  switch (typeof is) {
    case "number": return counts ? "counter" : "number";
    case "string":
    case "boolean": return "text";
    case "object":
      // A sketch stands at `""`: what has such names itself is a branch.
      if (is === null || is === value) return null;
      if (typeof (is as Sketch).distinct === "number") return "distinct";
      return typeof (is as Sketch).p50 === "number" || (is as Sketch).count === 0 ? "quantiles" : null;
    default: return null;
  }
}

export class Track {
  readonly path: string;
  readonly kind: Kind;
  /** When (s since 1970), ascending. */
  times: number[] = [];
  /** As long as `times`, a column a figure. */
  columns: Numbers[];
  texts: Told[] = [];
  /** What it is now. */
  value: Value | undefined;
  /** A stretch (s) of which nothing was heard, for history to fill. */
  missed: [number, number] | null = null;
  /** It is asked for so often (s); 0 where a stream tells it. */
  every = 0;
  readonly #tick: number;
  readonly #keep: number;
  /** The tick that was told last. */
  #at = 0;
  /** That of the last answer that said what is: what a stream tells of it, and of those before, is older than that. */
  #answered = 0;
  #last: number | null = null;
  /** When a counter was found to be that (s), */
  #since = 0;
  /** and whether that was within a tick. */
  #within = false;
  /** So many points at the end are what is assumed. */
  #held = 0;

  /** `tick` and `keep` in seconds. */
  constructor(path: string, kind: Kind, tick: number, keep: number) {
    this.path = path;
    this.kind = kind;
    this.#tick = tick;
    this.#keep = keep;
    this.columns = COLUMNS[kind].map(() => []);
  }

  /** Takes what has come; false where it has nothing of this path. */
  take(frame: Frame): boolean {
    const value = frame.changes.get(this.path);
    if (value === undefined) return false;
    const at = frame.at / 1000;
    // Of a break shorter than that, nothing is to be seen.
    const broke = frame.whole && frame.gap > GAP * 1000;
    const told = frame.every === 0 && !frame.whole;
    const late = told && frame.tick <= this.#answered;
    if (frame.whole) this.#answered = frame.tick;
    else this.every = frame.every / 1000;
    if (late && this.kind !== "counter") return true;
    if ((this.times.at(-1) ?? this.texts.at(-1)?.at ?? at) - at > GAP) this.#back(at);
    else if (broke && this.kind === "text" && this.#at > 0) this.missed = [Math.max(at - frame.gap / 1000, at - this.#keep), at];
    else if (broke) this.#cut(at - frame.gap / 1000, at);
    this.value = value;
    const is = own(value);
    const number = typeof is === "number" ? is : null;
    const again = frame.whole && frame.gap === 0 && this.#at > 0;
    switch (this.kind) {
      case "text":
        if (is !== null && is !== undefined && typeof is !== "object" && this.texts.at(-1)?.text !== String(is)) {
          this.texts.push({ at, text: String(is) });
          if (this.texts.length > TEXTS) this.texts.shift();
        }
        break;
      case "counter":
        // It goes on from what the stream told: an answer has a part of a tick more.
        if (again && !this.#within && this.#last !== null) return true;
        this.#count(frame, at, number, broke);
        break;
      case "number":
        // It is told once more what is known: somebody else follows this path as well, from now on.
        if (!again || number !== this.#last) this.#put(frame, at, [number]);
        this.#last = number;
        break;
      case "quantiles": {
        const { p99, p90, p50, count } = lately(is);
        this.#put(frame, at, count === 0 ? [null, null, null] : [p99, p90, p50].map((figure) => figure ?? null));
        break;
      }
      case "distinct": this.#put(frame, at, [lately(is).distinct ?? null]); break;
    }
    // After a break it may be a daemon that counts from elsewhere.
    this.#at = frame.whole && frame.gap > 0 ? frame.tick : Math.max(this.#at, frame.tick);
    return true;
  }

  /** A point; what is before it is as it was until the tick after which this changed. */
  #put(frame: Frame, at: number, figures: Numbers): void {
    this.#drop();
    const before = this.times.at(-1);
    const since = at - (frame.tick - frame.after) * this.#tick;
    if (!frame.whole && before !== undefined && since > before + this.#tick / 2) this.#push(since, this.at(null));
    this.#push(at, figures);
  }

  /**
   * What it grew by, by how long that took. What a stream tells is of the end of its tick; what is asked for is of a moment within one: of
   * the rest of that tick it is not known how long it was.
   */
  #count(frame: Frame, at: number, value: number | null, broke: boolean): void {
    const [last, tick, since, within] = [this.#last, this.#at, this.#since, this.#within];
    const asked = frame.whole || frame.every > 0;
    // What is told once more is no growth, and no time without any.
    if (value !== null && value === last && !broke) {
      if (!asked && frame.tick > this.#answered) this.#within = false;
      return;
    }
    [this.#last, this.#since, this.#within] = [value, at, asked || (within && frame.tick < this.#answered)];
    const anew = frame.whole && frame.gap > 0 && frame.tick < tick;
    if (value === null || last === null || broke || anew) {
      this.#drop();
      // What it grew by is known from the next one on; the first is no gap after what history has.
      if (this.times.length > 0) this.#push(at, [null]);
      return;
    }
    if (frame.whole && frame.gap === 0) return;
    this.#drop();
    if (within && !asked && frame.after <= tick) return;
    const told = Math.max(1, frame.tick - Math.max(tick, frame.after)) * this.#tick;
    const seconds = frame.whole ? Math.max(this.#tick, Math.min(at - since, frame.gap / 1000)) : asked ? (frame.tick - frame.after) * this.#tick : told;
    const [before, began] = [this.times.at(-1) ?? 0, at - seconds];
    // Nothing was told between: it did not grow until then.
    if (frame.gap === 0 && (asked ? began > before + this.#tick / 2 : (frame.tick - tick) * this.#tick > seconds)) {
      const still = Math.max(before + this.#tick, since);
      if (before > 0 && still < began) this.#push(still, [0]);
      if (began > before) this.#push(began, [0]);
    }
    this.#push(at, [value < last ? null : (value - last) / seconds]);
  }

  /**
   * Says that it is still as it was at `at` (s): nothing that changed is told. It is not known but assumed, and gives way to what comes.
   * For one that is late nothing is drawn.
   */
  hold(at: number): void {
    const real = this.times[this.times.length - 1 - this.#held];
    if (this.#held > 0) {
      const last = this.times.length - 1;
      if (at <= (this.times[last] ?? at)) return;
      if (this.columns.some((column) => column[last] !== null)) {
        this.times[last] = at;
        return this.#trim(at);
      }
      // It was lost: go on from there.
      this.#drop();
    }
    const beat = Math.max(this.#tick, this.every);
    if (this.kind === "counter") {
      // It is not known to stand still before it could have been told that it does not.
      if (this.#last === null || at - Math.max(real ?? 0, this.#since) < Math.max(1, beat) * 2) return;
      if (real !== undefined) this.#assume(Math.max(real + beat, this.#since), [0]);
      this.#assume(at, [0]);
      return;
    }
    if (real === undefined) {
      if (this.#last !== null) this.#assume(at, [this.#last]);
      return;
    }
    if (at - real < Math.max(1, beat) * 1.4) return;
    const figures = this.columns.map((column) => column.at(-1) ?? null);
    if (figures.some((figure) => figure !== null)) this.#assume(at, figures);
  }

  /** Says that nobody knows what it is (s). */
  lose(at: number): void {
    if (this.columns.some((column) => column.at(-1) !== null) && at > (this.times.at(-1) ?? at)) this.#assume(at, this.columns.map(() => null));
  }

  #assume(at: number, figures: Numbers): void {
    const was = this.times.length;
    this.#push(at, figures);
    this.#held += was < this.times.length ? 1 : 0;
  }

  /** Takes back what was assumed; gives what that was, null where nothing was. */
  #drop(): Numbers | null {
    if (this.#held === 0) return null;
    const from = this.times.length - this.#held;
    this.#held = 0;
    this.times.length = from;
    return this.columns.map((column) => column.splice(from)[0] ?? null);
  }

  /** Nothing was heard from `from` to `to` (s): what was assumed of that is none, and history is to fill it. */
  #cut(from: number, to: number): void {
    const until = this.times.at(-1);
    const held = this.#drop();
    const before = this.times.at(-1);
    if (before === undefined || until === undefined) {
      // One that has just begun has all of it asked for anyway.
      if (this.#at > 0) this.missed = [Math.max(from, to - this.#keep), to];
      return;
    }
    // Until then it was as it was.
    if (held !== null && from > before) this.#push(Math.min(from, until), held);
    const since = this.times.at(-1) ?? before;
    this.missed = [Math.max(since, to - this.#keep), to];
    this.#push(Math.min(since + this.#tick, to), this.columns.map(() => null));
  }

  /**
   * Puts history between what is there: what lies within `[from, to]` and is not known yet. `whole` says that history has no more of it
   * to come: a stretch so short that it has no step of it is none that is seen.
   */
  fill(from: number, to: number, times: readonly number[], columns: readonly Numbers[], whole = false): void {
    const at = times.map((time, i) => [time, i] as const).filter(([time]) => time > from && time < to);
    const before = this.times.findIndex((time) => time > from);
    const left = before === -1 ? this.times.length : before;
    // After a break a counter is not known at its end: that gives way last, or it would be held at nothing until then.
    const after = this.times.findIndex((time, i) => time > to + LATER || (time >= to && !(whole && this.kind === "counter" && this.columns[0]?.[i] === null)));
    const right = after === -1 ? this.times.length : after;
    const known = this.times.slice(left, right).some((_, i) => this.columns.some((column) => column[left + i] !== null));
    if (at.length === 0 && (!whole || times.length === 0 || known)) return;
    this.#held = Math.min(this.#held, this.times.length - right);
    this.times = [...this.times.slice(0, left), ...at.map(([time]) => time), ...this.times.slice(right)];
    this.columns = this.columns.map((column, n) =>
      [...column.slice(0, left), ...at.map(([, i]) => columns[n]?.[i] ?? null), ...column.slice(right)]);
  }

  /** Texts that history has, in order, of the time up to `to` (s). */
  tell(texts: readonly Told[], to: number): void {
    const known = new Set(this.texts.map(({ at, text }) => `${at} ${text}`));
    const all = [...this.texts, ...texts.filter(({ at, text }) => at < to && !known.has(`${at} ${text}`))].sort((a, b) => a.at - b.at);
    // One that goes on began when history says that it did.
    this.texts = all.filter(({ text }, i) => all[i - 1]?.text !== text).slice(-TEXTS);
  }

  #push(at: number, figures: Numbers): void {
    const before = this.times.at(-1);
    // A clock that is put back by little has nothing drawn backwards.
    if (before !== undefined && at <= before) at = before + LATER;
    this.times.push(at);
    this.columns.forEach((column, i) => column.push(figures[i] ?? null));
    this.#trim(at);
  }

  /** Lets go of what is too old, but for the last of it: from there the line comes. */
  #trim(at: number): void {
    const old = at - this.#keep;
    if ((this.times[1] ?? at) >= old - this.#keep * 0.1) return;
    const from = Math.max(0, this.times.findIndex((time) => time >= old) - 1);
    this.times.splice(0, from);
    this.columns.forEach((column) => column.splice(0, from));
  }

  /** The clock was put back: what there is stands at times that are still to come. History has it by the new one. */
  #back(at: number): void {
    this.#held = 0;
    this.times = [];
    this.columns = this.columns.map(() => []);
    this.texts = this.texts.filter((text) => text.at <= at);
    // In how long a counter grew since is not known by two clocks.
    this.#last = null;
    this.#since = Math.min(this.#since, at);
    this.missed = [at - this.#keep, at];
  }

  /** The figures at a moment (s), or the latest. */
  at(time: number | null): Numbers {
    const place = time === null ? this.times.length - 1 : after(this.times, time) - 1;
    return this.columns.map((column) => column[place] ?? null);
  }

  /** The latest that were known, whatever came after. */
  known(): Numbers {
    return this.columns.map((column) => column.findLast((figure) => figure !== null) ?? null);
  }
}

/** The place of the first time after one (s). */
export function after(times: readonly number[], time: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) > time) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The units of what is drawn of a kind, by those of the value. */
export function unitOf(kind: Kind | undefined, units: string): string {
  return kind === "counter" ? `${units}/s` : kind === "distinct" ? "" : units;
}

/** Of a sketch what was fed in the last minute, or all where that is not told. */
function lately(value: Value | undefined): Sketch {
  if (value === null || typeof value !== "object") return {};
  const sketch = value as Sketch;
  return sketch.last_minute ?? sketch;
}
