// What the tree's rows remember of values: the last few, and when one changed.

import type { Value } from "./api.ts";

/** Values that are kept of a path. */
export const KEPT = 40;
/** Paths of which they are kept. */
export const PATHS_MAX = 2000;

export interface Recent { value: Value; values: number[]; changes: number }

/** A value as one figure: a number, a text, or of a sketch its median or estimate. Null where there is none. */
export function figure(value: Value | undefined): number | string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "number" || typeof value === "string") return value;
  if (typeof value === "boolean") return value ? "true" : "false";
  const own = "" in value ? (value as { [key: string]: Value })[""] : undefined;
  if (own !== undefined) return figure(own);
  const sketch = value as { p50?: number; distinct?: number };
  return sketch.p50 ?? sketch.distinct ?? null;
}

export class Recents {
  readonly #all = new Map<string, Recent>();

  /** What is known of a path that is seen: it is the last to make room. */
  get(path: string): Recent | undefined {
    const there = this.#all.get(path);
    if (there !== undefined) this.#latest(path, there);
    return there;
  }

  /** Takes a value; true when it differs from the one before. `anew` says that nobody looked for long: what was before is no part of the line. */
  take(path: string, value: Value, anew = false): boolean {
    const there = this.#all.get(path);
    const now = figure(value);
    if (there === undefined) {
      // Those that were seen longest ago make room.
      if (this.#all.size >= PATHS_MAX) for (const old of [...this.#all.keys()].slice(0, PATHS_MAX / 4)) this.#all.delete(old);
      this.#all.set(path, { value, values: typeof now === "number" ? [now] : [], changes: 0 });
      return false;
    }
    this.#latest(path, there);
    const changed = figure(there.value) !== now;
    there.value = value;
    if (changed) there.changes += 1;
    if (anew) there.values = [];
    if (typeof now === "number") {
      there.values.push(now);
      if (there.values.length > KEPT) there.values.shift();
    }
    return changed;
  }

  /** A map is in the order in which its members were put into it. */
  #latest(path: string, there: Recent): void {
    this.#all.delete(path);
    this.#all.set(path, there);
  }
}
