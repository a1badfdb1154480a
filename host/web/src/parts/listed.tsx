// A branch as a list, the greatest first; and texts by when they were told.

import { useEffect, useRef, useState } from "preact/hooks";
import { type Entry, Failed, ls, said } from "../lib/api.ts";
import { clock, cut, duration, short } from "../lib/format.ts";
import { child } from "../lib/path.ts";
import type { Told } from "../lib/track.ts";

const SHOWN = 10;
const LOOKED = 1_000;
const EVERY = 1_000;
/** It is asked again after so many times as long as the answer took. */
const EASE = 60;

/** It is said how often it is looked at where that is more than so long (s). */
const SLOW = 2;
/** Where it was not looked at for so long (ms) beside that, what has grown since did not do so now. */
const GAP = 5_000;

/** What was found of a path, and how often (s) that is looked at. */
interface State { path: string; entries: Entry[]; total: number; grown: Map<string, number>; pace: number }

/** The children of a branch with bars, looked at each second, or less often where that takes its time. */
export function Listed({ path, still, onOpen }: { path: string; still: boolean; onOpen: (path: string) => void }) {
  const [found, setState] = useState<State | null>(null);
  const [error, setError] = useState<string | null>(null);
  // A panel may become one of another path: of that nothing is known yet.
  const state = found?.path === path ? found : null;
  const known = useRef<string | null>(null);
  known.current = found?.path ?? null;
  useEffect(() => {
    if (still && known.current === path) return;
    let ended = false;
    let timer: ReturnType<typeof setTimeout>;
    let wait = EVERY;
    let before: { at: number; values: Map<string, number> } | null = null;
    if (known.current !== path) setError(null);
    const look = async () => {
      const began = performance.now();
      // That clock may stand while the machine sleeps.
      const at = Date.now();
      let looked = false;
      try {
        if (!document.hidden) {
          const { children, total } = await ls(path, null, LOOKED);
          if (ended) return;
          const values = new Map(children.flatMap(({ key, value }) => (typeof value === "number" ? [[key, value] as const] : [])));
          const since = before === null ? 0 : at - before.at;
          const seconds = since > wait + GAP ? 0 : since / 1000;
          const grown = new Map(seconds <= 0 ? [] : children.flatMap(({ key, action }) => {
            const [now, was] = [values.get(key), before?.values.get(key)];
            return now !== undefined && was !== undefined && now >= was && (action === "add" || action?.startsWith("top")) ? [[key, (now - was) / seconds] as const] : [];
          }));
          before = { at, values };
          wait = Math.max(EVERY, (performance.now() - began) * EASE);
          looked = true;
          setError(null);
          setState({ path, entries: children, total, grown, pace: Math.round(wait / 1000) });
        }
      } catch (failed) {
        if (ended) return;
        setError(said(failed));
        // What went is shown no more; what cannot be asked is from before, and said to be.
        if (failed instanceof Failed && failed.status === 404) setState(null);
      }
      // One that stands still is looked at once.
      if (!ended && !(still && looked)) timer = setTimeout(look, looked ? wait : Math.max(EVERY, (performance.now() - began) * EASE));
    };
    void look();
    return () => { ended = true; clearTimeout(timer); };
  }, [path, still]);

  if (error !== null && state === null) return <p class="panel-said" role="status">{error}</p>;
  if (state === null) return <div class="panel-blank" style={{ height: "150px" }} />;
  const size = ({ value }: Entry) => (typeof value === "number" ? value : -Infinity);
  const sorted = [...state.entries].sort((a, b) => size(b) - size(a)).slice(0, SHOWN);
  const most = Math.max(...sorted.map((entry) => Math.abs(size(entry))).filter(Number.isFinite), 0);
  return (
    <div class={error === null ? "listed" : "listed stale"}>
      {error !== null && <p class="panel-said" role="status">As it was before: {error}</p>}
      <ol>
        {sorted.map((entry) => {
          const { key, value } = entry;
          const grown = state.grown.get(key) ?? 0;
          return (
            <li key={key}>
              <button type="button" class="listed-key" onClick={() => onOpen(child(path, key))} title={`Show ${cut(key, 200)}`}><bdi>{cut(key, 80)}</bdi></button>
              <span class="listed-bar" aria-hidden="true"><span style={{ width: `${most > 0 && typeof value === "number" ? Math.max(0.5, (Math.abs(value) / most) * 100) : 0}%` }} /></span>
              <span class="listed-value">{typeof value === "number" ? short(value) : typeof value === "string" ? cut(value, 20) : "…"}</span>
              <span class="listed-grown quiet">{grown > 0 ? `+${short(grown)}/s` : ""}</span>
            </li>
          );
        })}
      </ol>
      {!still && state.pace > SLOW && <p class="quiet">Looked at each {duration(state.pace)} only: the daemon takes its time to answer.</p>}
      {state.total > sorted.length && <p class="quiet">{short(state.total - sorted.length)} more{state.total > state.entries.length ? `; of the first ${short(state.entries.length)}` : ""}</p>}
    </div>
  );
}

/** Texts, the newest first. */
export function Texts({ texts }: { texts: Told[] }) {
  const newest = [...texts].reverse().slice(0, 8);
  return (
    <div class="texts">
      <p class="figures"><span><b class="large"><bdi>{cut(newest[0]?.text ?? "–", 300)}</bdi></b></span></p>
      <ol>
        {newest.map(({ at, text }) => <li key={at}><time>{clock(at * 1000)}</time> <bdi>{cut(text, 120)}</bdi></li>)}
      </ol>
    </div>
  );
}
