// What is set beside what: `/diff/A/B?at=T&bt=T&as=FIGURE&span=10m`. A and B are paths, a segment of the URL each.

import { canonical } from "../../lib/address.ts";
import { before, timeOf } from "../trend/state.ts";

export interface Side {
  path: string;
  /** As `/trend/` takes it; empty for now. */
  time: string;
}

export interface DiffState {
  a: Side;
  b: Side;
  /** Which figure; empty for what each node's action says. */
  as: string;
  /** How long before a time is looked at, where one is told. */
  span: string;
}

export const SPAN = "10m";

/** A path as a segment of a URL. One that is dots alone would lead elsewhere. */
export function segmentOf(path: string): string {
  return encodeURIComponent(/^\.{1,2}$/.test(path) ? path.replaceAll(".", "%2E") : path);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Reads the URL; null where it names no two paths. */
export function read(pathname: string, query: string): DiffState | null {
  const [, a, b] = /^\/diff\/([^/]*)\/([^/]*)$/.exec(pathname) ?? [];
  if (a === undefined || b === undefined) return null;
  const told = new URLSearchParams(query);
  const time = (name: string) => {
    const text = told.get(name) ?? "";
    return text === "now" || timeOf(text, 0) === null ? "" : text;
  };
  const span = told.get("span") ?? SPAN;
  return {
    a: { path: canonical(decoded(a)), time: time("at") },
    b: { path: canonical(decoded(b)), time: time("bt") },
    as: (told.get("as") ?? "").slice(0, 32),
    span: before(`-${span}`) === null ? SPAN : span,
  };
}

/** The URL of it. */
export function written({ a, b, as, span }: DiffState): string {
  const more = Object.entries({ at: a.time, bt: b.time, as, span: span === SPAN ? "" : span }).filter(([, value]) => value !== "")
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
  return `/diff/${segmentOf(a.path)}/${segmentOf(b.path)}${more === "" ? "" : `?${more}`}`;
}
