import assert from "node:assert/strict";
import { test } from "node:test";
import { byDays, shiftOf } from "./calendar.ts";
import { type Answer, linesOf } from "./data.ts";

const HOUR = 3_600;
const utc = (text: string) => Date.parse(`${text}Z`) / 1000;

/** Runs where the clock changes on 29 March and 25 October 2026, at 01:00 UTC. */
function inZurich(run: () => void) {
  const zone = process.env["TZ"];
  process.env["TZ"] = "Europe/Zurich";
  try {
    run();
  } finally {
    if (zone === undefined) delete process.env["TZ"];
    else process.env["TZ"] = zone;
  }
}

test("a day before is the same clock, though it is 23 or 25 hours ago", () => inZurich(() => {
  const day = byDays(1);
  // 10:00 in summer, the day after the clock went on; and 10:00 in winter, the day after it went back.
  assert.equal(day.earlier(utc("2026-03-29T08:00")), utc("2026-03-28T09:00"));
  assert.equal(day.earlier(utc("2026-10-25T09:00")), utc("2026-10-24T08:00"));
  assert.deepEqual(day.later([utc("2026-03-28T09:00"), utc("2026-06-01T09:00")]), [utc("2026-03-29T08:00"), utc("2026-06-02T09:00")]);
}));

test("an hour that the other day has not is not drawn, and of two of one clock one is", () => inZurich(() => {
  const day = byDays(1);
  // 01:30, 02:30 and 03:30 on the day before that of 23 hours.
  assert.deepEqual(day.later(["00:30", "01:30", "02:30"].map((at) => utc(`2026-03-28T${at}`))), [utc("2026-03-29T00:30"), null, utc("2026-03-29T01:30")]);
  // 02:30 twice, and 03:30, on that of 25 hours.
  assert.deepEqual(day.later(["00:30", "01:30", "02:30"].map((at) => utc(`2026-10-25T${at}`))), [utc("2026-10-26T01:30"), null, utc("2026-10-26T02:30")]);
  const hours = Array.from({ length: 200 }, (_, i) => utc("2026-10-22T00:00") + i * HOUR / 2);
  const found = day.later(hours).filter((time) => time !== null);
  assert.ok(found.every((time, i) => i === 0 || time > (found[i - 1] ?? 0)), "times ascend");
}));

test("days and weeks are the calendar's, hours are hours", () => inZurich(() => {
  const at = utc("2026-03-29T08:00");
  const back = (text: string, seconds: number | null) => shiftOf(text, seconds)?.earlier(at);
  assert.equal(back("-1d", 24 * HOUR), at - 23 * HOUR);
  assert.equal(back("-1w", 168 * HOUR), at - 167 * HOUR);
  assert.equal(back("-24h", 24 * HOUR), at - 24 * HOUR);
  assert.equal(back("-0.5d", 12 * HOUR), at - 12 * HOUR);
  assert.equal(back("cpu,web1", null), undefined);
}));

test("what lies in no hour of the other day has neither time nor value", () => inZurich(() => {
  const answer = [{ a: { from: utc("2026-03-28T00:30"), step: HOUR, values: [1, 2, 3] } }] as Answer;
  const { lines } = linesOf(answer, "", byDays(1), true);
  assert.deepEqual([lines[0]?.times, lines[0]?.values], [[utc("2026-03-29T00:30"), utc("2026-03-29T01:30")], [1, 3]]);
}));
