// Keys and paths: a path is its keys joined by commas, and `,` `*` `%` and control characters in a key are escaped.
// Nothing here knows a page.

import { unturned } from "./format.ts";

const SPECIAL = /[,*%\p{Cc}]/gu;
const utf8 = new TextEncoder();

/** A key as it stands in a path. */
export function inPath(key: string): string {
  return key.replace(SPECIAL, (c) =>
    Array.from(utf8.encode(c), (byte) => "%" + byte.toString(16).padStart(2, "0").toUpperCase()).join(""));
}

/** A key of a path as it is. A step that folds (empty) or lists (`*`) stays as it is. */
export function outOfPath(step: string): string {
  try {
    return decodeURIComponent(step);
  } catch {
    return step;
  }
}

/** A path of keys. No keys are the root, which is the empty path. */
export function join(keys: readonly string[]): string {
  return keys.map(inPath).join(",");
}

/** The steps of a path, still escaped; none for the root. */
export function steps(path: string): string[] {
  return path === "" ? [] : path.split(",");
}

/** The path of a child. */
export function child(path: string, key: string): string {
  return path === "" ? inPath(key) : `${path},${inPath(key)}`;
}

/** The path of what is above; null for the root. */
export function parent(path: string): string | null {
  if (path === "") return null;
  return steps(path).slice(0, -1).join(",");
}

/** The last key of a path as it is; empty for the root. */
export function lastKey(path: string): string {
  return outOfPath(steps(path).at(-1) ?? "");
}

/** Whether `path` is `above` or lies below it. */
export function isBelow(path: string, above: string): boolean {
  return above === "" || path === above || path.startsWith(`${above},`);
}

/** Whether a path folds or lists: whether it means more than one node. */
export function isPattern(path: string): boolean {
  return path !== "" && steps(path).some((step) => step === "" || step === "*");
}

/** Whether a found path is one that a pattern means: each step the same, or any. */
export function matches(path: string, pattern: string): boolean {
  const [found, wanted] = [steps(path), steps(pattern)];
  return found.length === wanted.length && wanted.every((step, i) => step === "*" || step === found[i]);
}

/** A path as an argument of `/get/`, `/pull/` and `/trend/`. */
export function keyArgument(path: string): string {
  return "key-" + encodeURIComponent(path);
}

/** A path as one segment of a URL, as in `/diff/A/B`. */
export function segment(path: string): string {
  return encodeURIComponent(path);
}

/** A path as all the rest of a URL, as in `/api/ls/PATH`. Its slashes and dots are none of the URL's, which a browser would resolve. */
export function rest(path: string): string {
  return encodeURIComponent(isDots(path) ? path.replaceAll(".", "%2E") : path).replaceAll("%2C", ",");
}

/** Whether a browser takes this, as a segment of a URL, for the place itself or the one above, however it is escaped. */
export function isDots(text: string): boolean {
  return text === "." || text === "..";
}

/** One segment of a URL as the path that it spells. */
export function outOfSegment(text: string): string {
  return outOfPath(text);
}

/** How a step is shown: a key as it is, in brackets what it does where it is none: fold all keys of its level, or list each. */
export function shownStep(step: string): string {
  return step === "" ? "(all)" : step === "*" ? "(each)" : unturned(outOfPath(step));
}

/** How a path is shown, step by step, never longer than `most` characters. */
export function shown(path: string, most = 120): string {
  const text = steps(path).map(shownStep).join(" › ");
  const points = Array.from(text);
  return points.length <= most ? text : `${points.slice(0, most - 1).join("")}…`;
}
