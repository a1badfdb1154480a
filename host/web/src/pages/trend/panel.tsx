// One chart of the trend page: what is seen above, all of it in the strip below, its lines by name, and what can be done with it.

import type { ComponentProps } from "preact";
import { useEffect, useId, useMemo, useRef, useState } from "preact/hooks";
import type uPlot from "uplot";
import { clockOffset, Failed, isAbort, said } from "../../lib/api.ts";
import { cut, moment } from "../../lib/format.ts";
import { shown } from "../../lib/path.ts";
import { resolve } from "../../lib/resolve.ts";
import { seriesColour, token } from "../../lib/theme.ts";
import { Chart, type Marker, type Series } from "../../parts/chart.tsx";
import { Keys } from "../../parts/keys.tsx";
import { Broken, Empty, Loading } from "../../parts/states.tsx";
import { figuresOf, type Line, load, niceStep, placeOf, stacked, type Stretch, type Values } from "./data.ts";
import { byKey, listen, type Range, settling, within } from "./gestures.ts";
import { Happenings } from "./happenings.tsx";
import { Legend, Pointer, type Row } from "./legend.tsx";
import { Options } from "./options.tsx";
import { csvOf, fileName, hand, pngOf } from "./save.ts";
import type { ChartState } from "./state.ts";
import { Strip } from "./strip.tsx";

export interface PanelProps {
  chart: ChartState;
  whole: Range;
  seen: Range;
  step: string;
  /** Counts up when all is to be asked for anew. */
  round: number;
  /** Changes with the colours of the page. */
  theme: number;
  /** The chart that the tree adds to. */
  taking: boolean;
  onShow: (range: Range, done: boolean) => void;
  onChange: (chart: ChartState) => void;
  onRemove: () => void;
  onTaking: () => void;
  onMove: ((by: -1 | 1) => void) | null;
  onAgain: () => void;
  /** Whether the daemon could not be reached. */
  onReach: (why: string | null) => void;
}

const HEIGHT = 240;
/** Room for half of the last time at the axis. */
const MORE = { padding: [8, 16, 0, 0] as [number, number, number, number] };
/** A picture waits for so long (ms) while it is being zoomed. */
const AFTER = 90;
/** How far beyond what is seen is asked for, as a share: the next step of a drag is there already. */
const BESIDE = 0.5;
/** Steps in sight: as many as can be told apart, on a telephone too. */
const stepsSeen = (style: ChartState["style"]) => (style === "bars" ? 120 : innerWidth < 736 ? 300 : 600);
/** Steps in sight from which on a dashed line is but dust. */
const STEPS_DASHED = 300;
const STEPS_STRIP = 400;
const SAID_MAX = 40;
/** Changes of a text that are marked in a chart of numbers. */
const MARKERS = 200;

/** A colour nearer to the paper. */
const paler = (colour: string) => `color-mix(in srgb, ${colour} 50%, ${token("--raised")})`;

/** The place of each line among all that were read, by its name: figures of one path that are drawn as a band have one. */
function placesOf(stretches: ReadonlyArray<Stretch | null>, band: boolean): (line: Line) => number {
  const places = new Map<string, number>();
  const name = ({ path, figure }: Line) => (band ? path : `${path}\n${figure}`);
  const all = stretches.flatMap((stretch) => stretch?.lines ?? []);
  for (const beside of [false, true]) {
    for (const line of all) if (line.beside === beside && !places.has(name(line))) places.set(name(line), places.size);
  }
  return (line) => places.get(name(line)) ?? 0;
}

function Does({ text, ...more }: { text: string } & ComponentProps<"button">) {
  return <button type="button" class="plain" {...more}>{text}</button>;
}

