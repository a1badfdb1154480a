// What has a history, level by level, below the tree of what lives now: it is asked for when somebody opens it.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { isAbort, said } from "../../lib/api.ts";
import { cut } from "../../lib/format.ts";
import { outOfPath, shown, steps } from "../../lib/path.ts";
import { Broken, Loading } from "../../parts/states.tsx";
import type { Range } from "./gestures.ts";
import { type Once, past } from "./past.ts";

/** Keys that are drawn of a level. */
const MOST = 200;

export interface PastProps {
  /** The time that is looked at (s), and as the address has it: what goes on is not asked for again and again. */
  range: Range;
  from: string;
  to: string;
  onPick: (path: string) => void;
  picked: ReadonlySet<string>;
}

export function Past({ range, from, to, onPick, picked }: PastProps) {
  const [open, setOpen] = useState(false);
  /** Where somebody is, and from which level on it is gone. */
  const [{ path, gone: goneFrom }, go] = useState({ path: "", gone: Infinity });
  const [found, setFound] = useState<{ of: string; list: Once[] } | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [round, setRound] = useState(0);
  const here = useRef<HTMLButtonElement>(null);
  const went = useRef(false);
  const walk = (to: { path: string; gone: number }) => {
    went.current = true;
    go(to);
  };
  const keys = steps(path);
  useEffect(() => {
    if (!open) return;
    const asking = new AbortController();
    setError(null);
    past(path, keys.length >= goneFrom, range[0], to === "now" ? null : range[1], asking.signal).then((list) => setFound({ of: path, list }), (failed: unknown) => {
      if (!isAbort(failed)) setError(said(failed));
    });
    return () => asking.abort();
  }, [open, path, from, to, round]);
  // What was pressed went with its level.
  useLayoutEffect(() => {
    if (went.current && document.activeElement === document.body) here.current?.focus();
    went.current = false;
  }, [found]);

  const list = found?.list ?? [];
  return (
    <details class="past" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>In history</summary>
      {open && (
        <div aria-busy={found?.of !== path && error === null}>
          <p class="past-way">
            {["", ...keys].map((key, i) => {
              const last = i === keys.length;
              return (
                <span key={i}>
                  {i > 0 && <span class="sep" aria-hidden="true">›</span>}
                  <button type="button" class="plain" aria-current={last ? "location" : undefined} ref={last ? here : null} onClick={() => walk({ path: keys.slice(0, i).join(","), gone: goneFrom > i ? Infinity : goneFrom })}>
                    <bdi>{i === 0 ? "All" : cut(outOfPath(key), 40)}</bdi>
                  </button>
                </span>
              );
            })}
          </p>
          {error !== null ? <Broken error={error} retry={() => setRound(round + 1)} />
            : found === null ? <Loading what="Reading what there was" />
            : list.length === 0 ? <p class="quiet">Nothing had a value here in the whole time.</p>
            : (
              <ul>
                {list.slice(0, MOST).map(({ path: of, key, branch, gone }) => (
                  <li key={of}>
                    <button type="button" class={branch ? "plain past-key past-branch" : "plain past-key"} title={branch ? "What is below it" : "Show its trend"}
                      aria-label={branch ? undefined : `Show ${shown(of, 80)}`} onClick={() => (branch ? walk({ path: of, gone: gone ? Math.min(goneFrom, steps(of).length) : Infinity }) : onPick(of))}>
                      <bdi>{cut(key, 60)}</bdi>
                    </button>
                    {gone && <span class="quiet">gone</span>}
                    {picked.has(of) ? <span class="quiet">shown</span>
                      : branch && <button type="button" class="plain" aria-label={`Show ${shown(of, 80)}`} title="Show its trend" onClick={() => onPick(of)}>+</button>}
                  </li>
                ))}
              </ul>
            )}
          {list.length > MOST && <p class="quiet">{list.length - MOST} more. Type the path of the one that you want.</p>}
        </div>
      )}
    </details>
  );
}
