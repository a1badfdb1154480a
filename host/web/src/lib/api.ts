// What the daemon is asked. Errors come as `Failed`, with a text that says what to do.

import { keyArgument, rest, segment } from "./path.ts";
import { sessionOver } from "./session.ts";

/** A sketch of a distribution or a count of different ones, since the start and of the last minute. */
export interface Sketch {
  count?: number; sum?: number; min?: number; max?: number;
  p50?: number; p90?: number; p95?: number; p99?: number; p999?: number;
  distinct?: number;
  last_minute?: Sketch;
}

/** What a node is worth: a leaf's value, or an object of what hangs below it with the own value at `""`. */
export type Value = number | string | boolean | null | { [key: string]: Value } | Sketch;

/** What is told of a value beside it. */
export interface Meta { units?: string; title?: string; description?: string; [key: string]: unknown }

/** A child of a node, as `/api/ls/` lists it. */
export interface Entry {
  key: string;
  value?: Value;
  action?: string | null;
  /** A `branch` has no figure, or one whose fold would take too long here: its value is null. */
  kind?: "number" | "text" | "quantiles" | "distinct" | "top" | "branch";
  /** How many children it has itself. */
  children?: number;
  /** The tick in which it or something below it changed last. */
  changed?: number;
}

/** A page of children; `total` is how many there are that can be listed, when that was asked. */
/** A page of children; `more` says that there are others behind these. */
export interface Listing { total: number; tick: number; children: Entry[]; more: boolean }
export interface Found { path: string; [more: string]: unknown }
export interface ViewChart { key: string; [more: string]: unknown }
export interface View { name: string; charts: ViewChart[]; [more: string]: unknown }

/** A request that was not answered with what it asks for. */
export class Failed extends Error {
  /** The status of the answer; 0 when there was none. */
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.name = "Failed";
    this.status = status;
  }

  /** Whether nobody answered at all, or it is about to end: it may be back soon. */
  get offline(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 503;
  }

  /** Whether it is this request that the daemon does not take: the same again is refused again. */
  get refused(): boolean {
    return this.status >= 400 && this.status < 500 && ![401, 408, 429].includes(this.status);
  }
}

/** An answer with what its headers say; `tag` is its `ETag`. */
export interface Answer<T> { body: T; tick: number; truncated: boolean; forgot: boolean; tag: string | null }

/** A request. */
export interface Asking {
  signal?: AbortSignal | undefined; method?: string; body?: unknown; accept?: string;
  /** How long it may take (ms); {@link ANSWER_MAX} unless told, and for ever with Infinity. */
  most?: number;
  /** The tag of what may be changed; what has another by now is left as it is, and 412 is thrown. */
  seen?: string | null;
}

/** An answer takes so long at most (ms): on a connection that died unseen there is none, and a system tells that after minutes. */
export const ANSWER_MAX = 15_000;
/** A year of many lines takes its time. */
const TREND_MAX = 60_000;

/** The text of whatever was thrown. */
export function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Whether this is but a request that was given up. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

let offset = 0;

/** How far the daemon's clock is ahead of the browser's (ms): what the one says of times is shown by the other. */
export function clockOffset(): number {
  return offset;
}

/** A `Date` has whole seconds, and an answer its way: less than this is no difference. */
const OFFSET_MIN = 2_000;
/** An answer that took longer (ms) says nothing of a clock. */
const QUICK = 1_000;

/**
 * How far a clock is ahead (ms), by an answer's `Date` and when it was asked for and came (ms since 1970, this clock): its middle is
 * that of the way. Null where the way was too long to tell.
 */
export function ahead(date: number, asked: number, came: number): number | null {
  if (Number.isNaN(date) || came - asked > QUICK) return null;
  // Seconds are cut, not rounded.
  const by = date + 500 - (asked + came) / 2;
  return Math.abs(by) < OFFSET_MIN ? 0 : by;
}

