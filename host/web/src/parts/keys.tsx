// A path as its keys, each kept apart: one that is written from right to left, or says that what follows is, turns no other round.

import { shownStep, steps } from "../lib/path.ts";

export interface KeysProps {
  path: string;
  /** Characters that are shown at most. */
  most?: number;
}

export function Keys({ path, most = 80 }: KeysProps) {
  let left = most;
  const shown: string[] = [];
  for (const step of steps(path)) {
    const key = shownStep(step);
    const points = Array.from(key.length > left * 2 ? key.slice(0, left * 2 + 2) : key);
    if (points.length > left) {
      shown.push(`${points.slice(0, Math.max(0, left - 1)).join("")}…`);
      break;
    }
    shown.push(key);
    left -= points.length + 3;
    if (left < 1) {
      shown.push("…");
      break;
    }
  }
  return <>{shown.map((key, i) => <span key={i}>{i > 0 && " › "}<bdi>{key}</bdi></span>)}</>;
}
