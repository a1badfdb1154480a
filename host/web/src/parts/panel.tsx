// A path as what it is: a line for a number, the growth of a counter, a band for quantiles, a list for a branch, texts by time.

import { useEffect, useMemo, useReducer, useRef, useState } from "preact/hooks";
import { said } from "../lib/api.ts";
import { duration, withUnits } from "../lib/format.ts";
import type { Live } from "../lib/live.ts";
import { daemon } from "../lib/page.ts";
import { isPattern, shown, steps } from "../lib/path.ts";
import { history } from "../lib/history.ts";
import { LOOKED, resolve, type Resolved } from "../lib/resolve.ts";
import { SERIES } from "../lib/theme.ts";
import { together } from "../lib/together.ts";
import { COLUMNS, kindOf, own, Track, unitOf } from "../lib/track.ts";
import { Chart, type Series } from "./chart.tsx";
import { Listed, Texts } from "./listed.tsx";
import { Title } from "./title.tsx";

export interface PanelProps {
  path: string;
  live: Live;
  /** What is shown (s). */
  range: [number, number];
  /** How much is kept (s). */
  keep: number;
  /** It stands still: a stretch is looked at. */
  still: boolean;
  onZoom: (from: number, to: number) => void;
  onReset: () => void;
  /** A key was pressed at a plot; true where it was one that moves what is shown. */
  onKey: (key: string) => boolean;
  onRemove: () => void;
  /** It changes places with the one before it; null where it is the first, none where it is the only one. */
  onUp?: (() => void) | null | undefined;
  /** Another path in its place: folded, listed. */
  onReplace: (path: string) => void;
}

/** Lines of a list. */
const LINES = 8;
/** How often a list is looked at for others that are greater (ms). */
const LOOK_AGAIN = 15_000;
const HEIGHT = 150;
/** What is asked for less often than this (s) says so: it is no stream. */
const SELDOM = 2;

