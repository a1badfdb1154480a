// A chart over time: uPlot, in the theme's colours. It is made anew only when what it is made of changes; data go in by
// `setData`. Styles are set by CSSOM, which the pages' policy lets through.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { cut, tickTexts } from "../lib/format.ts";
import { onThemeChange, seriesColour, token } from "../lib/theme.ts";

export interface Series {
  label: string;
  values: Array<number | null | undefined>;
  /** A colour, or the name of one of the theme's (`--s1`); else the theme's for its place. */
  colour?: string;
  style?: "line" | "area" | "bars";
  /** Line width in CSS pixels; 0 draws none. */
  width?: number;
  dash?: number[];
}

/** A vertical line that says that something happened. */
export interface Marker { at: number; text: string }

export interface ChartProps {
  /** Seconds since 1970, ascending. */
  times: number[];
  series: Series[];
  /** CSS pixels. */
  height: number;
  units?: string;
  /** What is shown (s); else all that there is. */
  range?: [number, number] | undefined;
  log?: boolean;
  /** Pairs of series between which the paper is tinted: upper, lower. */
  bands?: Array<[number, number]>;
  markers?: Marker[];
  /** Charts of one name have linked cursors. */
  sync?: string;
  /** What a screen reader says of it. */
  label: string;
  /** A stretch was dragged (s). */
  onZoom?: ((from: number, to: number) => void) | undefined;
  /** It was double-clicked. */
  onReset?: (() => void) | undefined;
  /** The cursor stands at this place of `times`, or nowhere. */
  onCursor?: ((at: number | null) => void) | undefined;
  /** Is handed the plot when it is made, for what a page wants to do with it. */
  onPlot?: ((plot: uPlot | null) => void) | undefined;
  /** uPlot's own options, over these. */
  more?: Partial<uPlot.Options>;
}

/** A colour as the theme has it now. */
const painted = (colour: string | undefined, place: number) =>
  (colour === undefined ? seriesColour(place) : colour.startsWith("--") ? token(colour) : colour);

const tinted = (colour: string, share: number) => `color-mix(in srgb, ${colour} ${share}%, transparent)`;

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** A moment on the time axis, as fine as ticks lie apart: a clock within a day, else a day or a month. */
export function timeTick(seconds: number, apart: number): string {
  const date = new Date(seconds * 1000);
  const text = (part: number) => String(part).padStart(2, "0");
  const day = `${date.getDate()} ${MONTHS[date.getMonth()]}`;
  if (apart >= 365 * 86_400) return String(date.getFullYear());
  if (apart >= 28 * 86_400) return date.getMonth() === 0 ? String(date.getFullYear()) : MONTHS[date.getMonth()] ?? "";
  if (apart >= 86_400) return day;
  if (date.getHours() + date.getMinutes() + date.getSeconds() === 0) return day;
  const clock = `${text(date.getHours())}:${text(date.getMinutes())}`;
  return apart < 60 ? `${clock}:${text(date.getSeconds())}` : clock;
}

/** Whether what is said of a moment is not cut off by the plot's end. */
function fits(plot: uPlot, seconds: number, apart: number): boolean {
  const width = plot.bbox.width / devicePixelRatio;
  return !(width > 0) || width + 8 - plot.valToPos(seconds, "x") > (apart < 60 ? 27 : 18);
}

function axes(units: string): uPlot.Axis[] {
  const [quiet, line] = [token("--quiet"), token("--grid")];
  const font = "11px system-ui, sans-serif";
  const common = { stroke: quiet, font, grid: { stroke: line, width: 1 }, ticks: { show: false } };
  return [
    { ...common, size: 24, grid: { show: false }, space: 70, values: (plot, ticks, _, __, apart) => ticks.map((tick) => (fits(plot, tick, apart) ? timeTick(tick, apart) : "")) },
    {
      ...common,
      space: 32,
      gap: 4,
      size: (_, values) => Math.max(40, ...(values ?? []).map((text) => text.length * 6.4 + 12)),
      values: (_, ticks, __, ___, apart) => tickTexts(ticks, units, apart),
    },
  ];
}

