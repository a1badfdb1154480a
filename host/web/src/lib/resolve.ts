// What a path is, asked for all panels of a page in one request.

import { get, halving, isTooLong, type Meta, said, type Value } from "./api.ts";
import { isPattern, steps } from "./path.ts";
import { type Kind, kindOf } from "./track.ts";

export interface Resolved {
  path: string;
  /** `list`: several nodes, a line each; `branch`: one without a value, whose children are listed; `none`: not there yet. */
  kind: Kind | "list" | "branch" | "none";
  meta: Meta;
  /** Of a list, what it found, the greatest first. */
  members: Array<{ path: string; kind: Kind; size: number }>;
  /** There are more than were looked at. */
  more: boolean;
  /** Why the daemon does not take the path. */
  refused?: string;
}

/** Matches of a list that are looked at: the first by their paths. */
export const LOOKED = 200;
/** Children that are looked at, for each path of a request, to tell a branch from what has a figure. */
const CHILDREN = 64;

/** Gathers what is asked for in one turn of the page, and asks once. */
function gathered<T>(ask: (paths: string[]) => Promise<Map<string, T>>): (path: string) => Promise<T | undefined> {
  let waiting: Promise<Map<string, T>> | null = null;
  let paths: string[] = [];
  return async (path) => {
    paths.push(path);
    waiting ??= Promise.resolve().then(() => {
      const all = [...new Set(paths)];
      paths = [];
      waiting = null;
      return ask(all);
    });
    return (await waiting).get(path);
  };
}

function size(value: Value | undefined): number {
  return typeof value === "number" ? Math.abs(value) : 0;
}

/** What is asked of the daemon; tests have their own. */
export type Get = typeof get;

/** What each of the paths is. */
export async function resolveAll(paths: readonly string[], ask: Get = get): Promise<Map<string, Resolved>> {
  const all = new Map<string, Resolved>();
  const none = (path: string, refused: string) => all.set(path, { path, kind: "none", meta: {}, members: [], more: false, refused });
  const fit = paths.filter((path) => !isTooLong(path) || void none(path, "Its name is too long to be followed."));
  const lists = fit.filter((path) => steps(path).includes("*"));
  const plain = fit.filter((path) => !lists.includes(path));
  const counts = (rate: Value | undefined) => typeof rate === "number";
  const ofPlain = async (plain: readonly string[]) => {
    const [values, rates] = await Promise.all([
      // A folding path has a figure; another shows by what hangs below it that it is a branch.
      ask(plain, { depth: 1, meta: true, limit: CHILDREN * plain.length }), ask(plain, { as: "rate", depth: 0 })]);
    if (values.truncated) {
      // A large branch leaves no room for those behind it: each of these by itself, and no more of it than tells what it is.
      await Promise.all(plain.map(async (path, i) => {
        const is = values.found[i]?.[path];
        if (is !== null && is !== undefined && (typeof is !== "object" || Object.keys(is).length > 0)) return;
        const one = await ask([path], { depth: 1, meta: true, limit: 2 });
        values.found[i] = one.found[0] ?? {};
        values.metas[i] = one.metas[0] ?? {};
      }));
    }
    plain.forEach((path, i) => {
      const value = values.found[i]?.[path];
      const rate = rates.found[i]?.[path];
      const folded = isPattern(path) && value !== null && typeof value === "object" && !("" in value);
      const kind = folded ? kindOf(0, counts(rate)) : kindOf(value, counts(rate));
      all.set(path, {
        path, kind: kind ?? (value === null || value === undefined ? "none" : "branch"), meta: values.metas[i]?.[path] ?? {}, members: [], more: false,
      });
    });
  };
  const ofList = async (path: string) => {
    const [values, rates] = await Promise.all([
      ask([path], { depth: 0, meta: true, limit: LOOKED }), ask([path], { as: "rate", limit: LOOKED })]);
    const found = Object.entries(values.found[0] ?? {});
    const rate = rates.found[0] ?? {};
    const members = found.flatMap(([member, value]) => {
      const kind = kindOf(value, counts(rate[member]));
      return kind === null ? [] : [{ path: member, kind, size: size(value) }];
    });
    members.sort((a, b) => b.size - a.size || (a.path < b.path ? -1 : 1));
    const meta = values.metas[0]?.[members[0]?.path ?? ""] ?? {};
    all.set(path, { path, kind: members.length > 0 ? "list" : "none", meta, members, more: values.truncated });
  };
  const refused = (path: string, why: Error) => { none(path, said(why)); };
  await Promise.all([halving(plain, ofPlain, refused), ...lists.map((list) => halving([list], () => ofList(list), refused))]);
  return all;
}

/** What a path is. */
export const resolve = gathered((paths) => resolveAll(paths));