export function Panel(props: PanelProps) {
  const { path, live, range, keep, still } = props;
  const [resolved, setResolved] = useState<Resolved | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [tracks, setTracks] = useState<Track[]>([]);
  const [version, redraw] = useReducer((n: number) => n + 1, 0);
  const [seen, setSeen] = useState(true);
  const [cursor, setCursor] = useState<number | null>(null);
  const card = useRef<HTMLElement>(null);
  const marks = useRef<Track | null>(null);
  const drawn = useRef<Track[]>([]);
  const lookAgain = useRef<() => void>(() => undefined);

  // What it is; a list, and what is not there yet, are looked at again and again.
  useEffect(() => {
    let ended = false;
    let timer: ReturnType<typeof setTimeout>;
    const look = async () => {
      const began = performance.now();
      try {
        const now = await resolve(path);
        if (ended) return;
        setError(now?.refused ?? null);
        if (now) setResolved(now);
        if (now?.kind === "list") timer = setTimeout(look, Math.max(LOOK_AGAIN, (performance.now() - began) * 100));
        if (now?.kind === "none" && now.refused === undefined) timer = setTimeout(look, Math.max(daemon.tick, 1000));
      } catch (failed) {
        if (ended) return;
        setError(said(failed));
        timer = setTimeout(look, 3_000);
      }
    };
    lookAgain.current = () => { clearTimeout(timer); void look(); };
    lookAgain.current();
    return () => { ended = true; clearTimeout(timer); };
  }, [path]);

  const wanted = resolved === null || resolved.path !== path ? "" : JSON.stringify(
    // The greatest, in an order that stays: so a line keeps its colour.
    resolved.kind === "list" ? resolved.members.slice(0, LINES).map((one) => [one.path, one.kind]).sort(([a = ""], [b = ""]) => (a < b ? -1 : 1))
      : resolved.kind === "branch" || resolved.kind === "none" ? [] : [[path, resolved.kind]]);

  // Follows what is drawn, with what is marked at it; and puts what was before in front.
  useEffect(() => {
    const list = (wanted === "" ? [] : JSON.parse(wanted)) as Array<[string, Track["kind"]]>;
    const kept = new Map(tracks.map((track) => [`${track.path}\n${track.kind}`, track]));
    const now = list.map(([of, kind]) => kept.get(`${of}\n${kind}`) ?? new Track(of, kind, daemon.tick / 1000, keep));
    const marked = now.length === 1 && !isPattern(path) && now[0]?.kind !== "text" ? new Track(`${path},marker`, "text", daemon.tick / 1000, keep) : null;
    marks.current = marked;
    setTracks(now);
    const all = marked ? [...now, marked] : now;
    const begun = new Set<Track>();
    const others = new Set<string>();
    drawn.current = all;
    let ended = false;
    const stops = all.map((track) => live.watch(track.path, (frame) => {
      if (!track.take(frame)) return;
      // A number has become a text, or the like: once it is asked what it is now.
      const is = kindOf(track.value, track.kind === "counter");
      if (track.path === path && is !== null && is !== track.kind && !others.has(is)) {
        others.add(is);
        lookAgain.current();
      }
      const at = frame.at / 1000;
      const missed = track.missed;
      track.missed = null;
      const fresh = !begun.has(track) && !kept.has(`${track.path}\n${track.kind}`);
      begun.add(track);
      const [from, to] = missed ?? [at - keep, at];
      if (fresh || missed) history.fill({ track, from, to, done: () => redraw(0), wanted: () => !ended || drawn.current.includes(track) });
      if (track.kind === "text") redraw(0);
    }));
    return () => {
      ended = true;
      drawn.current = [];
      stops.forEach((stop) => stop());
    };
  }, [wanted, live, keep]);

  useEffect(() => {
    const element = card.current;
    if (!element) return;
    const sight = new IntersectionObserver((entries) => setSeen(entries.some((entry) => entry.isIntersecting)), { rootMargin: "200px" });
    sight.observe(element);
    return () => sight.disconnect();
  }, []);

  const units = typeof resolved?.meta.units === "string" ? resolved.meta.units : "";
  const unit = unitOf(tracks[0]?.kind, units);
  const to = range[1];
  // While the page but comes back, nothing is said of either.
  if (!still && live.state === "live") tracks.forEach((track) => track.hold(to));
  if (!still && live.state === "offline") tracks.forEach((track) => track.lose(to));

  // The cursor moves often, and draws nothing anew.
  const lines = useMemo(() => <Lines tracks={tracks} range={range} unit={unit} path={path} marks={marks.current} onCursor={setCursor} onZoom={props.onZoom} onReset={props.onReset} onKey={props.onKey} />,
    [tracks, range, path, unit, version, props.onKey]);
  const first = tracks[0];
  // Without a connection the figures are those from before, as the page says.
  const now = !first ? [] : cursor === null && live.state === "offline" ? first.known() : first.at(cursor);
  return (
    <article class="panel" ref={card} aria-label={shown(path, 80)}>
      <Title path={path} resolved={resolved} onReplace={props.onReplace} onRemove={props.onRemove} onUp={props.onUp} />
      {error !== null && <p class="panel-said" role="status">{error}</p>}
      {resolved === null ? <div class="panel-blank" style={{ height: `${HEIGHT}px` }} />
        : resolved.refused !== undefined ? null
        : resolved.kind === "none" ? <p class="panel-blank state" style={{ height: `${HEIGHT}px` }}>There is nothing here yet; it is drawn when there is.</p>
        : resolved.kind === "branch" ? <Listed path={path} still={still || !seen} onOpen={props.onReplace} />
        : first?.kind === "text" && tracks.length === 1 ? <Texts texts={first.texts} />
        : first && (
          <>
            <Legend tracks={tracks} path={path} units={units} now={now} more={resolved.members.length - tracks.length} cut={resolved.more} />
            {seen ? lines : <div style={{ height: `${HEIGHT}px` }} />}
          </>
        )}
    </article>
  );
}

interface LinesProps {
  tracks: Track[]; range: [number, number]; unit: string; path: string; marks: Track | null;
  onCursor: (time: number | null) => void; onZoom: (from: number, to: number) => void; onReset: () => void; onKey: (key: string) => boolean;
}

