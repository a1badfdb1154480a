// Two subtrees set side by side, leaf by leaf.

import type { Value } from "../../lib/api.ts";
import { inPath, isBelow, outOfPath, steps } from "../../lib/path.ts";

export type Leaf = number | string | boolean;
/** Leaves by their path from the node on; the node's own value is at the empty path. */
export type Leaves = Map<string, Leaf>;

export interface Row {
  /** From the two nodes on. */
  path: string;
  /** As it is shown: keys as they are. */
  label: string;
  a: Leaf | undefined;
  b: Leaf | undefined;
  /** B less A, of numbers. */
  change: number | null;
  /** The change as a share of the greater of both, from -1 to 1; of what is not on both sides, or no number, ±1. */
  share: number;
}

/** Figures of sketches that are set side by side. */
const FIGURES = ["count", "p50", "p90", "p99", "distinct"] as const;

/** Whether an object is a sketch's figures, and no branch with such keys. */
function isSketch(value: { [key: string]: unknown }): boolean {
  return typeof value["last_minute"] === "object" && (typeof value["count"] === "number" || typeof value["distinct"] === "number");
}

/** Takes in what `/get/` said of a path. */
export function flatten(value: Value | undefined, path: string, into: Leaves): void {
  if (value === null || value === undefined) return;
  if (typeof value !== "object") {
    into.set(path, value);
    return;
  }
  const object = value as { [key: string]: Value };
  if (isSketch(object)) {
    for (const figure of FIGURES) {
      const told = object[figure];
      if (typeof told === "number") into.set(`${path}\n${figure}`, told);
    }
    return;
  }
  for (const [key, below] of Object.entries(object)) {
    if (key === "") flatten(below, path, into);
    else flatten(below, path === "" ? inPath(key) : `${path},${inPath(key)}`, into);
  }
}

/** A found path from what was asked for on; of one that lists or folds, without the keys that both have. */
export function relative(found: string, asked: string): string {
  if (found === asked) return "";
  if (!asked.includes("*") && isBelow(found, asked)) return asked === "" ? found : found.slice(asked.length + 1);
  const pattern = steps(asked);
  return steps(found).filter((step, i) => step !== pattern[i]).join(",");
}

/** A path from the node on as it is read. */
export function labelOf(path: string): string {
  const [keys = "", figure] = path.split("\n");
  const text = keys === "" ? "" : steps(keys).map(outOfPath).join(" › ");
  return [text, figure].filter((part) => part !== undefined && part !== "").join(" · ");
}

function row(path: string, a: Leaf | undefined, b: Leaf | undefined): Row {
  const numbers = typeof a === "number" && typeof b === "number";
  const change = numbers ? b - a : null;
  const most = numbers ? Math.max(Math.abs(a), Math.abs(b)) : 0;
  const share = change === null ? (a === b ? 0 : a === undefined || b !== undefined ? 1 : -1) : most === 0 ? 0 : Math.max(-1, Math.min(1, change / most));
  return { path, label: labelOf(path), a, b, change, share };
}

/** All leaves of both sides. */
export function rows(a: Leaves, b: Leaves): Row[] {
  return [...new Set([...a.keys(), ...b.keys()])].map((path) => row(path, a.get(path), b.get(path)));
}

export type Order = "share" | "change" | "path" | "a" | "b";

const texts = new Intl.Collator("en", { numeric: true });
const rank = ({ share, a, b }: Row) => (a === undefined || b === undefined ? -1 : Math.abs(share));
const size = (leaf: Leaf | undefined) => (typeof leaf === "number" ? leaf : -Infinity);

/** Sorted, greatest first, but for paths; ties by path. */
export function sorted(all: readonly Row[], order: Order, turned: boolean): Row[] {
  const by: { [order in Order]: (x: Row, y: Row) => number } = {
    path: (x, y) => texts.compare(x.label, y.label),
    // What is on one side alone comes behind what can be set side by side.
    share: (x, y) => rank(y) - rank(x),
    change: (x, y) => Math.abs(y.change ?? 0) - Math.abs(x.change ?? 0),
    a: (x, y) => (size(x.a) === size(y.a) ? 0 : size(y.a) - size(x.a)),
    b: (x, y) => (size(x.b) === size(y.b) ? 0 : size(y.b) - size(x.b)),
  };
  const sign = turned ? -1 : 1;
  return [...all].sort((x, y) => sign * by[order](x, y) || texts.compare(x.label, y.label));
}
