// What the front page tells: who reports here, what is read, what moves. Asked for together, and made of what came.

import { ANSWER_MAX, type Entry, get, type Listing, ls } from "./api.ts";
import { type Module, modules } from "./modules.ts";
import { inPath, lastKey, parent, steps } from "./path.ts";

/** Whether it takes pushes; else why not. */
export interface Ready { ready: boolean; why: string | null }

/** A host that something is told of, and how long ago (ticks). */
export interface Host { name: string; silent: number; relayed: boolean }

/** A log that is read: so many lines a second. */
export interface Log { name: string; rate: number; lines: number }

/** A branch of the root. It counts where its fold is a sum; `grown` is by how much a second then. */
export interface Branch extends Entry { silent: number; counts: boolean; grown: number | null }

export interface Overview {
  at: number;
  ready: Ready;
  modules: Module[];
  root: Listing;
  hosts: Host[];
  logs: Log[];
  branches: Branch[];
  nodes: number | null;
  rss: number | null;
}

const LISTED = 1_000;
/** Branches of collectors in which hosts are looked for. */
const PLACES_MAX = 8;

async function readyz(signal: AbortSignal): Promise<Ready> {
  const response = await fetch("/readyz", { signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MAX)]), cache: "no-store" });
  const told = (await response.json()) as { ready?: boolean; why?: string };
  return { ready: told.ready === true, why: told.why ?? null };
}

/** Where collectors of this host hang theirs, other hosts' hang beside it. */
export function places(all: readonly Module[], host: string): string[] {
  const found = all.flatMap(({ branch }) => {
    const above = branch === null || lastKey(branch) !== host || steps(branch).length < 2 ? null : parent(branch);
    return above === null || above === "" ? [] : [above];
  });
  return [...new Set(found)].slice(0, PLACES_MAX);
}

/** All hosts of such branches, those first that were heard last. */
export function hostsOf(own: Listing, others: readonly Listing[]): Host[] {
  const hosts = new Map<string, Host>();
  const meet = ({ tick, children }: Listing, relayed: boolean) => {
    for (const { key, changed } of children) {
      const silent = Math.max(0, tick - (changed ?? tick));
      const known = hosts.get(key);
      hosts.set(key, { name: key, silent: Math.min(silent, known?.silent ?? Infinity), relayed: relayed || (known?.relayed ?? false) });
    }
  };
  meet(own, true);
  others.forEach((listing) => meet(listing, false));
  return [...hosts.values()].sort((a, b) => a.name.localeCompare(b.name));
}

/** Branches, those first that move: what grows fastest, then what changed last. */
export function busiest(root: Listing, before: Listing | null, seconds: number): Branch[] {
  const was = new Map(before?.children.map(({ key, value }) => [key, value]));
  const branches = root.children.map((entry): Branch => {
    const [now, then] = [entry.value, was.get(entry.key)];
    const counts = entry.kind === "top" || (entry.kind === "number" && (entry.action === "add" || entry.action === null || entry.action === undefined));
    const grown = counts && seconds > 0 && typeof now === "number" && typeof then === "number" && now >= then ? (now - then) / seconds : null;
    return { ...entry, silent: Math.max(0, root.tick - (entry.changed ?? root.tick)), counts, grown };
  });
  return branches.sort((a, b) => (b.grown ?? 0) - (a.grown ?? 0) || a.silent - b.silent || (b.children ?? 0) - (a.children ?? 0) || (a.key < b.key ? -1 : 1));
}

function number(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

/** Asks for all of it. */
export async function overview(host: string, before: Overview | null, signal: AbortSignal): Promise<Overview> {
  const own = `graftd,${inPath(host)}`;
  const figures = [`${own},tree,nodes`, `${own},process,rss`];
  const lines = `${own},log,*,lines`;
  const [ready, all, root, daemons, told, rates, counts] = await Promise.all([
    readyz(signal), modules(signal), ls("", null, LISTED, signal), ls("graftd", null, LISTED, signal),
    get(figures, { signal }), get([lines], { as: "rate", signal }), get([lines], { as: "value", signal }),
  ]);
  // One of them may be gone by now.
  const others = (await Promise.all(places(all, host).map((place) => ls(place, null, LISTED, signal).catch(() => null)))).filter((one) => one !== null);
  const at = performance.now();
  const logs = Object.entries(counts.found[0] ?? {}).map(([path, value]) => {
    const rate = number(rates.found[0]?.[path]) ?? 0;
    return { name: lastKey(parent(path) ?? ""), rate, lines: number(value) ?? 0 };
  });
  logs.sort((a, b) => b.rate - a.rate || b.lines - a.lines || (a.name < b.name ? -1 : 1));
  const seconds = before === null ? 0 : (at - before.at) / 1_000;
  return {
    at, ready, modules: all, root, logs,
    hosts: hostsOf(daemons, others),
    branches: busiest(root, before?.root ?? null, seconds),
    nodes: number(told.found[0]?.[figures[0] ?? ""]),
    rss: number(told.found[1]?.[figures[1] ?? ""]),
  };
}
