// What is, as it changes: the tree on the left, charts of what was picked on the right.

import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from "preact/hooks";
import { canonical, isLong, ofView, read, type Shown, viewName, WINDOW, WINDOWS, write } from "../lib/address.ts";
import { said, type View, views } from "../lib/api.ts";
import { duration } from "../lib/format.ts";
import { Ids } from "../lib/ids.ts";
import { pageLive } from "../lib/pagelive.ts";
import { mount } from "../lib/mount.ts";
import { onThemeChange } from "../lib/theme.ts";
import { byKey } from "../lib/zoom.ts";
import { Panel } from "../parts/panel.tsx";
import { SaveDialog } from "../parts/savedialog.tsx";
import { Broken, Empty, Loading, Offline } from "../parts/states.tsx";
import { Tree } from "../parts/tree.tsx";

/** How long (ms) each chart has the next picture wait, and all of them together at most. */
const PACE = 40;
const PACE_MAX = 900;
/** Where nothing comes, time goes on after so long (ms). */
const SILENT = 1_200;
/** Charts of a page at most. */
const CHARTS_MAX = 60;
const NAME = viewName(location.pathname);

type Loaded = { view: View | null } | { error: string };

/** The view that the address names; none without a name. */
function useView(): [Loaded | null, () => void] {
  const [loaded, setLoaded] = useState<Loaded | null>(NAME === null ? { view: null } : null);
  const load = () => {
    if (NAME === null) return;
    setLoaded(null);
    views.list().then((all) => {
      const view = all.find(({ name }) => name === NAME);
      setLoaded(view ? { view } : { error: `There is no view called “${NAME}”.` });
    }, (failed: unknown) => setLoaded({ error: said(failed) }));
  };
  useEffect(load, []);
  return [loaded, load];
}

function Realtime() {
  const [loaded, reload] = useView();
  if (loaded === null) return <div class="realtime-alone"><Loading what="Reading the view" /></div>;
  if ("error" in loaded) {
    return (
      <div class="realtime-alone">
        <h1>View</h1>
        <Broken error={loaded.error} retry={reload} />
        <p><a href="/setting/view">All views</a> · <a href="/realtime/">Realtime without a view</a></p>
      </div>
    );
  }
  return <Charts view={loaded.view} />;
}

