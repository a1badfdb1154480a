// What has a history below a path: the tree knows what lives now, history what went as well.

import { Failed, ls, trend } from "../../lib/api.ts";
import { lastKey, parent } from "../../lib/path.ts";
import type { Answer } from "./data.ts";

/** A key that has a history; whether there is something below it, and whether it is no longer in the tree. */
export interface Once { path: string; key: string; branch: boolean; gone: boolean }

/** Children of a node that are looked at: of more it is not known which are gone. */
const LIVING_MAX = 1_000;

const byKey = new Intl.Collator("en", { numeric: true });

type Told = Answer[number][string];

/** Whether anything is known of it. What is asked for and was not there has gaps alone. */
function has({ values, events }: Told): boolean {
  return (values ?? []).some((value) => value !== null && value !== undefined) || (events ?? []).some(([, text]) => text !== null);
}

/** The keys of a level, of that level and of the one below it. `living` are those that are in the tree; null where that is not known. */
export function onceOf([here = {}, below = {}]: Answer, living: ReadonlySet<string> | null): Once[] {
  const branches = new Set(Object.entries(below).flatMap(([path, told]) => (has(told) ? [parent(path) ?? ""] : [])));
  const paths = new Set([...Object.entries(here).flatMap(([path, told]) => (has(told) ? [path] : [])), ...branches]);
  return [...paths].map((path) => {
    const key = lastKey(path);
    return { path, key, branch: branches.has(path), gone: living !== null && !living.has(key) };
  }).sort((a, b) => byKey.compare(a.key, b.key));
}

/** Asks for it, of a stretch of time (s); without an end it is now. What is below a node that is `gone` is gone as well. */
export async function past(path: string, gone: boolean, from: number, to: number | null, signal: AbortSignal): Promise<Once[]> {
  const level = path === "" ? "*" : `${path},*`;
  const living = gone ? new Set<string>() : ls(path, null, LIVING_MAX, signal).then(({ children, more }) => (more ? null : new Set(children.map(({ key }) => key))), (failed: unknown) => {
    // It went just now.
    if (failed instanceof Failed && failed.status === 404) return new Set<string>();
    throw failed;
  });
  const [found, there] = await Promise.all([
    trend<Answer>([level, `${level},*`], { from: Math.floor(from), to: to === null ? undefined : Math.ceil(to), step: "all" }, signal), living,
  ]);
  return onceOf(found, there);
}