/** Draws markers over the plot. */
function draw(plot: uPlot, markers: Marker[]): void {
  if (markers.length === 0) return;
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.strokeStyle = token("--accent");
  ctx.fillStyle = token("--ink");
  ctx.lineWidth = devicePixelRatio;
  ctx.font = `${10 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.direction = "ltr";
  for (const { at, text } of markers) {
    const x = Math.round(plot.valToPos(at, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    // Where there is more room for what it says.
    const before = x > bbox.left + bbox.width / 2;
    ctx.textAlign = before ? "right" : "left";
    ctx.fillText(cut(text, 24), x + (before ? -4 : 4) * devicePixelRatio, bbox.top + 11 * devicePixelRatio);
  }
  ctx.restore();
}

/** Figures between gaps, of which no line tells: each is a point. */
function alone(plot: uPlot, series: number): number[] | null {
  const data = plot.data[series] ?? [];
  const [first, last] = plot.series[series]?.idxs ?? [0, data.length - 1];
  const found: number[] = [];
  // What is undefined is a time of another line, and no gap.
  const gap = (at: number, by: number) => {
    while (at >= 0 && at < data.length && data[at] === undefined) at += by;
    return data[at] == null;
  };
  for (let i = first; i <= last; i += 1) {
    if (data[i] != null && gap(i - 1, -1) && gap(i + 1, 1)) found.push(i);
  }
  return found.length > 0 ? found : null;
}

function options(props: ChartProps, width: number, latest: () => ChartProps): uPlot.Options {
  const series: uPlot.Series[] = props.series.map((one, i) => {
    const colour = painted(one.colour, i);
    const made: uPlot.Series = { label: one.label, stroke: colour, width: one.width ?? 1.5, points: { show: false, size: 4, fill: colour, filter: alone }, spanGaps: false };
    if (one.dash) made.dash = one.dash;
    if (one.style === "area") made.fill = tinted(colour, 18);
    if (one.style === "bars" && uPlot.paths.bars) {
      made.fill = tinted(colour, 60);
      made.paths = uPlot.paths.bars({ size: [0.8, 60] });
    }
    return made;
  });
  const made: uPlot.Options = {
    width,
    height: props.height,
    pxAlign: false,
    legend: { show: false },
    padding: [8, 8, 0, 0],
    cursor: {
      points: { size: 6 },
      drag: { x: Boolean(props.onZoom), y: false, setScale: false },
      bind: { dblclick: () => () => { latest().onReset?.(); return null; } },
      ...(props.sync ? { sync: { key: props.sync } } : {}),
    },
    scales: {
      x: { time: true, range: (_, min, max) => latest().range ?? [min ?? 0, max ?? 1] },
      y: props.log ? { distr: 3 } : { range: (_, min, max) => span(min, max, props.series.some(({ style }) => style === "area" || style === "bars")) },
    },
    axes: axes(props.units ?? ""),
    series: [{}, ...series],
    hooks: {
      draw: [(plot) => draw(plot, latest().markers ?? [])],
      setCursor: [(plot) => latest().onCursor?.(plot.cursor.idx ?? null)],
      setSelect: [(plot) => {
        if (plot.select.width < 4) return;
        latest().onZoom?.(plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x"));
        plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
      }],
    },
    ...props.more,
  };
  if (props.bands) {
    made.bands = props.bands.map(([upper, lower]) => ({
      series: [upper + 1, lower + 1], fill: tinted(painted(props.series[upper]?.colour, upper), 16),
    }));
  }
  return made;
}

/** What the y axis spans: zero and the values, unless these are far from zero and close together. An area says how much, and is whole. */
export function span(min: number | null, max: number | null, whole: boolean): [number, number] {
  if (min === null || max === null || !Number.isFinite(min) || !Number.isFinite(max)) return [0, 1];
  if (min === max) return min === 0 ? [0, 1] : min > 0 ? [0, min * 1.25] : [min * 1.25, 0];
  const room = (max - min) * 0.08;
  if (min >= 0 && (whole || min < max * 0.6)) return [0, max + room];
  if (max <= 0 && (whole || max > min * 0.6)) return [min - room, 0];
  return [min - room, max + room];
}

/** What a plot is made of, as a text: when that changes it is made anew. */
function shape(props: ChartProps): string {
  const { height, units, log, sync, bands } = props;
  const series = props.series.map(({ label, colour, style, width, dash }) => [label, colour, style, width, dash]);
  return JSON.stringify([height, units, log, sync, bands, Boolean(props.onZoom), series]);
}

export function Chart(props: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const data = () => [latest.current.times, ...latest.current.series.map(({ values }) => values)] as uPlot.AlignedData;
  const made = shape(props);

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const make = () => {
      plot.current?.destroy();
      const width = Math.max(80, element.clientWidth);
      plot.current = new uPlot(options(latest.current, width, () => latest.current), data(), element);
      latest.current.onPlot?.(plot.current);
    };
    make();
    const resized = new ResizeObserver(() => {
      const width = Math.max(80, element.clientWidth);
      if (plot.current && plot.current.width !== width) plot.current.setSize({ width, height: latest.current.height });
    });
    resized.observe(element);
    const stop = onThemeChange(make);
    return () => {
      stop();
      resized.disconnect();
      latest.current.onPlot?.(null);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [made, props.more]);

  useEffect(() => {
    plot.current?.setData(data());
  }, [props.times, props.series, props.range, props.markers]);

  return <div class="chart" ref={place} role="img" aria-label={props.label} style={{ height: `${props.height}px` }} />;
}
