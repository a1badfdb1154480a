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
}

/** A line of the tree: a node, or what stands in place of children that are not loaded. */
export interface Row { kind: "node" | "more" | "error"; of: Branch }

/** Which row the focus goes to from `at`, when it is sent to `to`: a node, the next one that way, else the last one before. */
export function nodeAt(rows: readonly Row[], at: number, to: number): number {
  const way = to < at ? -1 : 1;
  const aim = Math.min(Math.max(to, 0), rows.length - 1);
  for (let next = aim; next >= 0 && next < rows.length; next += way) if (rows[next]?.kind === "node") return next;
  for (let next = aim; next !== at && next >= 0 && next < rows.length; next -= way) if (rows[next]?.kind === "node") return next;
  return at;
}

/** How the daemon sorts keys, by their bytes: which is by their characters, and not by the halves that JavaScript makes of some. */
export function byBytes(a: string, b: string): number {
  for (let at = 0; at < a.length && at < b.length; at += 1) {
    const [one, other] = [rank(a.charCodeAt(at)), rank(b.charCodeAt(at))];
    if (one !== other) return one - other;
  }
  return a.length - b.length;
}

/** Halves of characters come behind all that are whole. */
function rank(half: number): number {
  return half >= 0xd800 && half < 0xe000 ? half + 0x10000 : half;
}

function why(error: unknown): string {
  return error instanceof Failed && error.status === 404 ? "It is not there any more." : said(error);
}

export type List = (path: string, after: string | null, limit: number) => Promise<Listing>;

function branch(path: string, entry: Entry, depth: number, place: number, above: Branch | null): Branch {
  return { path, entry, depth, place, above, open: false, loading: false, error: null, children: [], total: entry.children ?? 0 };
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
    of.error = null;
    this.#lay();
    try {
      const after = of.children.at(-1)?.entry.key ?? null;
      this.#merge(of, after, await this.#list(of.path, after, PAGE));
    } catch (error) {
      if (!isAbort(error)) of.error = why(error);
    }
    of.loading = false;
    this.#lay();
  }

  /**
   * Asks anew for a page of the children that are loaded, from the one behind `after` on: values, how much hangs below, and what came or
   * went. Children that are not in that page stay as they were; those that are in it come back.
   */
  async refresh(of: Branch, after: string | null = null): Promise<Branch[]> {
    if (of.loading) return [];
    let fresh: Branch[] = [];
    try {
      fresh = this.#merge(of, after, await this.#list(of.path, after, PAGE));
      of.error = null;
    } catch (error) {
      // It went: what was below it is no longer shown as if it lived.
      if (!(error instanceof Failed && error.status === 404)) throw error;
      of.error = why(error);
      of.children = [];
      of.total = 0;
    }
    this.#lay();
    return fresh;
  }

  /** Takes what the daemon has behind `after` in place of what was known to be there, as far as the page goes: the rest stays. */
  #merge(of: Branch, after: string | null, { total, children: page, more }: Listing): Branch[] {
    const end = more ? page.at(-1)?.key ?? null : null;
    const before: Branch[] = [];
    const behind: Branch[] = [];
    const known = new Map<string, Branch>();
    for (const one of of.children) {
      if (after !== null && byBytes(one.entry.key, after) <= 0) before.push(one);
      else if (end !== null && byBytes(one.entry.key, end) > 0) behind.push(one);
      else known.set(one.entry.key, one);
    }
    const whole = of.children.length >= of.total;
    const fresh = page.map((entry) => {
      const there = known.get(entry.key);
      if (there) there.entry = entry;
      return there ?? branch(child(of.path, entry.key), entry, of.depth + 1, 0, of);
    });
    of.children = [...before, ...fresh, ...behind];
    of.children.forEach((one, i) => { one.place = i + 1; });
    // Only what reaches to the last that is known says whether there are any behind it: the total counts what came in between as well.
    const ended = behind.length > 0 ? whole : end === null || of.children.length >= total;
    of.total = ended ? of.children.length : Math.max(total, of.children.length + 1);
    return fresh;
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
