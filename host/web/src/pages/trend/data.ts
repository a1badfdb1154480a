// How lines went on: asked for, set on one axis of times, stacked, compared.

import { trend } from "../../lib/api.ts";
import { shown } from "../../lib/path.ts";
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
  /** Seconds between two values; 0 where they do not lie evenly. */
  step: number;
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

/** The lines of an answer. Those of what it is compared with lie `shift` seconds later than they were. */
export function linesOf(answer: Answer, as: string, shift = 0, beside = false, suffix = ""): { lines: Line[]; happened: Happened[] } {
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
      for (const figure of figures) {
        const values = (told.values ?? told[figure]) as Values | undefined;
        if (!Array.isArray(values)) continue;
        if (times === null) {
          if ("times" in told && Array.isArray(told.times)) times = (told.times as number[]).map((at) => at + shift);
          else {
            const { from, step } = told as { from: number; step: number };
            times = values.map((_, i) => from + i * step + shift);
          }
        }
        const label = `${shown(path)}${figures.length > 1 ? ` · ${figure}` : ""}${suffix}`;
        lines.push({ path, figure, label, times, values, beside });
      }
    }
  }
  return { lines, happened };
}

function same(a: number[], b: number[]): boolean {
  return a === b || (a.length === b.length && a[0] === b[0] && a.at(-1) === b.at(-1) && a[a.length >> 1] === b[b.length >> 1]);
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

/** Each line on top of those before it. Where none has a value, there is none. */
export function stacked(columns: Values[]): Values[] {
  const sums: number[] = [];
  return columns.map((values) => values.map((value, i) => {
    if (typeof value !== "number") return sums[i] === undefined ? null : sums[i];
    return (sums[i] = (sums[i] ?? 0) + value);
  }));
}

const NICE = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800];

/** A step (s) that gives no more than `most` in `span`, and is no finer than what is kept. */
export function niceStep(span: number, most: number, finest: number): number {
  const wanted = Math.max(span / most, finest);
  // Days are kept by themselves: only whole ones find them.
  const step = NICE.find((one) => one >= wanted && (finest < 86_400 || one % 86_400 === 0)) ?? 604_800;
  return Math.max(step, finest);
}

/** How fine history is at what age, as far as this page has heard of it: it only becomes coarser. */
const kept: Array<{ age: number; finest: number }> = [];

/** The finest step (s) that is kept of a moment; null where the daemon does not tell. */
async function finestOf(path: string, at: number, now: number, signal: AbortSignal): Promise<number | null> {
  const age = now - at;
  const younger = kept.filter((one) => one.age <= age).at(-1);
  const older = kept.find((one) => one.age >= age);
  if (older && (older.finest === younger?.finest || older.finest <= 10)) return older.finest;
  // A stretch so short that the step is what is kept.
  const answer = await trend<Answer>([path], { from: Math.floor(at), to: Math.floor(at) + 600 }, signal);
  const told = answer.flatMap((one) => Object.values(one)).find((one) => "step" in one) as { step?: number } | undefined;
  if (typeof told?.step !== "number") return null;
  kept.push({ age, finest: told.step });
  kept.sort((a, b) => a.age - b.age);
  return told.step;
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
  const shift = before(chart.compare);
  let step = wanted.step;
  const first = chart.keys[0] ?? "";
  if (step === "") {
    const finest = await finestOf(first, from - (shift ?? 0), now, signal);
    if (finest !== null) step = String(niceStep(wanted.seen, wanted.most, finest));
  }
  const more = { step: step === "" ? undefined : step, as: as === "" ? undefined : as };
  // Without an end the answer ends with the last that there is.
  const range = (by: number) => ({ from: Math.floor(from - by), to: to - by >= now ? undefined : Math.ceil(to - by) });
  const asked = [trend<Answer>(chart.keys, { ...range(0), ...more }, signal)];
  if (shift !== null) asked.push(trend<Answer>(chart.keys, { ...range(shift), ...more }, signal));
  else if (chart.compare !== "") asked.push(trend<Answer>([chart.compare], { ...range(0), ...more }, signal));
  const [main, other] = await Promise.all(asked);
  const { lines, happened } = linesOf(main ?? [], as);
  const left = Math.max(0, lines.length - LINES_MAX);
  const all = lines.slice(0, LINES_MAX);
  if (other) all.push(...linesOf(other, as, shift ?? 0, true, shift === null ? "" : `, ${beforeInWords(chart.compare)}`).lines.slice(0, LINES_MAX));
  const times = align(all);
  const told = Number(step);
  return { from, to, step: Number.isFinite(told) && told > 0 ? told : (times[1] ?? 0) - (times[0] ?? 0), times, lines: all, happened, left };
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
