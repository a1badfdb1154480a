// How lines went on: asked for, set on one axis of times, stacked, compared.

import { trend } from "../../lib/api.ts";
import { shown } from "../../lib/path.ts";
import { type Shift, shiftOf } from "./calendar.ts";
import { before, type ChartState } from "./state.ts";

export type Values = Array<number | null | undefined>;

/** A line of a chart. */
export interface Line {
  path: string;
  /** Which figure of it, where several are asked for. */
  figure: string;
  label: string;
  times: number[];
  values: Values;
  /** Belongs to what the chart is compared with. */
  beside: boolean;
}

/** What a text was when: the first holds as the range begins, null is from when on there was none. */
export interface Happened { path: string; events: Array<[number, string | null]> }

/** What a chart knows of a stretch of time (s). */
export interface Stretch {
  from: number;
  to: number;
  /** Ascending, one for all lines. */
  times: number[];
  lines: Line[];
  happened: Happened[];
  /** Lines that were found and are not shown. */
  left: number;
}

/** Lines that a chart shows at most: more are a carpet. */
export const LINES_MAX = 64;

type Axis = { from: number; step: number } | { times: number[] };
type Told = Axis & { values?: Values; events?: Array<[number, string | null]>; [figure: string]: unknown };
export type Answer = Array<{ [path: string]: Told }>;

/** Times in words: of a day before, say. */
export function beforeInWords(compare: string): string {
  const words: { [text: string]: string } = { "-1d": "a day before", "-7d": "a week before", "-28d": "4 weeks before", "-364d": "a year before" };
  return words[compare] ?? `${compare.slice(1)} before`;
}

/** The lines of an answer. Those of what it is compared with lie later than they were, by `shift`. */
export function linesOf(answer: Answer, as: string, shift: Shift | null = null, beside = false, suffix = ""): { lines: Line[]; happened: Happened[] } {
  const [lines, happened]: [Line[], Happened[]] = [[], []];
  const figures = as === "" ? [""] : [...new Set(as.split(","))];
  for (const one of answer) {
    for (const [path, told] of Object.entries(one)) {
      if (told.events) {
        // What was told again and is the same is nothing new.
        const events = told.events.filter(([, text], i, all) => i === 0 || all[i - 1]?.[1] !== text);
        if (!beside) happened.push({ path, events });
        continue;
      }
      let times: number[] | null = null;
      // The places that have a time; all of them for null.
      let places: number[] | null = null;
      for (const figure of figures) {
        const values = (told.values ?? told[figure]) as Values | undefined;
        if (!Array.isArray(values)) continue;
        if (times === null) {
          const { from, step } = told as { from: number; step: number };
          const all = "times" in told && Array.isArray(told.times) ? told.times as number[] : values.map((_, i) => from + i * step);
          const moved = shift === null ? all : shift.later(all);
          if (moved.includes(null)) places = moved.flatMap((time, i) => (time === null ? [] : [i]));
          times = moved.filter((time) => time !== null);
        }
        const label = `${shown(path)}${figures.length > 1 ? ` · ${figure}` : ""}${suffix}`;
        lines.push({ path, figure, label, times, values: places?.map((i) => values[i]) ?? values, beside });
      }
    }
  }
  return { lines, happened };
}

function same(a: number[], b: number[]): boolean {
  return a === b || (a.length === b.length && a.every((time, i) => time === b[i]));
}

/** Sets lines on one axis: all times that one of them has. What a line has no time for is undefined, which is no gap. */
export function align(lines: Line[]): number[] {
  const first = lines[0];
  if (!first) return [];
  if (lines.every(({ times }) => same(times, first.times))) return first.times;
  const axes: number[][] = [];
  for (const { times } of lines) if (!axes.some((one) => same(one, times))) axes.push(times);
  const all = [...new Set(axes.flat())].sort((a, b) => a - b);
  for (const line of lines) {
    const { times, values } = line;
    let at = 0;
    line.values = all.map((time) => {
      while (at < times.length && (times[at] ?? 0) < time) at += 1;
      return times[at] === time ? values[at] : undefined;
    });
    line.times = all;
  }
  return all;
}

/** Each line on top of those before it. Where none has a value, there is none. At a time that a line has none of, it has its last value. */
export function stacked(columns: Values[]): Values[] {
  const sums: number[] = [];
  return columns.map((values) => {
    let last: number | null = null;
    return values.map((value, i) => {
      if (value !== undefined) last = value;
      if (last !== null) sums[i] = (sums[i] ?? 0) + last;
      return value === undefined ? undefined : sums[i] ?? null;
    });
  });
}

