// The modules as the daemon lists them, and what is made of two such lists.

import { ask, said } from "./api.ts";
import { segment } from "./path.ts";

export type State = "off" | "probing" | "running" | "late" | "failing" | "rejected" | "stopped";

/** A module, as `/modules` tells of it. Times are texts as RFC 3339 has them, `cpu` and `lateness` seconds since it was first met. */
export interface Module {
  name: string;
  kind: string;
  file: string | null;
  state: State;
  since: string;
  why: string;
  next: string | null;
  isolation: string;
  runs: boolean;
  /** Where its values hang; null where that is not known. */
  branch: string | null;
  traceback?: string;
  calls: number;
  errors: number;
  cpu: number;
  late: number;
  lateness: number;
  restarts: number;
}

/** A module has come into a state. */
export interface Change { at: string; name: string; state: State; why: string }

export type To = "on" | "off" | "reload";

export async function modules(signal?: AbortSignal): Promise<Module[]> {
  return (await ask<Module[]>("/modules", { signal })).body;
}

/** The last changes, the newest first. */
export async function changes(signal?: AbortSignal): Promise<Change[]> {
  return (await ask<Change[]>("/modules/log", { signal })).body;
}

/** Switches a module; answers why not, if it cannot be. */
export async function switched(name: string, to: To): Promise<string | null> {
  try {
    await ask(`/modules/${segment(name)}/${to}`, { method: "POST" });
    return null;
  } catch (error) {
    return said(error);
  }
}

/** Whether somebody should look at it. */
export function isTrouble(module: Module): boolean {
  return module.state === "failing" || module.state === "rejected" || module.state === "late";
}

/** What part of a core a module took between two lists (0 to 1 and more); null where that cannot be told. */
export function load(now: Module, before: Module | undefined, seconds: number): number | null {
  if (!before || seconds <= 0 || now.cpu < before.cpu) return null;
  return (now.cpu - before.cpu) / seconds;
}

/** The modules that have a text in their name, kind, state or reason; those in a state where the text is one. */
export function matching(all: readonly Module[], text: string): Module[] {
  const wanted = text.trim().toLowerCase();
  if (STATES.some((state) => state === wanted)) return all.filter(({ state }) => state === wanted);
  return all.filter(({ name, why, state, kind }) => [name, why, state, kind].some((one) => one.toLowerCase().includes(wanted)));
}

/** All states, those first that want somebody. */
const STATES: readonly State[] = ["failing", "rejected", "late", "probing", "running", "off", "stopped"];

/** How many modules are in each state, those that want somebody first. */
export function counted(all: readonly Module[]): Array<[State, number]> {
  const counts = STATES.map((state): [State, number] => [state, all.filter((module) => module.state === state).length]);
  return counts.filter(([, count]) => count > 0);
}
