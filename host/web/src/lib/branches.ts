// The tree as far as somebody has opened it: branches that are loaded a page at a time, and the rows that they make.

import { Failed, isAbort, type Listing, type Entry, said } from "./api.ts";
import { child } from "./path.ts";

/** Children that are asked for at a time. */
export const PAGE = 200;

/** A node that has been seen. */
export interface Branch {
  path: string;
  entry: Entry;
  /** How deep it hangs; the children of the root are at 1. */
  depth: number;
  /** Its place among its siblings, from 1 on. */
  place: number;
  above: Branch | null;
  open: boolean;
  loading: boolean;
  error: string | null;
  /** Those that are loaded. */
  children: Branch[];
  /** How many it has, when they were last asked for. */
  total: number;
  /** How often children were loaded: what was asked before is not put over what came since. */
  loads: number;
}

/** A line of the tree: a node, or what stands in place of children that are not loaded. */
export interface Row { kind: "node" | "more" | "error"; of: Branch }

export type List = (path: string, after: string | null, limit: number) => Promise<Listing>;

function branch(path: string, entry: Entry, depth: number, place: number, above: Branch | null): Branch {
  return { path, entry, depth, place, above, open: false, loading: false, error: null, children: [], total: entry.children ?? 0, loads: 0 };
}

/** Whether a key comes behind another in the daemon's order, that of their bytes. */
export function isBehind(key: string, other: string): boolean {
  const [a, b] = [[...key], [...other]];
  const at = a.findIndex((letter, i) => letter !== b[i]);
  if (at === -1) return false;
  const [letter, than] = [a[at]?.codePointAt(0) ?? 0, b[at]?.codePointAt(0) ?? -1];
  return letter > than;
}

export class Branches {
  readonly root: Branch = branch("", { key: "" }, 0, 1, null);
  rows: Row[] = [];
  readonly #list: List;
  readonly #changed: () => void;

  constructor(list: List, changed: () => void) {
    this.#list = list;
    this.#changed = changed;
  }

  /** Whether a node has something below it that can be opened. */
  static opens(of: Branch): boolean {
    return (of.entry.children ?? 0) > 0;
  }

  /** Opens a branch and loads what is below it. */
  async open(of: Branch): Promise<void> {
    of.open = true;
    this.#lay();
    if (of.children.length === 0) await this.more(of);
  }

  close(of: Branch): void {
    of.open = false;
    this.#lay();
  }

  /** Loads the next page of children. */
  async more(of: Branch): Promise<void> {
    if (of.loading) return;
    of.loading = true;
    of.loads += 1;
    of.error = null;
    this.#lay();
    try {
      const after = of.children.at(-1)?.entry.key ?? null;
      const { total, children } = await this.#list(of.path, after, PAGE);
      const from = of.children.length;
      of.total = children.length === 0 ? from : Math.max(total, from + children.length);
      children.forEach((entry, i) => of.children.push(branch(child(of.path, entry.key), entry, of.depth + 1, from + i + 1, of)));
    } catch (error) {
      if (!isAbort(error)) of.error = error instanceof Failed && error.status === 404 ? "It is not there any more." : said(error);
    }
    of.loading = false;
    this.#lay();
  }

  /** Asks anew for the first children of a branch: values, how much hangs below, and what came or went. */
  async refresh(of: Branch): Promise<void> {
    if (of.loading) return;
    const loads = of.loads;
    const limit = Math.min(Math.max(PAGE, of.children.length), 1000);
    const { total, children } = await this.#list(of.path, null, limit);
    // A page was asked for meanwhile: it is put behind the children that were there then, and this may know those that it brings.
    if (of.loads !== loads) return;
    const known = new Map(of.children.map((one) => [one.entry.key, one]));
    const last = children.at(-1)?.key;
    const whole = children.length >= total;
    const fresh = children.map((entry) => {
      const there = known.get(entry.key);
      known.delete(entry.key);
      if (there) there.entry = entry;
      return there ?? branch(child(of.path, entry.key), entry, of.depth + 1, 0, of);
    });
    // What lies behind the pages that were asked for stays as it was.
    const behind = whole || last === undefined ? [] : of.children.filter(({ entry }) => isBehind(entry.key, last));
    of.children = [...fresh, ...behind];
    of.children.forEach((one, i) => { one.place = i + 1; });
    of.total = Math.max(total, of.children.length);
    this.#lay();
  }

  #lay(): void {
    const rows: Row[] = [];
    const walk = (of: Branch) => {
      for (const one of of.children) {
        rows.push({ kind: "node", of: one });
        if (one.open) walk(one);
      }
      if (of.error !== null) rows.push({ kind: "error", of });
      else if (of.children.length < of.total || of.loading) rows.push({ kind: "more", of });
    };
    walk(this.root);
    this.rows = rows;
    this.#changed();
  }
}
