// What a path is, asked for all panels of a page in one request, and how it went on before anybody looked.

import { clockOffset, get, type Meta, trend, type Value } from "./api.ts";
import { isPattern, steps } from "./path.ts";
import { type Kind, kindOf, type Track } from "./track.ts";

export interface Resolved {
  path: string;
  /** `list`: several nodes, a line each; `branch`: one without a value, whose children are listed; `none`: not there yet. */
  kind: Kind | "list" | "branch" | "none";
  meta: Meta;
  /** Of a list, what it found, the greatest first. */
  members: Array<{ path: string; kind: Kind; size: number }>;
  /** There are more than were looked at. */
  more: boolean;
}

/** Matches of a list that are looked at. */
const LOOKED = 200;

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

async function resolveAll(paths: string[]): Promise<Map<string, Resolved>> {
  const all = new Map<string, Resolved>();
  const lists = paths.filter((path) => steps(path).includes("*"));
  const plain = paths.filter((path) => !lists.includes(path));
  const counts = (rate: Value | undefined) => typeof rate === "number";
  const ofPlain = async () => {
    if (plain.length === 0) return;
    const [values, rates] = await Promise.all([
      // A folding path has a figure; another shows by what hangs below it that it is a branch.
      get(plain, { depth: 1, meta: true, limit: 20_000 }), get(plain, { as: "rate", limit: 20_000 })]);
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
  const ofLists = lists.map(async (path) => {
    const [values, rates] = await Promise.all([
      get([path], { depth: 0, meta: true, limit: LOOKED }), get([path], { as: "rate", limit: LOOKED })]);
    const found = Object.entries(values.found[0] ?? {});
    const rate = rates.found[0] ?? {};
    const members = found.flatMap(([member, value]) => {
      const kind = kindOf(value, counts(rate[member]));
      return kind === null ? [] : [{ path: member, kind, size: size(value) }];
    });
    members.sort((a, b) => b.size - a.size || (a.path < b.path ? -1 : 1));
    const meta = values.metas[0]?.[members[0]?.path ?? ""] ?? {};
    all.set(path, { path, kind: members.length > 0 ? "list" : "none", meta, members, more: values.truncated });
  });
  await Promise.all([ofPlain(), ...ofLists]);
  return all;
}

/** What a path is. */
export const resolve = gathered(resolveAll);

interface Line { from?: number; step?: number; times?: number[]; events?: Array<[number, string | boolean | null]>; [figure: string]: unknown }

/** What is asked of history for each kind; figures in the order of its columns. */
const ASKED: { [kind in Kind]: { as: string; figures: string[]; step: number } } = {
  number: { as: "value", figures: ["values"], step: 10 },
  counter: { as: "rate", figures: ["values"], step: 10 },
  quantiles: { as: "p99,p90,p50", figures: ["p99", "p90", "p50"], step: 60 },
  distinct: { as: "value", figures: ["values"], step: 60 },
  text: { as: "value", figures: [], step: 10 },
};

/** A track and the stretch (s) of which it wants to know what was. */
export interface Wanted { track: Track; from: number; to: number }

/** History put into tracks: a request a kind, over all that is wanted of it. What has none stays as it is. */
export async function prefill(wanted: readonly Wanted[]): Promise<void> {
  const ahead = clockOffset() / 1000;
  await Promise.all((Object.keys(ASKED) as Kind[]).map(async (kind) => {
    const some = wanted.filter(({ track }) => track.kind === kind);
    if (some.length === 0) return;
    const { as, figures, step } = ASKED[kind];
    const begin = Math.floor((Math.min(...some.map(({ from }) => from)) + ahead) / step) * step;
    const end = Math.ceil(Math.max(...some.map(({ to }) => to)) + ahead);
    const lines = await trend<Array<{ [path: string]: Line }>>(some.map(({ track }) => track.path),
      { from: begin, to: end, step: `${step}s`, ...(kind === "text" ? {} : { as }) });
    some.forEach(({ track, from, to }, i) => {
      const line = lines[i]?.[track.path];
      if (!line) return;
      if (kind === "text") {
        const events = (line.events ?? []).filter(([, text]) => text !== null);
        track.begin(events.map(([at, text]) => ({ at: Math.max(at - ahead, from), text: String(text) })));
        return;
      }
      const columns = figures.map((figure) => (line[figure] ?? []) as Array<number | null>);
      // What a step tells is of all of it: it stands in its middle.
      const times = columns[0]?.map((_, n) => (line.times?.[n] ?? (line.from ?? 0) + n * (line.step ?? step)) + step / 2 - ahead) ?? [];
      track.fill(from, to, times, columns);
    });
  }));
}

let waiting: Array<Wanted & { done: () => void }> = [];

/** The same, for tracks that begin at about the same time together; `done` is called when there is something to draw. */
export function fill(track: Track, [from, to]: readonly [number, number], done: () => void): void {
  waiting.push({ track, from, to, done });
  if (waiting.length > 1) return;
  setTimeout(() => {
    const all = waiting;
    waiting = [];
    // Where there is no history, what comes from now on is all there is.
    prefill(all).then(() => all.forEach((one) => one.done()), () => undefined);
  }, 30);
}
