// What the trend page shows, and the same as a URL: a link shows what its sender saw.
//
// `?from=-365d&to=now&zoom=A..B&step=1h&chart=stacked,log&key-cpu,,idle&key-cpu,,user&as=mean&chart=line&key-…`: `from` to `step` are
// of the page, what follows a `chart` is of that one. Nobody's URL is trusted: what it says wrong is left out.

import { keyArgument } from "../../lib/path.ts";

export const STYLES = ["line", "area", "stacked", "bars"] as const;
export type Style = (typeof STYLES)[number];

export interface ChartState {
  keys: string[];
  style: Style;
  log: boolean;
  /** Figures, joined by commas; empty for what the node's action says. */
  as: string;
  /** Units as they are written at the axis; empty for those that the node tells. */
  units: string;
  /** What stands beside it: a time before (`-7d`) or a path; empty for nothing. */
  compare: string;
  /** The colour of the n-th line, 0 to 7, where it is not the n-th. */
  colours: number[];
}

export interface PageState {
  /** The whole: times as `/trend/` takes them. */
  from: string;
  to: string;
  /** What is looked at of it (s since 1970); null for all. */
  zoom: [number, number] | null;
  /** The length of a step as `/trend/` takes it; empty for what suits the picture. */
  step: string;
  charts: ChartState[];
}

export const FROM = "-365d";
export const CHARTS_MAX = 24;
export const KEYS_MAX = 64;
const TEXT_MAX = 64;

/** A chart of nothing yet. */
export function chartOf(keys: string[], as = ""): ChartState {
  return { keys, style: "line", log: false, as, units: "", compare: "", colours: [] };
}

/** The seconds of a time before now, `-7d`; null for what is none. */
export function before(text: string): number | null {
  const found = /^-(\d{1,9}(?:\.\d{1,3})?)(s|m|h|d|w)$/.exec(text);
  if (!found) return null;
  const unit = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }[found[2] as "s" | "m" | "h" | "d" | "w"];
  const seconds = Number(found[1]) * unit;
  return seconds > 0 ? seconds : null;
}

/** The seconds about 1970 that a date can tell, wherever the clock is. */
const DATES = 8.6e12;

/** A time as seconds since 1970; null for what is none, or lies beyond all dates. */
export function timeOf(text: string, now: number): number | null {
  if (text === "now" || text === "") return now;
  const ago = before(text);
  if (ago !== null) return now - ago < -DATES ? null : now - ago;
  if (/^\d{1,12}(\.\d+)?$/.test(text)) return Number(text);
  // A zone that is left out is UTC, as for the daemon.
  if (!/^\d{4}-\d\d-\d\d/.test(text)) return null;
  const parsed = Date.parse(text.length === 10 || /([zZ]|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`);
  return Number.isNaN(parsed) ? null : parsed / 1000;
}

/** What the whole spans (s). What makes no sense is the last year; nothing was before 1970. */
export function spanOf(state: PageState, now: number): [number, number] {
  const [from, to] = [timeOf(state.from, now), timeOf(state.to, now)];
  if (from === null || to === null || from >= to || to <= 0) return [now - 365 * 86_400, now];
  return [Math.max(0, from), to];
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return null;
  }
}

/** Reads what stands behind the `?`. */
export function read(query: string): PageState {
  const state: PageState = { from: FROM, to: "now", zoom: null, step: "", charts: [] };
  let chart: ChartState | null = null;
  for (const part of query.replace(/^\?/, "").split("&")) {
    const at = part.indexOf("=");
    const name = decoded(at < 0 ? part : part.slice(0, at));
    const value = at < 0 ? "" : decoded(part.slice(at + 1));
    if (name === null || value === null || name === "") continue;
    if (name === "chart") {
      if (state.charts.length >= CHARTS_MAX) break;
      chart = chartOf([]);
      const [style, log] = value.split(",");
      if (STYLES.includes(style as Style)) chart.style = style as Style;
      chart.log = log === "log";
      state.charts.push(chart);
    } else if (name.startsWith("key-") || name === "key") {
      // A link that somebody wrote by hand has no `chart`.
      if (chart === null) state.charts.push((chart = chartOf([])));
      const key = name === "key" ? value : name.slice(4);
      // All of the tree has no history of its own.
      if (key !== "" && chart.keys.length < KEYS_MAX && !chart.keys.includes(key)) chart.keys.push(key);
    } else if (name === "from" || name === "to") {
      if (timeOf(value, 0) !== null) state[name] = value;
    } else if (name === "step" && value.length <= TEXT_MAX) state.step = value;
    else if (name === "zoom") {
      const [a, b] = value.split("..").map(Number);
      if (a !== undefined && b !== undefined && Number.isFinite(a) && Number.isFinite(b) && a < b) state.zoom = [a, b];
    } else if (chart === null) continue;
    else if (name === "as" && value.length <= TEXT_MAX) chart.as = value;
    else if (name === "units" && value.length <= TEXT_MAX) chart.units = value;
    else if (name === "compare") chart.compare = value;
    else if (name === "colours") chart.colours = value.split(",").slice(0, KEYS_MAX).map((one) => Math.abs(Math.trunc(Number(one)) || 0) % 8);
  }
  state.charts = state.charts.filter(({ keys }) => keys.length > 0);
  return state;
}

/** The same as it stands behind the `?`. */
export function written(state: PageState): string {
  const parts: string[] = [];
  const put = (name: string, value: string) => parts.push(`${name}=${encodeURIComponent(value).replaceAll("%2C", ",")}`);
  if (state.from !== FROM) put("from", state.from);
  if (state.to !== "now") put("to", state.to);
  if (state.zoom) put("zoom", state.zoom.map((at) => Math.round(at)).join(".."));
  if (state.step !== "") put("step", state.step);
  for (const { keys, style, log, as, units, compare, colours } of state.charts) {
    put("chart", log ? `${style},log` : style);
    for (const key of keys) parts.push(keyArgument(key).replaceAll("%2C", ","));
    if (as !== "") put("as", as);
    if (units !== "") put("units", units);
    if (compare !== "") put("compare", compare);
    if (colours.some((colour, i) => colour !== i)) put("colours", colours.join(","));
  }
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}
