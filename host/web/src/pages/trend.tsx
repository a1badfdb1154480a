// How values went on: the tree on the left, charts on the right, all over one stretch of time. What is shown stands in the URL.

import { useCallback, useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from "preact/hooks";
import { canonical } from "../lib/address.ts";
import { ever } from "../lib/again.ts";
import { clockOffset } from "../lib/api.ts";
import { between } from "../lib/format.ts";
import { pageLive } from "../lib/pagelive.ts";
import { mount } from "../lib/mount.ts";
import { onThemeChange } from "../lib/theme.ts";
import { Empty, Offline } from "../parts/states.tsx";
import { Tree } from "../parts/tree.tsx";
import { type Range, watchWheel, within } from "./trend/gestures.ts";
import { Panel } from "./trend/panel.tsx";
import { Past } from "./trend/pasttree.tsx";
import { RangeBar } from "./trend/rangebar.tsx";
import { type ChartState, chartOf, CHARTS_MAX, KEYS_MAX, type PageState, read, spanOf, written } from "./trend/state.ts";

/** How often the end of history is looked at (ms), while it is in sight, at most: of a long time no more than a two-thousandth is new. */
const EVERY = 20_000;
const SHARE_NEW = 2_000;
/** What a daemon as it comes has a history of. */
const STARTS = ["cpu,,idle", "load,,one", "memory,*,used", "self,request_time,"];

const now = () => (Date.now() + clockOffset()) / 1000;

function Trend() {
  const live = useMemo(pageLive, []);
  const [state, setState] = useState<PageState>(() => read(location.search));
  const [span, setSpan] = useState<Range>(() => spanOf(state, now()));
  /** Counts up when colours change, or the connection does. */
  const [theme, recolour] = useReducer((n: number) => n + 1, 0);
  const [round, again] = useReducer((n: number) => n + 1, 0);
  const [lost, setLost] = useState<string | null>(null);
  const [narrow, setNarrow] = useState(false);
  /** The chart that the tree adds to, by its place; null for one of its own. */
  const [taking, setTaking] = useState<number | null>(null);
  /** What somebody has come to see, for who does not see it. */
  const [came, tell] = useState("");
  /** Why what was picked is not shown. */
  const [full, setFull] = useState("");
  /** The chart that has the focus next, by its place, and whether on its way up: the button that had it is gone, or was moved. */
  const focus = useRef<{ at: number; up: boolean } | null>(null);
  const latest = useRef({ state, span });
  latest.current = { state, span };

  const seen: Range = (state.zoom && within(state.zoom, span)) ?? span;

  useEffect(() => onThemeChange(() => recolour(0)), []);
  useEffect(watchWheel, []);
  useEffect(() => {
    const back = () => {
      const next = read(location.search);
      setState(next);
      setSpan(spanOf(next, now()));
      setTaking(null);
      setFull("");
    };
    addEventListener("popstate", back);
    return () => removeEventListener("popstate", back);
  }, []);
  const forth = useCallback(() => {
    setSpan(spanOf(latest.current.state, now()));
    again(0);
  }, []);
  // What goes on is looked at again, where its end is in sight.
  useEffect(() => {
    const timer = setInterval(() => {
      const { state: { to, zoom }, span: [first, last] } = latest.current;
      const [from, end] = zoom ?? [first, last];
      if (!document.hidden && to === "now" && end >= last - 1 && now() - last >= (end - from) / SHARE_NEW) forth();
    }, EVERY);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    let away = false;
    return live.onState(() => {
      recolour(0);
      if (away && live.state === "live") forth();
      away = live.state === "offline";
    });
  }, [live]);
  useEffect(() => {
    if (lost === null) return;
    const stop = ever(forth);
    addEventListener("online", forth);
    return () => { stop(); removeEventListener("online", forth); };
  }, [lost === null]);

  /** Shows another state. What is done on the way to one has no place in the browser's history. */
  const put = useCallback((next: PageState, passing = false) => {
    const before = latest.current.state;
    latest.current = { ...latest.current, state: next };
    setState(next);
    setFull("");
    if (next.from !== before.from || next.to !== before.to) setSpan(spanOf(next, now()));
    const url = location.pathname + written(next);
    if (passing) return;
    if (url !== location.pathname + location.search) history.pushState(null, "", url);
  }, []);
  // A wheel tells more than a screen shows: one picture a frame.
  const frame = useRef(0);
  const show = useCallback((range: Range, done: boolean) => {
    const { state: before, span: whole } = latest.current;
    const zoom = within(range, whole);
    latest.current = { ...latest.current, state: { ...before, zoom } };
    if (done) {
      cancelAnimationFrame(frame.current);
      frame.current = 0;
      put({ ...before, zoom });
      const [from, to] = zoom ?? whole;
      tell(between(from * 1000, to * 1000));
    } else if (frame.current === 0) {
      frame.current = requestAnimationFrame(() => {
        frame.current = 0;
        setState(latest.current.state);
      });
    }
  }, []);

  const change = (at: number, chart: ChartState | null) => {
    const charts = state.charts.flatMap((one, i) => (i === at ? (chart ? [chart] : []) : [one]));
    if (chart === null) {
      setTaking(null);
      focus.current = { at: Math.min(at, charts.length - 1), up: false };
    }
    put({ ...state, charts });
  };
  const add = (path: string) => {
    const key = canonical(path);
    if (key === "") return;
    const into = taking === null ? undefined : state.charts[taking];
    if (taking !== null && into) {
      if (into.keys.includes(key)) return;
      if (into.keys.length >= KEYS_MAX) return setFull(`A chart has ${KEYS_MAX} paths at most: remove it, or make another.`);
      return change(taking, { ...into, keys: [...into.keys, key] });
    }
    const there = state.charts.findIndex(({ keys }) => keys.includes(key));
    if (there < 0 && state.charts.length >= CHARTS_MAX) return setFull(`A page has ${CHARTS_MAX} charts at most: remove one of them.`);
    if (there < 0) put({ ...state, charts: [...state.charts, chartOf([key])] });
    setNarrow(false);
    setTimeout(() => {
      document.querySelectorAll(".trend-panel")[there < 0 ? state.charts.length : there]?.scrollIntoView({ block: "nearest", behavior: "instant" });
    }, 50);
  };
  const move = (at: number) => (by: -1 | 1) => {
    const charts = [...state.charts];
    const [one] = charts.splice(at, 1);
    if (one) charts.splice(at + by, 0, one);
    setTaking(null);
    focus.current = { at: at + by, up: true };
    put({ ...state, charts });
  };
  useLayoutEffect(() => {
    if (focus.current === null) return;
    const { at, up } = focus.current;
    focus.current = null;
    const panel = document.querySelectorAll(".trend-panel")[at];
    const button = (title: string) => panel?.querySelector<HTMLElement>(`.panel-does button[title="${title}"]`);
    const places = up ? [button("Move up"), panel?.querySelector<HTMLElement>(".panel-does button")] : [button("Remove"), ...document.querySelectorAll<HTMLElement>(".tree-opens, .search input")];
    // On a telephone the tree is behind a button, which is not there where the tree is.
    places.find((one) => one?.offsetParent)?.focus();
  }, [state.charts]);
  const picked = useMemo(() => new Set(state.charts.flatMap(({ keys }) => keys)), [state.charts]);
  // A chart keeps what it has loaded when others come and go above it.
  const names = new Map<string, number>();
  const nameOf = ({ keys }: ChartState) => {
    const name = keys[0] ?? "";
    names.set(name, (names.get(name) ?? 0) + 1);
    return `${name}\n${names.get(name)}`;
  };

  return (
    <div class="realtime trend">
      <aside class={narrow ? "realtime-tree open" : "realtime-tree"} aria-label="The tree">
        <Tree live={live} onPick={add} picked={picked} verb={taking === null ? "Show" : "Add"} />
        <Past range={span} from={state.from} to={state.to} onPick={add} picked={picked} />
      </aside>
      <section class="realtime-charts" aria-label="Charts">
        <Offline why={lost ?? live.error} />
        <div class="bar">
          <button type="button" class="tree-opens" aria-expanded={narrow} onClick={() => setNarrow(!narrow)}>{narrow ? "Close the tree" : "Add from the tree"}</button>
          <h1>Trend</h1>
          <span class="trend-seen">{between(seen[0] * 1000, seen[1] * 1000)}</span>
          <span class="unseen" role="status">{came}</span>
          <span class="bar-space" />
          <RangeBar state={state} span={span} zoomed={state.zoom !== null} onPut={put} />
        </div>
        {full !== "" && <p class="panel-said trend-full" role="alert">{full}</p>}
        {state.charts.length === 0 ? (
          <div class="realtime-empty">
            <Empty title="Nothing is shown yet.">
              <p>Pick a leaf in the tree, or press <kbd>Enter</kbd> on a branch. Or type a path above it: an empty key folds all of its level, as
                in <code>cpu,,idle</code>, and <code>cpu,*,idle</code> draws each.</p>
              <p>The tree has what lives now. What went has its trend still: look for it <em>In history</em> below the tree, or type its whole path, with
                its commas, as in <code>cpu,web1,idle</code>.</p>
              <p>Drag over a chart, turn the wheel or pinch to see less time and more of it; the strip below a chart has all of its time.</p>
              <p class="starts">{STARTS.map((key) => <button type="button" key={key} onClick={() => add(key)}><code>{key}</code></button>)}</p>
            </Empty>
          </div>
        ) : (
          <div class="trend-panels">
            {state.charts.map((chart, i) => (
              <Panel key={nameOf(chart)} chart={chart} whole={span} seen={seen} step={state.step} round={round} theme={theme} taking={taking === i}
                onShow={show} onChange={(next) => change(i, next)} onRemove={() => change(i, null)} onTaking={() => setTaking(taking === i ? null : i)}
                onMove={i === 0 ? null : move(i)} onReach={setLost} onAgain={forth} />
            ))}
          </div>
        )}
      </section>
    </div>
  );
}

document.getElementById("main")?.classList.add("wide");
mount(<Trend />);