function Charts({ view }: { view: View | null }) {
  const live = useMemo(pageLive, []);
  const [state, setState] = useState<Shown>(() => {
    const asked = read(location.search);
    return view !== null && asked.keys.length === 0 ? ofView(view) : asked;
  });
  const [now, setNow] = useState(Date.now);
  const [paused, setPaused] = useState<number | null>(null);
  const [zoom, setZoom] = useState<[number, number] | null>(null);
  const [saving, setSaving] = useState(false);
  const [narrow, setNarrow] = useState(false);
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  const ids = useMemo(() => new Ids(), []);
  const { keys, window } = state;

  useEffect(() => live.onState(() => redraw(0)), [live]);
  useEffect(() => onThemeChange(() => redraw(0)), []);
  // Drawn when something has come, many charts less often than few; and now and then when nothing comes. A page that is hidden draws
  // nothing.
  const few = Math.min(keys.length * PACE, PACE_MAX);
  useEffect(() => {
    let drawn = 0;
    let timer: ReturnType<typeof setTimeout> | null = null;
    const draw = () => {
      timer = null;
      if (document.hidden) return;
      drawn = Date.now();
      setNow(drawn);
    };
    const stop = live.onFrame(() => { timer ??= setTimeout(draw, Math.max(0, drawn + few - Date.now())); });
    const silent = setInterval(() => { if (timer === null && Date.now() - drawn > SILENT) draw(); }, SILENT / 4);
    return () => { stop(); clearInterval(silent); if (timer !== null) clearTimeout(timer); };
  }, [live, few]);

  const show = (next: Shown) => {
    setState(next);
    const kept = view === null ? null : ofView(view);
    const same = kept !== null && kept.window === next.window && kept.keys.join("\n") === next.keys.join("\n");
    history.replaceState(null, "", location.pathname + (same ? "" : write(next)));
  };
  const add = (path: string) => {
    const key = canonical(path);
    if (key === "" || keys.length >= CHARTS_MAX) return;
    if (!keys.includes(key)) show({ ...state, keys: [...keys, key] });
    setNarrow(false);
    requestAnimationFrame(() => document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.scrollIntoView({ block: "nearest" }));
  };
  const change = (at: number, path: string | null) => {
    const old = keys[at];
    // It stays the same panel, whatever its path is.
    if (old !== undefined && path !== null) ids.move(old, path);
    else if (old !== undefined) ids.drop(old);
    const next = keys.flatMap((key, i) => (i !== at ? [key] : path === null ? [] : [path]));
    show({ ...state, keys: [...new Set(next)] });
  };

  const up = (at: number) => {
    const [before, key] = [keys[at - 1], keys[at]];
    if (before === undefined || key === undefined) return;
    const next = [...keys];
    next.splice(at - 1, 2, key, before);
    show({ ...state, keys: next });
    // What is moved in the page loses the focus.
    requestAnimationFrame(() => document.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"] .panel-up`)?.focus());
  };

  const to = (paused ?? now) / 1000;
  const range = useMemo<[number, number]>(() => zoom ?? [to - window, to], [zoom, to, window]);
  const still = zoom !== null || paused !== null;
  const changed = view !== null && write(state) !== write(ofView(view));
  const reset = () => { setZoom(null); setPaused(null); };
  const shows = useRef({ range, to });
  shows.current = { range, to };
  const onKey = useCallback((key: string) => {
    const { range: seen, to: last } = shows.current;
    const next = byKey(key, seen, [last - (WINDOWS.at(-1) ?? WINDOW), last]);
    if (next === undefined) return false;
    // One that shows the same is none that stops what is live.
    if (next !== null && next[0] === seen[0] && next[1] === seen[1]) return true;
    if (next === null) setPaused(null);
    setZoom(next);
    return true;
  }, []);
  const picked = useMemo(() => new Set(keys), [keys]);

  return (
    <div class="realtime">
      <aside class={narrow ? "realtime-tree open" : "realtime-tree"} aria-label="The tree">
        <Tree live={live} onPick={add} picked={picked} />
      </aside>
      <section class="realtime-charts" aria-label="Charts">
        <Offline why={live.error} />
        {isLong(location.href) && (
          <p class="offline" role="status">This page's address has become too long to be loaded again or handed on. Show fewer charts of such long names at once.</p>
        )}
        <div class="bar">
          <button type="button" class="tree-opens" aria-expanded={narrow} onClick={() => setNarrow(!narrow)}>{narrow ? "Close the tree" : "Add from the tree"}</button>
          <h1>{view === null ? "Realtime" : <bdi>{view.name}</bdi>}{changed && <small class="quiet"> changed</small>}</h1>
          <span class={`conn ${live.state}`} title={live.error ?? "Changes are shown as they come."}>
            {live.state === "live" ? (still ? "standing still" : "live") : live.state === "offline" ? "no connection" : "connecting"}
          </span>
          <span class="bar-space" />
          <label class="unseen" for="window">Window</label>
          <select id="window" value={window} onChange={(event) => show({ ...state, window: Number(event.currentTarget.value) })}>
            {WINDOWS.map((one) => <option key={one} value={one}>{duration(one)}</option>)}
          </select>
          {still
            ? <button type="button" class="primary" onClick={reset}>Go on live</button>
            : <button type="button" onClick={() => setPaused(Date.now())}>Pause</button>}
          <button type="button" disabled={keys.length === 0} onClick={() => setSaving(true)}>Save as view…</button>
        </div>
        {keys.length === 0 ? (
          <div class="realtime-empty">
            <Empty title="Nothing is shown yet.">
              <p>Pick a leaf in the tree, or press <kbd>Enter</kbd> on a branch. Or type a path above it: an empty key folds all of its level, as
                in <code>cpu,,idle</code>, and <code>cpu,*,idle</code> draws each.</p>
              <p class="starts">{STARTS.map((key) => <button type="button" key={key} onClick={() => add(key)}><code>{key}</code></button>)}</p>
            </Empty>
          </div>
        ) : (
          <div class="panels">
            {keys.map((key, i) => (
              <div class="panel-place" key={ids.of(key)} data-key={key}>
                <Panel path={key} live={live} range={range} keep={WINDOWS.at(-1) ?? window} still={still} onReset={reset} onKey={onKey}
                  onZoom={(from, until) => setZoom([from, until])} onRemove={() => change(i, null)} onUp={keys.length === 1 ? undefined : i === 0 ? null : () => up(i)} onReplace={(path) => change(i, canonical(path))} />
              </div>
            ))}
          </div>
        )}
      </section>
      {saving && <SaveDialog keys={keys} window={window} view={view} onClose={() => setSaving(false)} />}
    </div>
  );
}

/** What a daemon as it comes has something to show of. */
const STARTS = ["cpu,,idle", "load,,one", "self,status,*", "self,request_time,"];

document.getElementById("main")?.classList.add("wide");
mount(<Realtime />);
