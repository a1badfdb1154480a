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
      if (is === null) return null;
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
  readonly #tick: number;
  readonly #keep: number;
  #at = 0;
  #last: number | null = null;

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
    const before = this.times.at(-1);
    if (frame.whole && before !== undefined && at - before > GAP) {
      this.missed = [before, at];
      this.#push(Math.min(before + this.#tick, at), this.columns.map(() => null));
    }
    this.value = value;
    const is = own(value);
    switch (this.kind) {
      case "text":
        if (is !== null && is !== undefined && typeof is !== "object" && this.texts.at(-1)?.text !== String(is)) {
          this.texts.push({ at, text: String(is) });
          if (this.texts.length > TEXTS) this.texts.shift();
        }
        break;
      case "counter": this.#count(frame, at, typeof is === "number" ? is : null); break;
      case "number": this.#push(at, [typeof is === "number" ? is : null]); break;
      case "quantiles": {
        const { p99, p90, p50, count } = lately(is);
        this.#push(at, count === 0 ? [null, null, null] : [p99, p90, p50].map((figure) => figure ?? null));
        break;
      }
      case "distinct": this.#push(at, [lately(is).distinct ?? null]); break;
    }
    return true;
  }

  #count(frame: Frame, at: number, value: number | null): void {
    const [last, tick] = [this.#last, this.#at];
    // It is told once more what is known: somebody else follows this path as well, from now on.
    if (frame.whole && frame.gap === 0 && last !== null && value === last) return;
    this.#last = value;
    this.#at = frame.tick;
    if (value === null || last === null || (frame.whole && frame.gap > 0)) {
      // What it grew by is known from the next one on; the first is no gap after what history has.
      if (this.times.length > 0) this.#push(at, [null]);
      return;
    }
    const ticks = Math.max(1, frame.tick - tick);
    // Nothing was told between: all of it came in this tick, or, where a stream has just begun, in any of them.
    const spread = frame.spread || frame.whole;
    const seconds = (spread ? ticks : 1) * this.#tick;
    const before = this.times.at(-1) ?? 0;
    if (!spread && ticks > 1 && at - this.#tick > before) this.#push(at - this.#tick, [0]);
    this.#push(at, [value < last ? null : (value - last) / seconds]);
  }

  /** Says that it is still as it was at `at` (s): nothing that changed is told. */
  hold(at: number): void {
    const before = this.times.at(-1);
    if (before === undefined && this.#last !== null) return this.#push(at, [0]);
    if (before === undefined || at - before < Math.max(1, this.#tick) * 1.4) return;
    this.#push(at, this.columns.map((column) => {
      const last = column.at(-1) ?? null;
      return this.kind === "counter" ? (last === null && this.#last === null ? null : 0) : last;
    }));
  }

  /** Says that nobody knows what it is (s). */
  lose(at: number): void {
    if (this.columns.some((column) => column.at(-1) !== null) && at > (this.times.at(-1) ?? at)) this.#push(at, this.columns.map(() => null));
  }

  /** Puts history between what is there: what lies within `[from, to]` and is not known yet. */
  fill(from: number, to: number, times: readonly number[], columns: readonly Numbers[]): void {
    const at = times.map((time, i) => [time, i] as const).filter(([time]) => time > from && time < to);
    const before = this.times.findIndex((time) => time > from);
    const left = before === -1 ? this.times.length : before;
    const after = this.times.findIndex((time) => time >= to);
    const right = after === -1 ? this.times.length : after;
    if (at.length === 0) return;
    this.times = [...this.times.slice(0, left), ...at.map(([time]) => time), ...this.times.slice(right)];
    this.columns = this.columns.map((column, n) =>
      [...column.slice(0, left), ...at.map(([, i]) => columns[n]?.[i] ?? null), ...column.slice(right)]);
  }

  /** Texts that were told before those that are known. */
  begin(texts: readonly Told[]): void {
    const first = this.texts[0];
    const before = texts.filter(({ at }) => first === undefined || at < first.at);
    // What it is now began when history says that it did.
    if (first !== undefined && before.at(-1)?.text === first.text) this.texts.shift();
    this.texts.unshift(...before.slice(-TEXTS));
  }

  #push(at: number, figures: Numbers): void {
    const before = this.times.at(-1);
    // A clock that is put back has nothing drawn backwards.
    if (before !== undefined && at <= before) {
      if (before - at > 60) this.#clear();
      else at = before + 0.001;
    }
    this.times.push(at);
    this.columns.forEach((column, i) => column.push(figures[i] ?? null));
    const old = at - this.#keep;
    if ((this.times[0] ?? at) < old - this.#keep * 0.1) {
      const from = this.times.findIndex((time) => time >= old);
      this.times.splice(0, from);
      this.columns.forEach((column) => column.splice(0, from));
    }
  }

  #clear(): void {
    this.times = [];
    this.columns = this.columns.map(() => []);
  }

  /** The figures at a place, or the latest. */
  at(place: number | null): Array<number | null> {
    return this.columns.map((column) => (place === null ? column.at(-1) : column[place]) ?? null);
  }
}

/** Of a sketch what was fed in the last minute, or all where that is not told. */
function lately(value: Value | undefined): Sketch {
  if (value === null || typeof value !== "object") return {};
  const sketch = value as Sketch;
  return sketch.last_minute ?? sketch;
}
