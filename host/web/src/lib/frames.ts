// What changed, as it is told to those who follow paths.

import type { Value } from "./api.ts";
import { parent } from "./path.ts";
import type { Told } from "./stream.ts";

/** Something that happened at a moment (ms since 1970, this browser's clock). */
export interface Frame {
  tick: number;
  at: number;
  /** Leaves by their paths, and what folds by the path as it was asked for. */
  changes: Map<string, Value>;
  /** Not what changed, but what is: the first answer, and the one after a break. */
  whole: boolean;
  /** How long nothing was heard of the path before it (ms); 0 but after a break. */
  gap: number;
  /** What changed did so after this tick; of what is asked for again and again a part of one. */
  after: number;
  /** It is asked for again and again, so often (ms); 0 where a stream tells it. */
  every: number;
}

/** Whether a path lists: whether each of its matches is told by its own. */
export function isList(path: string): boolean {
  return path.split(",").includes("*");
}

/** What is told, by the paths that are followed: each has what is at it, below it, or what it lists. */
export function shares(told: Told, followed: ReadonlyMap<string, unknown>): Map<string, Map<string, Value>> {
  const parts = new Map<string, Map<string, Value>>();
  const give = (to: string, path: string, value: Value) => {
    if (!followed.has(to)) return;
    const part = parts.get(to);
    if (part) part.set(path, value);
    else parts.set(to, new Map([[path, value]]));
  };
  const lists = [...followed.keys()].filter(isList);
  for (const one of told) {
    for (const [path, value] of Object.entries(one)) {
      // Who follows it, and who follows what is above it.
      for (let above: string | null = path; above !== null; above = parent(above)) give(above, path, value);
      for (const list of lists) if (listed(path, list)) give(list, path, value);
    }
  }
  return parts;
}

/** Whether a path is one that a path with `*` lists. */
function listed(path: string, list: string): boolean {
  const [found, wanted] = [path.split(","), list.split(",")];
  return found.length === wanted.length && wanted.every((step, i) => step === "*" || step === found[i]);
}
