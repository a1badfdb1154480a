// The tree: lazy, only the rows in sight drawn, a tree to a keyboard and to a screen reader, its values live where a stream is given.

import { useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from "preact/hooks";
import { type Entry, ls } from "../lib/api.ts";
import { type Branch, Branches, nodeAt, type Row } from "../lib/branches.ts";
import { cut, duration, short } from "../lib/format.ts";
import type { Live } from "../lib/live.ts";
import { figure, Recents } from "../lib/recent.ts";
import { Search } from "./search.tsx";
import { Spark } from "./spark.tsx";
import { Broken, Empty, Loading } from "./states.tsx";

export interface TreeProps {
  /** The page's stream; without one values are those of the moment at which a branch was opened. */
  live?: Live | null;
  /** What a click or Enter on a node means. */
  onPick: (path: string, entry: Entry | null) => void;
  /** Paths that are shown already. */
  picked: ReadonlySet<string>;
  /** How picking is called: "Show" by default. */
  verb?: string;
}

const ROW = 28;
const BEYOND = 6;
/** How often branches in sight are asked for anew (ms); longer where the answer takes its time. */
const EVERY = 2_000;
/** It is asked again after so many times as long as the answer took: all that asks so costs the daemon some percents at most. */
const EASE = 60;
/** It is said how often they are asked for where that is more than so long (s). */
const SLOW = 4;
/** Where nothing was heard for so long (ms) beside that, what was before is no part of a row's line. */
const GAP = 5_000;

export function Tree({ live = null, onPick, picked, verb = "Show" }: TreeProps) {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  const branches = useMemo(() => new Branches((path, after, limit) => ls(path, after, limit), () => redraw(0)), []);
  const recents = useMemo(() => new Recents(), []);
  const place = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const [current, setCurrent] = useState("");
  const wantsFocus = useRef(false);
  /** How often branches in sight are asked for (s). */
  const [pace, setPace] = useState(EVERY / 1000);

  const { root, rows } = branches;
  const first = Math.max(0, Math.floor(top / ROW) - BEYOND);
  const last = Math.min(rows.length, Math.ceil((top + height) / ROW) + BEYOND);
  const seen = rows.slice(first, last);
  const currentAt = Math.max(0, rows.findIndex((row) => row.kind === "node" && row.of.path === current));
  const focused = rows[currentAt];

  useEffect(() => { void branches.open(root); }, [branches]);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const resized = new ResizeObserver(() => setHeight(element.clientHeight));
    resized.observe(element);
    return () => resized.disconnect();
  }, [rows.length > 0]);

  // A row that stands for more children is in sight: they are loaded.
  useEffect(() => {
    for (const { kind, of } of seen) if (kind === "more" && !of.loading) void branches.more(of);
  });

  // Leaves in sight are followed by the page's stream.
  const leaves = live === null ? "" : seen.filter(({ kind, of }) => kind === "node" && !Branches.opens(of)).map(({ of }) => of.path).join("\n");
  const follows = useRef(new Map<string, () => void>());
  useEffect(() => {
    if (live === null) return;
    const wanted = new Set(leaves === "" ? [] : leaves.split("\n"));
    // Those that stay in sight go on: nothing is asked for them again.
    for (const path of wanted) {
      if (follows.current.has(path)) continue;
      follows.current.set(path, live.watch(path, (frame) => {
        const value = frame.changes.get(path);
        if (value === undefined) return;
        if (recents.take(path, value, frame.gap > GAP)) redraw(0);
      }));
    }
    for (const [path, stop] of follows.current) if (!wanted.has(path)) {
      follows.current.delete(path);
      stop();
    }
  }, [live, leaves]);
  useEffect(() => () => {
    follows.current.forEach((stop) => stop());
    follows.current.clear();
  }, [live]);

  // Branches in sight are looked at now and then: what they fold to, and what came or went.
  // Of one of many children those that are in sight.
  const sight = useRef(new Map<Branch, string | null>());
  sight.current = new Map();
  for (const { kind, of } of seen) {
    const above = kind === "node" ? of.above : of;
    if (!above?.open || sight.current.has(above)) continue;
    sight.current.set(above, kind === "node" ? above.children[of.place - 2]?.entry.key ?? null : above.children.at(-1)?.entry.key ?? null);
  }
  useEffect(() => {
    if (live === null) return;
    let timer: ReturnType<typeof setTimeout>;
    let ended = false;
    let under = false;
    let wait = EVERY;
    let last = Date.now();
    const look = async () => {
      const began = performance.now();
      under = true;
      if (!document.hidden && live.state === "live") {
        const anew = Math.abs(Date.now() - last) > wait + GAP;
        last = Date.now();
        for (const [of, after] of sight.current.size > 0 ? [...sight.current] : [[root, null] as const]) {
          for (const one of await branches.refresh(of, after).catch(() => [])) {
            if (Branches.opens(one) && one.entry.value !== undefined) recents.take(one.path, one.entry.value, anew);
          }
        }
        wait = Math.max(EVERY, (performance.now() - began) * EASE);
      }
      under = false;
      if (ended) return;
      setPace(Math.round(wait / 1000));
      timer = setTimeout(look, wait);
    };
    timer = setTimeout(look, EVERY);
    const stop = live.onState(() => {
      // It is back: what failed meanwhile is asked for again, and what is in sight is from before.
      if (live.state === "live" && root.error !== null) void branches.more(root);
      if (live.state === "live" && !under && Date.now() - last > EVERY) {
        clearTimeout(timer);
        void look();
      }
      redraw(0);
    });
    return () => { ended = true; clearTimeout(timer); stop(); };
  }, [live, branches]);

  const go = (to: number) => {
    const at = nodeAt(rows, currentAt, to);
    const row = rows[at];
    const element = place.current;
    if (!row || !element) return;
    setCurrent(row.of.path);
    if (at * ROW < element.scrollTop) element.scrollTop = at * ROW;
    else if ((at + 1) * ROW > element.scrollTop + element.clientHeight) element.scrollTop = (at + 1) * ROW - element.clientHeight;
    wantsFocus.current = true;
    redraw(0);
  };
  // The focus goes where a key sent it; and a row or a button that goes with the focus leaves it to the tree.
  const held = place.current?.contains(document.activeElement) ?? false;
  useLayoutEffect(() => {
    if (!wantsFocus.current && !(held && document.activeElement === document.body)) return;
    wantsFocus.current = false;
    place.current?.querySelector<HTMLElement>('[tabindex="0"]')?.focus({ preventScroll: true });
  });

  const toggle = (of: Branch) => { if (of.open) branches.close(of); else void branches.open(of); };
  const onKeyDown = (event: KeyboardEvent) => {
    const of = focused?.of;
    // A button in a row has its own keys.
    const onRow = (event.target as Element).getAttribute("role") === "treeitem";
    if (!of || !onRow || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(height / ROW) - 1);
    switch (event.key) {
      case "ArrowDown": go(currentAt + 1); break;
      case "ArrowUp": go(currentAt - 1); break;
      case "PageDown": go(currentAt + page); break;
      case "PageUp": go(currentAt - page); break;
      case "Home": go(0); break;
      case "End": go(rows.length - 1); break;
      case "ArrowRight":
        if (Branches.opens(of) && !of.open) void branches.open(of);
        else if (of.open && rows[currentAt + 1]?.kind === "node") go(currentAt + 1);
        break;
      case "ArrowLeft":
        if (of.open) branches.close(of);
        else if (of.above && of.above !== root) go(rows.findIndex((row) => row.of === of.above));
        break;
      case "Enter": onPick(of.path, of.entry); break;
      case " ": if (Branches.opens(of)) toggle(of); else onPick(of.path, of.entry); break;
      default: return;
    }
    event.preventDefault();
  };

  const drawn = (row: Row, at: number) => (
    <Line key={row.kind === "node" ? row.of.path : `${row.of.path}\n${row.kind}`} row={row} at={at} current={at === currentAt} picked={picked.has(row.of.path)}
      recents={recents} verb={verb} onToggle={toggle} onCurrent={setCurrent} onPick={onPick} retry={(of) => void branches.more(of)} />
  );

  const lines = seen.map((row, i) => drawn(row, first + i));
  // Who has the focus stays, wherever the page is scrolled to: in one list, for it is the same row.
  if (focused && currentAt < first) lines.unshift(drawn(focused, currentAt));
  if (focused && currentAt >= last) lines.push(drawn(focused, currentAt));

  return (
    <div class="tree-place">
      <Search onPick={(path) => onPick(path, null)} />
      {pace > SLOW && <p class="quiet">What has something below it is asked for each {duration(pace)} only: the daemon takes its time to answer.</p>}
      {root.error !== null && rows.length <= 1 ? <Broken error={root.error} retry={() => void branches.more(root)} />
        : root.loading && root.children.length === 0 ? <Loading what="Reading the tree" />
        : rows.length === 0 ? <Empty title="The tree is empty."><p>Push a value, or switch a module on, and it grows. What went has its <a href="/trend/view/">trend</a> still: type its whole path there.</p></Empty>
        : (
          <div class="tree" ref={place} role="tree" aria-label="The tree" aria-multiselectable="true"
            onScroll={(event) => setTop(event.currentTarget.scrollTop)} onKeyDown={onKeyDown}>
            <div class="tree-rows" role="presentation" style={{ height: `${rows.length * ROW}px` }}>
              {lines}
            </div>
          </div>
        )}
    </div>
  );
}

