// Finds paths by what somebody remembers of them. A path may also be typed as it is, folds (`cpu,,idle`) included.

import { useEffect, useRef, useState } from "preact/hooks";
import { find, type Found, isAbort, said, type Value } from "../lib/api.ts";
import { cut, short } from "../lib/format.ts";
import { figure } from "../lib/recent.ts";
import { Keys } from "./keys.tsx";

const AFTER = 120;
const MOST = 40;

export function Search({ onPick }: { onPick: (path: string) => void }) {
  const [text, setText] = useState("");
  /** The last answer, and what it was asked for by. */
  const [found, setFound] = useState<{ text: string; list: Found[] } | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [at, setAt] = useState(0);
  /** Somebody went on to something else: what was found would hide it. */
  const [left, setLeft] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLUListElement>(null);
  /** The text for which Enter came before what is found: the best of that is meant. */
  const hurried = useRef<string | null>(null);
  const picks = useRef<(one: Found) => void>(() => undefined);
  const wanted = text.trim();

  useEffect(() => {
    setError(null);
    if (wanted === "") return setFound(null);
    const asking = new AbortController();
    const timer = setTimeout(() => {
      find(wanted, MOST, asking.signal).then((some) => {
        const meant = hurried.current === wanted;
        hurried.current = null;
        if (meant && some[0]) return picks.current(some[0]);
        setFound({ text: wanted, list: some });
        setAt(0);
      }, (failed: unknown) => {
        if (!isAbort(failed)) setError(said(failed));
      });
    }, AFTER);
    return () => { clearTimeout(timer); asking.abort(); };
  }, [wanted]);

  useEffect(() => {
    const slash = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (event.key !== "/" || event.ctrlKey || event.metaKey || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) return;
      event.preventDefault();
      input.current?.focus();
    };
    addEventListener("keydown", slash);
    return () => removeEventListener("keydown", slash);
  }, []);

  // What was typed is a path, too, where it has the look of one.
  const typed = text.includes(",") ? [{ path: wanted, typed: true } as Found] : [];
  // Until there is an answer, what was found before stands there still: it is no answer to Enter.
  const old = found?.text !== wanted;
  const all = wanted === "" ? [] : [...typed, ...(found?.list ?? []).filter((one) => one.path !== wanted)];
  const open = all.length > 0 && !left;
  const pick = (one: Found | undefined) => {
    if (!one) return;
    onPick(one.path);
    setText("");
    input.current?.focus();
  };
  picks.current = pick;
  const onKeyDown = (event: KeyboardEvent) => {
    // It is a letter's that is being made of several keys.
    if (event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const next = Math.min(Math.max(at + (event.key === "ArrowDown" ? 1 : -1), 0), Math.max(all.length - 1, 0));
      setAt(next);
      list.current?.children[next]?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (wanted !== "" && old && at === 0 && typed.length === 0) hurried.current = wanted;
      else pick(all[at]);
    } else if (event.key === "Escape") {
      setText("");
    }
  };

  return (
    <div class="search">
      <input
        ref={input} type="search" value={text} placeholder="Find, or type a path: cpu,,idle" aria-label="Find in the tree, or type a path" role="combobox"
        aria-expanded={open} aria-controls="search-found" aria-autocomplete="list" aria-activedescendant={open ? `search-${at}` : undefined}
        autocomplete="off" spellcheck={false} list={undefined} onInput={(event) => { setText(event.currentTarget.value); setAt(0); }} onKeyDown={onKeyDown}
        onFocus={() => setLeft(false)} onBlur={(event) => { if (event.relatedTarget !== null || document.hasFocus()) setLeft(true); }}
      />
      <ul class="search-found" id="search-found" role="listbox" aria-label="What was found" ref={list} onMouseDown={(event) => event.preventDefault()} hidden={!open} aria-busy={open && old}>
        {all.map((one, i) => {
          const value = figure(one["value"] as Value | undefined);
          return (
            <li key={one.path} id={`search-${i}`} role="option" aria-selected={i === at}
              onMouseDown={(event) => { event.preventDefault(); if (event.button === 0) pick(one); }}>
              <span class="search-path">{one["typed"] ? "Show " : ""}<Keys path={one.path} most={160} /></span>
              {value !== null && <span class="quiet">{typeof value === "number" ? short(value) : cut(value, 24)}</span>}
            </li>
          );
        })}
      </ul>
      <div role="status" class="search-said">
        {error !== null ? <p class="state">{error}</p>
          : wanted !== "" && !old && found?.list.length === 0 && typed.length === 0
            ? (
              <p class="state">Nothing in the tree is like that. What is no longer there is not found, but its trend can be seen: type its whole path, with
                commas between its keys, as in <code>cpu,web1,idle</code>.</p>
            ) : null}
      </div>
    </div>
  );
}