const NICE = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800];

/** A step (s) that gives no more than `most` in `span`, and is no finer than what is kept. */
export function niceStep(span: number, most: number, finest: number): number {
  const wanted = Math.max(span / most, finest);
  // Days are kept by themselves: only whole ones find them.
  const step = NICE.find((one) => one >= wanted && (finest < 86_400 || one % 86_400 === 0)) ?? 604_800;
  return Math.max(step, finest);
}

const HOUR = 3_600;
/** Ages (h) at which it is asked how fine history is; one between two is taken for the older. */
const AGES = [36, 60, 96, 192, 384, 744, 1_488, 2_400, 4_800, 8_784, 9_600, 20_000, 40_000, 88_000];
const asked = new Map<number, Promise<number | null>>();

/** The finest step (s) that is kept of a moment; null where nothing is known of the path then. */
async function probe(path: string, at: number): Promise<number | null> {
  // A stretch so short that the step is what is kept.
  const answer = await trend<Answer>([path], { from: Math.max(0, Math.floor(at)), to: Math.max(0, Math.floor(at)) + 600 });
  const told = answer.flatMap((one) => Object.values(one)).find((one) => "step" in one) as { step?: number } | undefined;
  return told?.step ?? null;
}

/** How fine history is of a moment (s), no finer than it is: what a daemon keeps for how long is its own affair. */
async function finestOf(path: string, at: number, now: number): Promise<number> {
  const age = now - at;
  if (age < 36 * HOUR) return 1;
  const older = (AGES.find((hours) => hours * HOUR >= age) ?? 1_000_000) * HOUR;
  const there = asked.get(older) ?? probe(path, now - older);
  asked.set(older, there);
  // What is known is kept; of a path that is younger, its own moment is asked for.
  const known = await there.catch(() => null);
  if (known !== null) return known;
  asked.delete(older);
  return (await probe(path, at)) ?? (age > 366 * 24 * HOUR ? 24 * HOUR : age > 30 * 24 * HOUR ? 600 : 60);
}

export interface Wanted {
  chart: ChartState;
  /** Its figures, joined by commas; empty for what the node's action says. */
  as: string;
  from: number;
  to: number;
  /** As `/trend/` takes it; empty for one that suits. */
  step: string;
  /** The stretch of it that is seen (s), and how many steps it may have. */
  seen: number;
  most: number;
  now: number;
}

/** Asks for what a chart shows. */
export async function load(wanted: Wanted, signal: AbortSignal): Promise<Stretch> {
  const { chart, as, from, to, now } = wanted;
  const shift = shiftOf(chart.compare, before(chart.compare));
  // What lies further back may be kept in longer steps; it is compared as it is.
  const ask = async (keys: readonly string[], from: number, end: number) => {
    const step = wanted.step !== "" ? wanted.step : String(niceStep(wanted.seen, wanted.most, await finestOf(keys[0] ?? "", from, now)));
    // Without an end the answer ends with the last that there is.
    const to = end >= now ? undefined : Math.ceil(end);
    return trend<Answer>(keys, { from: Math.floor(from), to, step, as: as === "" ? undefined : as }, signal);
  };
  const asked = [ask(chart.keys, from, to)];
  if (shift !== null) asked.push(ask(chart.keys, shift.earlier(from), shift.earlier(to)));
  else if (chart.compare !== "") asked.push(ask([chart.compare], from, to));
  const [main, other] = await Promise.all(asked);
  const { lines, happened } = linesOf(main ?? [], as);
  const left = Math.max(0, lines.length - LINES_MAX);
  const all = lines.slice(0, LINES_MAX);
  if (other) all.push(...linesOf(other, as, shift, true, shift === null ? "" : `, ${beforeInWords(chart.compare)}`).lines.slice(0, LINES_MAX));
  const times = align(all);
  return { from, to, times, lines: all, happened, left };
}

/** The first place at or behind a time. */
export function placeOf(times: readonly number[], time: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

export interface Figures { last: number | null; min: number | null; mean: number | null; max: number | null }

/** What a line comes to between two places. */
export function figuresOf(values: Values, first: number, end: number): Figures {
  let [min, max, sum, count] = [Infinity, -Infinity, 0, 0];
  let last: number | null = null;
  for (let i = first; i < end; i += 1) {
    const value = values[i];
    if (typeof value !== "number") continue;
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
    count += 1;
    last = value;
  }
  return count === 0 ? { last: null, min: null, mean: null, max: null } : { last, min, mean: sum / count, max };
}
