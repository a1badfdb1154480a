// Views as a file has them, which somebody takes along and brings back.

import type { View } from "./api.ts";
import { cut } from "./format.ts";
import { isDots } from "./path.ts";

/** Why a view cannot have this name; null where it can. Its address ends with it. */
export function nameFault(name: string): string | null {
  return isDots(name) ? `“${name}” is no name for a view: no address can end with it.` : null;
}

/** What a file holds, if it holds views; else why not. */
export function read(text: string): View[] | string {
  let all: unknown;
  try {
    all = JSON.parse(text);
  } catch {
    return "That is no JSON.";
  }
  if (!Array.isArray(all)) return "That is no list of views: it begins with [ and has an object for each.";
  for (const [i, view] of all.entries()) {
    if (typeof view?.name !== "string" || view.name === "") return `View ${i + 1} has no name.`;
    const fault = nameFault(view.name);
    if (fault !== null) return `View ${i + 1}: ${fault}`;
    if (!Array.isArray(view.charts) || view.charts.some((chart: unknown) => typeof (chart as { key?: unknown } | null)?.key !== "string")) {
      return `View ${i + 1}, “${cut(view.name, 40)}”, has no charts with a key each.`;
    }
  }
  return all as View[];
}

/** Views and those that are brought: one of the same name takes the other's place. */
export function together(there: readonly View[], brought: readonly View[]): View[] {
  const names = new Map(brought.map((view) => [view.name, view]));
  const kept = there.map((view) => {
    const taken = names.get(view.name);
    names.delete(view.name);
    return taken ?? view;
  });
  return [...kept, ...names.values()];
}

/** Views with one of them so many places further; null where it is not among them any more. */
export function moved(there: readonly View[], name: string, by: number): View[] | null {
  const at = there.findIndex((view) => view.name === name);
  const next = [...there];
  const [one] = at < 0 ? [] : next.splice(at, 1);
  if (!one) return null;
  next.splice(Math.max(0, at + by), 0, one);
  return next;
}