export function Panel(props: PanelProps) {
  const { chart, whole, seen, step, round, theme, onShow } = props;
  const id = useId();
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const pointer = useMemo(() => new Pointer(), []);
  const [all, setAll] = useState<Stretch | null>(null);
  const [near, setNear] = useState<Stretch | null>(null);
  /** Why the whole could not be read, why what is seen, and why a file could not be made. */
  const [errors, setErrors] = useState<{ whole?: string; near?: string; file?: string }>({});
  /** How many questions are under way. */
  const [busy, setBusy] = useState(0);
  const [told, setTold] = useState<{ units: string; title: string; as: string } | null>(null);
  const [options, setOptions] = useState(false);
  const [done, setDone] = useState("");
  const latest = useRef({ seen, whole });
  latest.current = { seen, whole };

  const asked = JSON.stringify([chart.keys, chart.as, chart.compare, step, stepsSeen(chart.style)]);
  const keys = chart.keys.join("\n");
  const name = `${shown(chart.keys[0] ?? "", SAID_MAX * 2)}${chart.keys.length > 1 ? ` and ${chart.keys.length - 1} more` : ""}`;
  const now = () => (Date.now() + clockOffset()) / 1000;
  const failed = (what: "whole" | "near") => (thrown: unknown) => {
    if (isAbort(thrown)) return;
    if (thrown instanceof Failed && thrown.offline) props.onReach(thrown.message);
    // What is there stays while nobody answers.
    setErrors((before) => ({ ...before, [what]: said(thrown) }));
  };
  const found = (what: "whole" | "near") => {
    setErrors(({ [what]: _, ...others }) => others);
    props.onReach(null);
  };
  const during = (work: Promise<void>) => {
    setBusy((n) => n + 1);
    work.finally(() => setBusy((n) => n - 1));
  };

  // What its nodes are: a counter is told by its growth, unless somebody wants it otherwise.
  useEffect(() => {
    let ended = false;
    Promise.all(chart.keys.slice(0, 8).map((key) => resolve(key))).then((found) => {
      if (ended) return;
      const meta = (what: "units" | "title") => found.map((one) => one?.meta[what]).find((text) => typeof text === "string" && text !== "");
      const counts = found.some((one) => one?.kind === "counter" || one?.members.some(({ kind }) => kind === "counter"));
      props.onReach(null);
      setTold({ units: cut(String(meta("units") ?? ""), 24), title: cut(String(meta("title") ?? ""), 120), as: counts ? "rate" : "" });
    }, (thrown: unknown) => {
      if (ended) return;
      // Who cannot be reached is asked again; what is refused is drawn as it is.
      if (thrown instanceof Failed && thrown.offline) props.onReach(thrown.message);
      else setTold({ units: "", title: "", as: "" });
    });
    return () => { ended = true; };
  }, [keys, told === null ? round : 0]);

  const as = chart.as || told?.as || "";
  // All of it, for the strip; and for the picture until what is finer has come.
  useEffect(() => {
    if (told === null) return;
    const asking = new AbortController();
    const wanted = { chart, as, from: whole[0], to: whole[1], step: "", seen: whole[1] - whole[0], most: STEPS_STRIP, now: now() };
    during(load(wanted, asking.signal).then((read) => {
      setAll(read);
      found("whole");
    }, failed("whole")));
    return () => asking.abort();
  }, [asked, as, told === null, whole[0], whole[1], round]);

  // What is seen, finer than in the strip.
  const nearFor = useRef({ about: "", wide: 0 });
  useEffect(() => {
    if (told === null) return;
    const asking = new AbortController();
    const wide = seen[1] - seen[0];
    const about = `${asked}\n${as}\n${round}`;
    // What is there is fine enough, and reaches as far.
    const enough = near && nearFor.current.about === about && near.from <= seen[0] && near.to >= seen[1]
      && (step !== "" || niceStep(wide, stepsSeen(chart.style), 0) >= niceStep(nearFor.current.wide, stepsSeen(chart.style), 0));
    if (enough) return;
    const timer = setTimeout(() => {
      const beside = step === "" ? BESIDE * wide : 0;
      const [from, to] = [Math.max(whole[0], seen[0] - beside), Math.min(whole[1], seen[1] + beside)];
      during(load({ chart, as, from, to, step, seen: wide, most: stepsSeen(chart.style), now: now() }, asking.signal).then((read) => {
        nearFor.current = { about, wide };
        setNear(read);
        found("near");
      }, failed("near")));
    }, near === null ? 0 : AFTER);
    return () => { clearTimeout(timer); asking.abort(); };
  }, [asked, as, told === null, seen[0], seen[1], whole[0], whole[1], round]);

  const fits = near !== null && near.from <= seen[0] + 1 && near.to >= seen[1] - 1;
  const stretch = fits || all === null ? near ?? all : all;
  const band = as.includes("min") && as.includes("max");
  const placeIn = useMemo(() => placesOf([all, near], band), [all, near, band]);
  const colourOf = (line: Line) => seriesColour(chart.colours[placeIn(line)] ?? placeIn(line) % 8);
  const colours = useMemo(() => (stretch?.lines ?? []).map(colourOf), [chart.colours, placeIn, stretch, theme]);
  const sketched = useMemo(() => (all?.lines ?? []).map(colourOf), [chart.colours, placeIn, all, theme]);

  const [first, end] = stretch ? [placeOf(stretch.times, seen[0]), placeOf(stretch.times, seen[1])] : [0, 0];
  const dashed = end - first < STEPS_DASHED;
  const drawn = useMemo(() => {
    if (!stretch) return null;
    const mine = stretch.lines.filter(({ beside }) => !beside);
    const other = stretch.lines.filter(({ beside }) => beside);
    const columns = (lines: typeof mine): Values[] => {
      const values = chart.style === "stacked" ? stacked(lines.map((line) => line.values)) : lines.map((line) => line.values);
      // Nothing that is not above zero has a place on such a scale.
      return chart.log ? values.map((column) => column.map((value) => (typeof value === "number" && value <= 0 ? null : value))) : values;
    };
    const pairs: Array<[number, number]> = [];
    if (chart.style === "stacked") for (let i = 1; i < mine.length; i += 1) pairs.push([i, i - 1]);
    else if (band) {
      mine.forEach(({ path, figure }, i) => {
        const lower = mine.findIndex((line) => line.path === path && line.figure === "min");
        if (figure === "max" && lower >= 0) pairs.push([i, lower]);
      });
    }
    const series: Series[] = [...columns(mine), ...columns(other)].map((values, i) => {
      const line = [...mine, ...other][i];
      const made: Series = { label: line?.label ?? "", values, colour: colours[i] ?? "" };
      if (line?.beside) {
        // Behind what it is compared with, by its looks.
        made.colour = paler(colours[i] ?? "");
        if (dashed) made.dash = [5, 4];
      }
      else if (chart.style === "area" || chart.style === "bars") made.style = chart.style;
      else if (chart.style === "stacked") made.style = i === 0 ? "area" : "line";
      if (band && line?.figure !== "mean" && !line?.beside) made.width = 0.5;
      return made;
    });
    return { series, pairs };
  }, [stretch, chart.style, chart.log, colours, band, dashed]);

  const rows = useMemo<Row[]>(() => (stretch?.lines ?? []).map((line, i) => ({
    path: line.path,
    tail: line.label.slice(shown(line.path).length),
    label: line.label,
    colour: line.beside ? paler(colours[i] ?? "") : colours[i] ?? "",
    values: line.values,
    figures: figuresOf(line.values, first, Math.max(end, first)),
    beside: line.beside,
  })), [stretch, colours, first, end]);
  const markers = useMemo<Marker[]>(() => (stretch?.happened ?? []).flatMap(({ events }) =>
    events.slice(-MARKERS).map(([at, text]) => ({ at, text: text ?? "gone" }))), [stretch]);

  const own = told?.units ?? "";
  const units = chart.units || (as === "rate" ? `${own}/s` : as === "count" || as === "distinct" ? "" : own);
  const error = errors.near ?? errors.whole ?? errors.file ?? null;
  const below = useMemo(() => chart.log && (drawn?.series ?? []).every(({ values }) => values.every((value) => typeof value !== "number")), [chart.log, drawn]);
  const nothing = stretch !== null && stretch.lines.length === 0 && stretch.happened.length === 0;
  const textsOnly = stretch !== null && stretch.lines.length === 0 && stretch.happened.length > 0;
  useEffect(() => {
    const element = place.current;
    // The next step begins where the last one led, drawn or not.
    const show = (range: Range, done: boolean) => {
      const { whole } = latest.current;
      latest.current = { whole, seen: within(range, whole) ?? whole };
      onShow(range, done);
    };
    if (element) return listen(element, { seen: () => latest.current.seen, whole: () => latest.current.whole, show });
  }, [onShow, stretch === null || nothing || textsOnly]);
  const title = chart.keys.map((key) => shown(key, SAID_MAX)).slice(0, 3).join(", ") + (chart.keys.length > 3 ? ` and ${chart.keys.length - 3} more` : "");

  const byKeys = useMemo(() => settling(onShow), [onShow]);
  const onKey = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const next = byKey(event.key, seen, whole);
    if (!next) return;
    event.preventDefault();
    byKeys(next);
  };
  const colour = (row: number) => {
    const line = stretch?.lines[row];
    if (!line || line.beside) return;
    const at = placeIn(line);
    const next = Array.from({ length: Math.max(at + 1, chart.colours.length) }, (_, i) => chart.colours[i] ?? i % 8);
    next[at] = ((next[at] ?? 0) + 1) % 8;
    props.onChange({ ...chart, colours: next });
  };
  const saveCsv = () => {
    if (!stretch) return;
    hand(fileName(title, "csv"), new Blob([csvOf(stretch, seen[0], seen[1])], { type: "text/csv;charset=utf-8" }));
    setDone("The table was handed over.");
  };
  const savePng = () => {
    const canvas = plot.current?.root.querySelector("canvas");
    if (!canvas || !stretch) return;
    const names = rows.map(({ label, colour: of, beside }) => ({ label: cut(label, 90), colour: of, dashed: beside }));
    pngOf(canvas, `${told?.title ? `${told.title} – ` : ""}${title}`, seen, names).then((blob) => {
      hand(fileName(title, "png"), blob);
      setDone("The picture was handed over.");
    }, (thrown: unknown) => setErrors((before) => ({ ...before, file: said(thrown) })));
  };

  return (
    <article class={props.taking ? "panel trend-panel taking" : "panel trend-panel"} aria-label={name} aria-busy={busy > 0}>
      <header class="panel-head">
        <h2 title={chart.keys.map((key) => shown(key, 200)).slice(0, 20).join("\n")}>
          {chart.keys.slice(0, 3).map((key, i) => <span key={key}>{i > 0 && ", "}<Keys path={key} most={SAID_MAX * 2} /></span>)}
          {chart.keys.length > 3 && ` and ${chart.keys.length - 3} more`}
          {told?.title && <small class="quiet"> <bdi>{told.title}</bdi></small>}
          {as === "rate" && chart.units === "" && <small class="quiet"> a second</small>}
        </h2>
        <div class="panel-does">
          <Does text="Add lines" title="What is picked in the tree comes into this chart" onClick={props.onTaking} aria-pressed={props.taking} />
          <Does text="Style" onClick={() => setOptions(!options)} aria-expanded={options} aria-controls={`${id}-options`} />
          <Does text="CSV" title="What is seen as a table" onClick={saveCsv} disabled={!stretch || nothing} />
          <Does text="PNG" title="What is seen as a picture" onClick={savePng} disabled={!stretch || nothing || textsOnly} />
          {props.onMove && <Does text="↑" title="Move up" aria-label={`Move ${name} up`} onClick={() => props.onMove?.(-1)} />}
          <Does text="×" title="Remove" aria-label={`Remove ${name}`} onClick={props.onRemove} />
        </div>
      </header>
      <div id={`${id}-options`} hidden={!options}>{options && <Options chart={chart} id={id} onChange={props.onChange} />}</div>
      {error !== null && stretch !== null && <p class="panel-said" role="status">{error}</p>}
      {stretch === null && error !== null ? <Broken error={error} retry={props.onAgain} />
        : stretch === null ? <div style={{ height: `${HEIGHT}px` }}><Loading what="Reading its history" /></div>
        : nothing ? <Empty title="Nothing is known of this in that time."><p>It may be new, or be called otherwise. Choose another time, or another path.</p></Empty>
        : (
          <>
            {!textsOnly && (
              <div class="trend-plot" ref={place} tabIndex={0} role="group" onKeyDown={onKey}
                aria-label={`${name}, ${moment(seen[0] * 1000)} to ${moment(seen[1] * 1000)}. Arrows move, plus and minus zoom, 0 shows all.`}>
                <Chart times={stretch.times} series={drawn?.series ?? []} height={HEIGHT} units={units} log={chart.log} range={seen} markers={markers}
                  bands={drawn?.pairs ?? []} sync="trend" more={MORE} label={`${name} over time`} onPlot={(made) => { plot.current = made; }}
                  onZoom={(from, to) => onShow([from, to], true)} onReset={() => onShow(whole, true)} onCursor={(at) => pointer.tell(at)} />
              </div>
            )}
            {!textsOnly && <Strip name={name} stretch={all} colours={sketched} whole={whole} seen={seen} onShow={onShow} />}
            {rows.length > 0 && <Legend rows={rows} times={stretch.times} units={units} pointer={pointer} name={name} onColour={colour} />}
            {below && !textsOnly && <p class="quiet trend-note">Nothing here is above zero, where a logarithmic scale begins.</p>}
            {stretch.left > 0 && (
              <p class="quiet trend-note">{stretch.left} more lines are not shown. Fold a level (an empty key) or name those that you want.</p>
            )}
            {stretch.happened.length > 0 && <Happenings happened={stretch.happened} range={seen} />}
          </>
        )}
      <p class="unseen" role="status">{done}</p>
    </article>
  );
}