function Lines({ tracks, range, unit, path, marks, onCursor, onZoom, onReset, onKey }: LinesProps) {
  const first = tracks[0];
  const bands = useMemo<Array<[number, number]>>(() => (tracks.length === 1 && first?.kind === "quantiles" ? [[0, 1], [1, 2]] : []), [tracks.length, first?.kind]);
  const { times, columns } = together(tracks, range);
  const drawn: Series[] = tracks.length === 1 && first
    ? COLUMNS[first.kind].map((label, i) => ({
      label, values: columns[i] ?? [], colour: colour(0), width: first.kind === "quantiles" ? [1, 1, 2][i] ?? 1 : 1.5,
      ...(first.kind === "counter" || first.kind === "distinct" ? { style: "area" as const } : {}),
    }))
    : tracks.map((track, i) => ({ label: track.path, values: columns[i] ?? [], colour: colour(i) }));
  const last = first?.at(null).map((figure) => (figure === null ? "nothing" : withUnits(figure, unit))).join(", ");
  const onKeyDown = (event: KeyboardEvent) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey && onKey(event.key)) event.preventDefault();
  };
  const name = shown(path, 80);
  return (
    <div class="panel-plot" tabIndex={0} role="group" onKeyDown={onKeyDown} aria-label={`Plot of ${name}: plus and minus show less or more of its time, arrows move, 0 goes on live`}>
      <Chart times={times} series={drawn} height={HEIGHT} units={unit} range={range} bands={bands} sync="realtime" onCursor={(at) => onCursor(at === null ? null : times[at] ?? null)} onZoom={onZoom} onReset={onReset}
        markers={(marks?.texts ?? []).map(({ at, text }) => ({ at, text }))} label={`Chart of ${shown(path, 100)}; now ${last ?? "nothing"}`} />
    </div>
  );
}

/** The name of the n-th colour: what it is, the theme says. */
const colour = (n: number): string => SERIES[n % SERIES.length] ?? "--s1";

interface LegendProps { tracks: Track[]; path: string; units: string; now: Array<number | null>; more: number; cut: boolean }

function Legend({ tracks, path, units, now, more, cut: truncated }: LegendProps) {
  const [first] = tracks;
  if (!first) return null;
  const unit = unitOf(first.kind, units);
  if (tracks.length > 1) {
    const wanted = steps(path);
    return (
      <ul class="legend">
        {tracks.map((track, i) => {
          const name = steps(track.path).filter((_, at) => wanted[at] === "*").join(",");
          const figure = track.at(null)[0] ?? null;
          return (
            <li key={track.path}>
              <i style={{ background: `var(${colour(i)})` }} /><bdi>{shown(name, 28)}</bdi> <b>{figure === null ? "–" : withUnits(figure, unitOf(track.kind, units))}</b>
            </li>
          );
        })}
        {more > 0 && <li class="quiet">and {more} that are smaller{truncated ? `, of the first ${LOOKED} by name` : ""}</li>}
      </ul>
    );
  }
  if (first.kind === "quantiles") {
    return <p class="figures">{COLUMNS.quantiles.map((name, i) => <span key={name}>{name} <b>{now[i] === null || now[i] === undefined ? "–" : withUnits(now[i], unit)}</b></span>)}</p>;
  }
  if (first.kind === "distinct") {
    const all = own(first.value) as { distinct?: number } | undefined;
    return <p class="figures"><span><b>{now[0] === null || now[0] === undefined ? "–" : withUnits(now[0], "")}</b> different in the last minute</span>
      {all?.distinct !== undefined && <span><b>{withUnits(all.distinct, "")}</b> since the start</span>}</p>;
  }
  const total = own(first.value);
  return (
    <p class="figures">
      <span><b class="large">{now[0] === null || now[0] === undefined ? "–" : withUnits(now[0], unit)}</b></span>
      {first.kind === "counter" && typeof total === "number" && <span>{withUnits(total, units)} so far</span>}
      {first.every > SELDOM && <span>asked for each {duration(first.every)}</span>}
    </p>
  );
}