/** Sends a request; what is no success is thrown as {@link Failed}. */
export async function send(url: string, asking: Asking): Promise<Response> {
  const headers: Record<string, string> = { Accept: asking.accept ?? "application/json" };
  const init: RequestInit = { headers, method: asking.method ?? "GET", cache: "no-store" };
  const most = asking.most ?? ANSWER_MAX;
  const signals = [...(asking.signal ? [asking.signal] : []), ...(most === Infinity ? [] : [AbortSignal.timeout(most)])];
  if (signals.length > 0) init.signal = AbortSignal.any(signals);
  if (asking.seen) headers["If-Match"] = asking.seen;
  if (asking.body !== undefined) {
    headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(asking.body);
  }
  const asked = Date.now();
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Failed("The daemon does not answer.", 0);
  }
  offset = ahead(Date.parse(response.headers.get("Date") ?? ""), asked, Date.now()) ?? offset;
  if (response.status === 401) sessionOver();
  if (!response.ok) {
    const told: unknown = await response.json().catch(() => null);
    const why = told !== null && typeof told === "object" && "error" in told ? String(told.error) : "";
    throw new Failed(why || `${response.status} ${response.statusText}`, response.status);
  }
  return response;
}

/** Asks for JSON. */
export async function ask<T>(url: string, asking: Asking = {}): Promise<Answer<T>> {
  const response = await send(url, asking);
  const { headers } = response;
  let body: T;
  try {
    const text = await response.text();
    body = (text === "" ? null : JSON.parse(text)) as T;
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Failed("The daemon's answer broke off.", 0);
  }
  return {
    body,
    tick: Number(headers.get("X-Tick") ?? 0),
    truncated: headers.get("X-Truncated") === "1",
    forgot: headers.get("X-Forgot") === "1",
    tag: headers.get("ETag"),
  };
}

/** Paths in one request at most (the daemon's limit). */
export const PATHS_MAX = 256;
/** Bytes of them, well below what the daemon takes of a head. */
const URL_BYTES_MAX = 48 * 1024;

/** Bytes of one that no request takes: a URL has 65,534 at most, and a key of 16 kB has 80 kB in it where each letter is escaped. */
const PATH_BYTES_MAX = 64_000;

/** Whether a path is longer than what can be asked for. */
export function isTooLong(path: string): boolean {
  return path.length * 9 > PATH_BYTES_MAX && keyArgument(path).length > PATH_BYTES_MAX;
}

/**
 * Asks for all at once; where that is refused, for each half of it, so that one which the daemon does not take is no other's loss.
 * `refused` is told of each that is refused by itself. Other failures are thrown.
 */
export async function halving<T>(all: readonly T[], ask: (some: readonly T[]) => Promise<void>, refused: (one: T, why: Failed) => void): Promise<void> {
  try {
    if (all.length > 0) await ask(all);
  } catch (error) {
    if (!(error instanceof Failed) || !error.refused) throw error;
    const [one] = all;
    if (all.length === 1 && one !== undefined) return refused(one, error);
    const half = Math.ceil(all.length / 2);
    await halving(all.slice(0, half), ask, refused);
    await halving(all.slice(half), ask, refused);
  }
}

/** Paths in groups that fit into a request each. */
export function groups(paths: readonly string[]): string[][] {
  const all: string[][] = [];
  let bytes = URL_BYTES_MAX;
  for (const path of paths) {
    const size = keyArgument(path).length + 1;
    const last = all.at(-1);
    if (last === undefined || last.length === PATHS_MAX || bytes + size > URL_BYTES_MAX) {
      all.push([path]);
      bytes = size;
    } else {
      last.push(path);
      bytes += size;
    }
  }
  return all;
}

export interface GetOptions { as?: string; window?: "1m"; depth?: number; limit?: number; meta?: boolean; signal?: AbortSignal | undefined }

