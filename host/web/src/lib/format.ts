// Figures and times as text, in tabular digits and few of them.

const LARGE = ["", "k", "M", "G", "T", "P", "E"];
const BYTES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const THIN = "\u202f";
/** From here on a figure is its exponent: no size has a letter, and digits would fill the page. */
const HUGE = 1e21;

/** Three or four significant digits, without an exponent: `0.0123`, `12.3`, `1 234`. */
function plain(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && size < 1e-4) return value.toExponential(2);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 4;
  const text = value.toFixed(digits);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** A number as short as it can be: `1.23 M`, `12.3 k`, `0.5`. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) >= HUGE) return value.toExponential(2);
  let size = value;
  let at = 0;
  while (Math.abs(size) >= (at === 0 ? 9_999.5 : 999.5) && at < LARGE.length - 1) {
    size /= 1000;
    at += 1;
  }
  return at === 0 ? plain(size) : `${plain(size)}${THIN}${LARGE[at]}`;
}

/** A number with all of its digits before the point, in groups. */
export function exact(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size === 0) return "0";
  // What is left of a subtraction has seventeen digits that say nothing.
  if (size < 1e-4 || size >= HUGE) return String(Number(value.toPrecision(6)));
  return value.toLocaleString("en", { maximumFractionDigits: size >= 1000 ? 0 : 6 }).replaceAll(",", THIN);
}

/** A number of bytes. */
export function bytes(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) >= HUGE) return `${value.toExponential(2)}${THIN}B`;
  let size = value;
  let at = 0;
  while (Math.abs(size) >= 1023.5 && at < BYTES.length - 1) {
    size /= 1024;
    at += 1;
  }
  return `${plain(size)}${THIN}${BYTES[at]}`;
}

/** Of so many seconds nobody wants the hours. */
const LONG = 10_000 * 86_400;

/** A number of seconds: `12 ms`, `1.5 s`, `3 min 20 s`, `2 d 4 h`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  const size = Math.abs(seconds);
  if (size >= LONG) return `${short(seconds / 86_400)}${THIN}d`;
  if (size === 0) return `0${THIN}s`;
  if (size < 1e-3) return `${plain(seconds * 1e6)}${THIN}µs`;
  if (size < 1) return `${plain(seconds * 1e3)}${THIN}ms`;
  if (size < 60) return `${plain(seconds)}${THIN}s`;
  const parts: Array<[number, string]> = [[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]];
  const at = parts.findIndex(([unit]) => size >= unit);
  const [unit, name] = parts[at] ?? [1, "s"];
  const whole = Math.floor(size / unit);
  const [below, belowName] = parts[at + 1] ?? [0, ""];
  const rest = below === 0 ? 0 : Math.floor((size - whole * unit) / below);
  const sign = seconds < 0 ? "-" : "";
  return `${sign}${whole}${THIN}${name}${rest === 0 ? "" : ` ${rest}${THIN}${belowName}`}`;
}

/** A value with its units, as metadata name them. */
export function withUnits(value: number, units: string): string {
  const unit = units.trim();
  switch (unit.toLowerCase()) {
    case "":
      return short(value);
    case "bytes":
    case "byte":
    case "b":
      return bytes(value);
    case "bytes/sec":
    case "bytes/s":
    case "b/s":
      return `${bytes(value)}/s`;
    case "s":
    case "sec":
    case "seconds":
      return duration(value);
    case "ms":
    case "milliseconds":
      return duration(value / 1000);
    case "%":
    case "percent":
      return `${short(value)}${THIN}%`;
    default:
      return `${short(value)}${behind(unit)}`;
  }
}

/** Units behind a figure: `3 requests`, `3/s`. */
const behind = (unit: string): string => (unit === "" || unit.startsWith("/") ? unit : ` ${unit}`);

