// Days before, as a calendar has them: the same clock on another day, which is 23 or 25 hours away where the clock changes.

/** Where what was before is set beside now: where to look for a moment, and where what was found there is drawn. */
export interface Shift {
  /** The moment (s) that stands beside this one. */
  earlier: (time: number) => number;
  /** The moments (s) beside which these ascending ones stand; null for one that has none, as an hour that the other day has not. */
  later: (times: readonly number[]) => Array<number | null>;
}

/** Clocks change at quarters of an hour: within one (s) all moments are moved by as much. */
const QUARTER = 900;

/** The same clock so many days later, in the browser's zone. */
function daysLater(time: number, days: number): number {
  const date = new Date(time * 1000);
  date.setDate(date.getDate() + days);
  return date.getTime() / 1000;
}

/** A shift by so many seconds. */
export const bySeconds = (seconds: number): Shift => ({ earlier: (time) => time - seconds, later: (times) => times.map((time) => time + seconds) });

/** A shift by so many days of the calendar. */
export function byDays(days: number): Shift {
  return {
    earlier: (time) => daysLater(time, -days),
    later: (times) => {
      let [quarter, by]: [number, number | null] = [NaN, 0];
      return times.map((time) => {
        const begin = Math.floor(time / QUARTER) * QUARTER;
        if (begin !== quarter) {
          const there = daysLater(begin, days);
          // Of two hours of one clock, and of an hour that is left out, only what leads back is drawn.
          [quarter, by] = [begin, daysLater(there, -days) === begin ? there - begin : null];
        }
        return by === null ? null : time + by;
      });
    },
  };
}

/** The shift that `-1d`, `-2w` or `-3h` means; null for what is none. Days and weeks that are whole are the calendar's. */
export function shiftOf(compare: string, seconds: number | null): Shift | null {
  if (seconds === null) return null;
  const found = /^-(\d{1,6})(d|w)$/.exec(compare);
  return found ? byDays(Number(found[1]) * (found[2] === "w" ? 7 : 1)) : bySeconds(seconds);
}