/** What `/get/` found: for each path asked for, an object with a member a match. */
export interface Got { found: Array<{ [path: string]: Value }>; metas: Array<{ [path: string]: Meta }>; tick: number; truncated: boolean }

/** What paths are worth now. The tick is that of the oldest answer, from which `/pull/` goes on without a gap. */
export async function get(paths: readonly string[], options: GetOptions = {}): Promise<Got> {
  const got: Got = { found: [], metas: [], tick: Infinity, truncated: false };
  const more = Object.entries({ as: options.as, window: options.window, depth: options.depth, limit: options.limit, meta: options.meta ? 1 : undefined })
    .filter(([, value]) => value !== undefined).map(([name, value]) => `&${name}=${value}`).join("");
  for (const group of groups(paths)) {
    const url = `/get/?${group.map(keyArgument).join("&")}${more}`;
    const answer = await ask<Array<{ [path: string]: Value }>>(url, { signal: options.signal });
    for (const object of answer.body) {
      if (options.meta) {
        // A node that is called as the member of metadata is has its name escaped.
        const { meta, "%6Deta": named, ...found } = object;
        if (named !== undefined) found["meta"] = named;
        got.found.push(found);
        got.metas.push((meta ?? {}) as unknown as { [path: string]: Meta });
      } else {
        got.found.push(object);
      }
    }
    got.tick = Math.min(got.tick, answer.tick);
    got.truncated ||= answer.truncated;
  }
  return got;
}

/** The children of a node, from the one after `after` on, sorted by key. */
export async function ls(path: string, after: string | null, limit: number, signal?: AbortSignal): Promise<Listing> {
  const from = after === null ? "" : `&after=${encodeURIComponent(after)}`;
  const { body, truncated } = await ask<Omit<Listing, "more">>(`/api/ls/${rest(path)}?limit=${limit}${from}`, { signal });
  return { ...body, more: truncated };
}

/** Paths that look like a text, best first. */
export async function find(text: string, limit: number, signal?: AbortSignal): Promise<Found[]> {
  const { body } = await ask<unknown>(`/api/find?q=${encodeURIComponent(text)}&limit=${limit}`, { signal });
  const list = Array.isArray(body) ? body : ((body as { found?: unknown[] } | null)?.found ?? []);
  return list.map((one) => (typeof one === "string" ? { path: one } : (one as Found)));
}

/** The arguments of `/trend/` beside its paths; see docs/TREND.md. */
export type TrendOptions = { [name: string]: string | number | undefined };

/** How paths went on. */
export async function trend<T = unknown>(paths: readonly string[], options: TrendOptions, signal?: AbortSignal): Promise<T> {
  const more = Object.entries(options).filter(([, value]) => value !== undefined)
    .map(([name, value]) => `&${name}=${encodeURIComponent(String(value))}`).join("");
  return (await ask<T>(`/trend/?${paths.map(keyArgument).join("&")}${more}`, { signal, most: TREND_MAX })).body;
}

/** The views at one time, and the tag of all of them. */
export interface Kept { views: View[]; tag: string | null }

/** The views that are kept. They are changed only where they are still as they were `seen`, by their tag. */
export const views = {
  list: async (signal?: AbortSignal): Promise<View[]> => (await views.kept(signal)).views,
  kept: async (signal?: AbortSignal): Promise<Kept> => {
    const { body, tag } = await ask<View[]>("/setting/view", { signal });
    return { views: body, tag };
  },
  /** Makes or changes a view; `was` is its name until now, where that is another. */
  put: (view: View, seen: string | null, was = view.name) => ask<unknown>(`/setting/view/${segment(was)}`, { method: "PUT", body: view, seen }),
  remove: (name: string, seen: string | null) => ask<unknown>(`/setting/view/${segment(name)}`, { method: "DELETE", seen }),
  replace: (all: View[], seen: string | null) => ask<unknown>("/setting/view", { method: "POST", body: all, seen }),
};