interface LineProps {
  row: Row; at: number; current: boolean; picked: boolean; recents: Recents; verb: string;
  onToggle: (of: Branch) => void; onCurrent: (path: string) => void; onPick: (path: string, entry: Entry) => void; retry: (of: Branch) => void;
}

function Line({ row, at, current, picked, recents, verb, onToggle, onCurrent, onPick, retry }: LineProps) {
  const { kind, of } = row;
  const style = { top: `${at * ROW}px`, paddingInlineStart: `${(of.depth - (kind === "node" ? 1 : 0)) * 14 + 4}px` };
  if (kind === "error") {
    return (
      <div class="tree-line" role="none" style={style}>
        <span class="tree-error">{of.error} <button type="button" class="plain" onClick={() => retry(of)}>Try again</button></span>
      </div>
    );
  }
  if (kind === "more") {
    return <div class="tree-line quiet" role="none" style={style}>{of.total - of.children.length} more…</div>;
  }
  const opens = Branches.opens(of);
  const recent = recents.get(of.path);
  const value = figure(recent ? recent.value : of.entry.value);
  const text = value === null ? (opens ? "" : "–") : typeof value === "number" ? short(value) : cut(value, 28);
  const name = cut(of.entry.key, 200);
  const act = () => {
    onCurrent(of.path);
    if (opens) onToggle(of);
    else onPick(of.path, of.entry);
  };
  return (
    <div class={picked ? "tree-line picked" : "tree-line"} role="treeitem" style={style} tabIndex={current ? 0 : -1} aria-level={of.depth}
      aria-posinset={of.place} aria-setsize={of.above?.total ?? 1} aria-expanded={opens ? of.open : undefined} aria-selected={picked}
      onClick={act} onFocus={() => { if (!current) onCurrent(of.path); }}>
      <span class={opens ? (of.open ? "twisty open" : "twisty") : "twisty none"} aria-hidden="true" />
      <bdi class="tree-key" title={name}>{name}</bdi>
      {opens && of.entry.children !== undefined && <span class="tree-count" aria-hidden="true">{short(of.entry.children)}</span>}
      {recent && recent.values.length > 2 && <Spark values={recent.values} width={44} height={14} />}
      <span class="tree-value" dir="auto"><span key={recent?.changes ?? 0} class={recent && recent.changes > 0 ? "glow" : undefined}>{text}</span></span>
      {opens && (
        <button type="button" class="plain tree-pick" tabIndex={-1} title={`${verb} ${name}`} aria-hidden="true"
          onClick={(event) => { event.stopPropagation(); onCurrent(of.path); onPick(of.path, of.entry); }}>+</button>
      )}
    </div>
  );
}
