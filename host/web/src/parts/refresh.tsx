// What is asked for again when something has happened, and not more often than is good.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { clockOffset, said } from "../lib/api.ts";
import type { Live } from "../lib/live.ts";

export interface Asked<T> { value: T | null; error: string | null; again: () => void }

/** Of a branch the stream tells what that folds to; what is below may change and leave that as it is. So it is asked so often (ms) at least. */
const BEAT = 2_000;

/** Asks now, when `path` changes, and when told to, and now and then; at most once in `every` ms. What was known stays while it is asked anew. */
export function useAsked<T>(question: (signal: AbortSignal) => Promise<T>, live: Live, path: string, every: number): Asked<T> {
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState<string | null>(null);
  const asked = useRef(question);
  asked.current = question;
  const wanted = useRef<() => void>(() => {});
  useEffect(() => {
    const ended = new AbortController();
    let timer: ReturnType<typeof setTimeout> | null = null;
    let last = -Infinity;
    let under = false;
    let once = false;
    const look = async () => {
      timer = null;
      [under, once, last] = [true, false, performance.now()];
      try {
        const now = await asked.current(ended.signal);
        if (ended.signal.aborted) return;
        setValue(now);
        setError(null);
      } catch (failed) {
        if (ended.signal.aborted) return;
        setError(said(failed));
      }
      under = false;
      if (once) want();
    };
    const want = () => {
      once = true;
      if (!under && timer === null) timer = setTimeout(look, Math.max(0, last + every - performance.now()));
    };
    wanted.current = want;
    want();
    const leave = live.watch(path, want);
    const beat = setInterval(() => { if (!document.hidden && live.state === "live") want(); }, Math.max(every, BEAT));
    return () => {
      ended.abort();
      leave();
      clearInterval(beat);
      if (timer !== null) clearTimeout(timer);
    };
  }, [live, path, every]);
  const again = useCallback(() => wanted.current(), []);
  return { value, error, again };
}

/** Why the daemon is not heard; null while it is. */
export function useOffline(live: Live): string | null {
  const [why, setWhy] = useState<string | null>(live.error);
  useEffect(() => live.onState(() => setWhy(live.error)), [live]);
  return why;
}

/** The daemon's time (ms since 1970), as it goes on: the browser's clock may be another. */
export function useNow(every = 1_000): number {
  const [now, setNow] = useState(Date.now() + clockOffset());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now() + clockOffset()), every);
    return () => clearInterval(timer);
  }, [every]);
  return now;
}
