// What a realtime page shows, as its address has it: `?key-cpu,,idle&key-load,,one&window=300`. A link shows the same.

import type { View } from "./api.ts";
import { inPath, keyArgument, outOfPath, steps } from "./path.ts";

/** Lengths that a window may have (s). */
export const WINDOWS = [60, 300, 900, 3600] as const;
export const WINDOW = 300;

/** Letters of an address from which on the daemon may not take it: its path and query have 65,534 at most. */
const LONG = 65_000;

/** Whether an address is too long to be loaded again. */
export function isLong(href: string): boolean {
  return href.length > LONG;
}

export interface Shown { keys: string[]; window: number }

/** A path as the daemon writes it, whatever was typed: no escape but those it needs, no blanks around. */
export function canonical(text: string): string {
  return steps(text.trim()).map((step) => (step === "*" ? "*" : inPath(outOfPath(step)))).join(",");
}

function windowOf(value: unknown): number {
  return WINDOWS.find((one) => one === Number(value)) ?? WINDOW;
}

/** Reads what an address asks for. */
export function read(search: string): Shown {
  const keys: string[] = [];
  let window: number = WINDOW;
  for (const part of search.replace(/^\?/, "").split("&")) {
    const plain = outOfPath(part.replaceAll("+", " "));
    if (plain.startsWith("key-") || plain.startsWith("key=")) {
      const key = canonical(plain.slice(4));
      if (key !== "" && !keys.includes(key)) keys.push(key);
    } else if (plain.startsWith("window=")) {
      window = windowOf(plain.slice(7));
    }
  }
  return { keys, window };
}

/** Writes it. */
export function write({ keys, window }: Shown): string {
  const all = [...keys.map(keyArgument), ...(window === WINDOW ? [] : [`window=${window}`])];
  return all.length === 0 ? "" : `?${all.join("&")}`;
}

/** What a view shows. */
export function ofView(view: View): Shown {
  return { keys: [...new Set(view.charts.map(({ key }) => canonical(key)))].filter((key) => key !== ""), window: windowOf(view["window"]) };
}

/** A view of what is shown, with whatever else the views before it have: of the same charts, and of itself. */
export function asView(name: string, { keys, window }: Shown, before: ReadonlyArray<View | null | undefined>): View {
  const there = before.filter((view): view is View => view !== null && view !== undefined);
  const charts = keys.map((key) => ({ ...there.flatMap((view) => view.charts).find((chart) => canonical(chart.key) === key), key }));
  return { ...there[0], name, charts, window };
}

/** The name of the view in a page's path; null where it is of none. */
export function viewName(pathname: string): string | null {
  const name = /^\/realtime\/view\/([^/]+)$/.exec(pathname)?.[1];
  return name === undefined ? null : outOfPath(name);
}
