// What the leaves below a path are worth, now or at another time.

import { get, trend } from "../../lib/api.ts";
import { steps } from "../../lib/path.ts";
import { before, timeOf } from "../trend/state.ts";
import { flatten, type Leaves, relative } from "./rows.ts";
import type { Side } from "./state.ts";

/** Leaves of a side at most: a table of more is read by nobody. */
const LEAVES_MAX = 20_000;
/** Levels below a path that are looked for in history. */
const LEVELS = 6;

export interface Sided { leaves: Leaves; truncated: boolean }

async function now(path: string, as: string, signal: AbortSignal): Promise<Sided> {
  const got = await get([path], { as: as === "" ? undefined : as, limit: LEAVES_MAX, signal } as Parameters<typeof get>[1]);
  const leaves: Leaves = new Map();
  for (const [found, value] of Object.entries(got.found[0] ?? {})) flatten(value, relative(found, path), leaves);
  return { leaves, truncated: got.truncated };
}

type Told = { [path: string]: { values?: Array<number | null>; events?: Array<[number, string | null]> } };

async function then(path: string, at: number, span: number, as: string, signal: AbortSignal): Promise<Sided> {
  // History has leaves by their whole paths: each level is asked for, and what has something below it is no leaf.
  const paths = [path];
  for (let i = 0; i < LEVELS; i += 1) paths.push(paths[i] === "" ? "*" : `${paths[i]},*`);
  const asked = path === "" ? paths.slice(1) : paths;
  const answer = await trend<Told[]>(asked, { from: Math.floor(at - span), to: Math.ceil(at), step: "all", as: as === "" ? undefined : as }, signal);
  const found = new Map<string, number | string>();
  const branches = new Set<string>();
  const above = steps(path).length;
  // Where something is on the last level that was asked for, there may be more below.
  let truncated = false;
  for (const level of answer) {
    for (const [of, told] of Object.entries(level)) {
      const value = told.events ? told.events.at(-1)?.[1] : told.values?.findLast((one) => one !== null);
      if (value === null || value === undefined) continue;
      found.set(of, value);
      // What lies above it was folded of it.
      const keys = steps(of);
      if (keys.length > above) branches.add(keys.slice(0, -1).join(","));
      if (keys.length >= above + LEVELS) truncated = true;
    }
  }
  const leaves: Leaves = new Map();
  for (const [of, value] of found) {
    if (branches.has(of)) continue;
    if (leaves.size >= LEAVES_MAX) return { leaves, truncated: true };
    leaves.set(relative(of, path), value);
  }
  return { leaves, truncated };
}

/** Both sides. Where one has a time, both are read in history, so that they mean the same. */
export async function ask(a: Side, b: Side, as: string, span: string, clock: number, signal: AbortSignal): Promise<[Sided, Sided]> {
  const live = a.time === "" && b.time === "";
  const one = ({ path, time }: Side) =>
    live ? now(path, as, signal) : then(path, timeOf(time, clock) ?? clock, before(`-${span}`) ?? 600, as, signal);
  return Promise.all([one(a), one(b)]);
}