/** What stands at the ticks of an axis that are so far apart: all in one size, with as many digits as tell them apart. */
export function tickTexts(ticks: ReadonlyArray<number | null>, units: string, apart: number): string[] {
  const unit = units.trim();
  const kind = unit.toLowerCase();
  const most = Math.max(0, ...ticks.map((tick) => Math.abs(tick ?? 0)));
  if (!(apart > 0) || !Number.isFinite(most)) return ticks.map((tick) => (tick === null ? "" : withUnits(tick, units)));
  const time = /^(s|sec|seconds)$/.test(kind) ? 1 : /^(ms|milliseconds)$/.test(kind) ? 1e-3 : 0;
  if (time > 0 && most * time >= 60) {
    const texts = ticks.map((tick) => (tick === null ? "" : duration(tick * time)));
    if (new Set(texts).size === texts.length) return texts;
  }
  let [by, end] = [1, ""];
  if (time > 0) {
    const size = most * time;
    const [part, name] = size >= 1 ? [1, "s"] : size >= 1e-3 ? [1e-3, "ms"] : [1e-6, "µs"];
    [by, end] = [part / time, `${THIN}${name}`];
  } else if (/^(b|bytes?)(\/s(ec)?)?$/.test(kind)) {
    const at = sizeOf(most, 1024, 1023.5, 1023.5, BYTES.length);
    [by, end] = [1024 ** at, `${THIN}${BYTES[at]}${kind.includes("/") ? "/s" : ""}`];
  } else if (kind === "%" || kind === "percent") {
    end = `${THIN}%`;
  } else {
    const at = sizeOf(most, 1000, 10_000, 999.5, LARGE.length);
    [by, end] = [1000 ** at, `${at === 0 ? "" : `${THIN}${LARGE[at]}`}${behind(unit)}`];
  }
  const digits = digitsOf(apart / by);
  return ticks.map((tick) => {
    if (tick === null) return "";
    const text = digits > DIGITS_MAX ? (tick / by).toExponential(2) : (tick / by).toFixed(digits);
    // What is left of adding steps up to zero is zero.
    if (tick === 0 || /^-0(\.0*)?$/.test(text)) return withUnits(0, units);
    return `${text.includes(".") && digits <= DIGITS_MAX ? text.replace(/\.?0+$/, "") : text}${end}`;
  });
}

const DIGITS_MAX = 9;

/** How often a number is divided until it is short. */
function sizeOf(value: number, by: number, first: number, then: number, most: number): number {
  let [size, at] = [value, 0];
  while (size >= (at === 0 ? first : then) && at < most - 1) {
    size /= by;
    at += 1;
  }
  return at;
}

/** Digits behind the point in which steps of this length are what they are, or nearly. */
function digitsOf(apart: number): number {
  const digits = Math.max(0, Math.ceil(-Math.log10(apart) - 1e-9));
  for (const more of [0, 1]) {
    const steps = apart * 10 ** (digits + more);
    if (Math.abs(steps - Math.round(steps)) < 1e-6 * steps) return digits + more;
  }
  // Steps of no whole digits, as those of bytes in MiB: a tenth of one is near enough.
  return Math.max(0, Math.ceil(1 - Math.log10(apart)));
}

/** The clock of a moment (ms since 1970): `14:05:09`. */
export function clock(ms: number): string {
  const date = new Date(ms);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
}

/** A day and its clock: `2026-11-26 14:05`. */
export function moment(ms: number, seconds = false): string {
  const date = new Date(ms);
  const day = [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
  return `${day} ${seconds ? clock(ms) : clock(ms).slice(0, 5)}`;
}

/** By what the browser's clock is another than UTC's at a moment: `UTC`, `UTC+1`, `UTC-3:30`. */
export function zone(ms: number): string {
  const ahead = -new Date(ms).getTimezoneOffset();
  if (!(Math.abs(ahead) > 0)) return "UTC";
  const [hours, minutes] = [Math.floor(Math.abs(ahead) / 60), Math.abs(ahead) % 60];
  return `UTC${ahead < 0 ? "-" : "+"}${hours}${minutes === 0 ? "" : `:${String(minutes).padStart(2, "0")}`}`;
}

/** A moment that is compared with what others tell: with its zone. */
export const zoned = (ms: number): string => `${moment(ms)} ${zone(ms)}`;

/** From one moment to another, and in which zone: in each its own where the clock changes between them. */
export function between(from: number, to: number): string {
  return zone(from) === zone(to) ? `${moment(from)} – ${zoned(to)}` : `${zoned(from)} – ${zoned(to)}`;
}

/** How long ago a moment is: `now`, `12 s ago`, `3 h ago`. */
export function ago(ms: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - ms) / 1000));
  return seconds < 1 ? "now" : `${duration(seconds).split(" ")[0]} ago`;
}

/** Characters that have what comes after them written the other way round (Unicode's explicit embeddings, overrides and isolates). */
const TURNS = /[\u202a-\u202e\u2066-\u2069]/g;

/** A text whose letters stand as they come: a name that turns others round looks like another one. */
export const unturned = (text: string): string => text.replace(TURNS, "\ufffd");

/** A text no longer than `most` characters, with nothing in it that turns others round: 10 kB of a key would hide the rest. */
export function cut(whole: string, most: number): string {
  // A character may be two of these.
  const text = unturned(whole.length <= most ? whole : whole.slice(0, most * 2 + 1));
  if (text.length <= most) return text;
  const points = Array.from(text.slice(0, most * 2));
  return points.length < most ? text : `${points.slice(0, most - 1).join("")}…`;
}
