import assert from "node:assert/strict";
import { test } from "node:test";
import { align, type Answer, figuresOf, type Line, linesOf, niceStep, placeOf, stacked } from "./data.ts";
import { bySeconds } from "./calendar.ts";
import { csvOf, fileName } from "./save.ts";

const line = (times: number[], values: Line["values"]): Line => ({ path: "a", figure: "", label: "a", times, values, beside: false });

test("an answer's lines have their times, its texts their changes", () => {
  const answer = [{ "a,b": { from: 100, step: 10, values: [1, null, 3] } }, { v: { events: [[90, "1"], [95, "1"], [120, null]] } }] as Answer;
  const { lines, happened } = linesOf(answer, "", bySeconds(1000), true, ", a day before");
  assert.deepEqual(lines, [{ path: "a,b", figure: "", label: "a › b, a day before", times: [1100, 1110, 1120], values: [1, null, 3], beside: true }]);
  assert.deepEqual(happened, []);
  assert.deepEqual(linesOf([{ a: { times: [1, 5], values: [7, 8] } }], "", bySeconds(1000)).lines[0]?.times, [1001, 1005]);
  assert.deepEqual(linesOf(answer, "").happened, [{ path: "v", events: [[90, "1"], [120, null]] }]);
});

test("several figures are a line each", () => {
  const { lines } = linesOf([{ a: { from: 0, step: 60, p50: [1], p99: [2] } }], "p50,p99");
  assert.deepEqual(lines.map(({ label, values }) => [label, values]), [["a · p50", [1]], ["a · p99", [2]]]);
});

test("lines of different times come on one axis, and gaps stay gaps", () => {
  const [a, b] = [line([0, 10, 20], [1, null, 3]), line([5, 10], [7, 8])];
  assert.deepEqual(align([a, b]), [0, 5, 10, 20]);
  assert.deepEqual([a.values, b.values], [[1, undefined, null, 3], [undefined, 7, 8, undefined]]);
  const same = [line([0, 10], [1, 2]), line([0, 10], [3, 4])];
  assert.deepEqual(align(same), [0, 10]);
  assert.deepEqual(same[1]?.values, [3, 4]);
  const uneven = [line([0, 1, 5, 8, 9], [1, 2, 3, 4, 5]), line([0, 3, 5, 7, 9], [1, 2, 3, 4, 5])];
  assert.deepEqual(align(uneven), [0, 1, 3, 5, 7, 8, 9]);
});

test("lines lie on each other, and where there is none there is nothing", () => {
  assert.deepEqual(stacked([[1, null, null], [2, 2, null]]), [[1, null, null], [3, 2, null]]);
  // A time of another line's is no gap: what lies above does not fall.
  assert.deepEqual(stacked([[1, undefined, 3, null], [2, 2, undefined, 5]]), [[1, undefined, 3, null], [3, 3, undefined, 5]]);
});

test("a step suits the picture, is no finer than what is kept, and of days a whole number", () => {
  assert.equal(niceStep(3600, 800, 1), 5);
  assert.equal(niceStep(365 * 86_400, 800, 600), 43_200);
  assert.equal(niceStep(3600, 800, 600), 600);
  assert.equal(niceStep(3600, 800, 86_400), 86_400);
  assert.equal(niceStep(4000 * 86_400, 800, 86_400), 604_800);
  assert.equal(niceStep(60, 800, 700), 1200);
});

test("figures are of what is seen", () => {
  assert.deepEqual(figuresOf([9, 1, null, undefined, 3, 9], 1, 5), { last: 3, min: 1, mean: 2, max: 3 });
  assert.deepEqual(figuresOf([null], 0, 1), { last: null, min: null, mean: null, max: null });
  assert.deepEqual([placeOf([1, 3, 5], 3), placeOf([1, 3, 5], 4), placeOf([], 1)], [1, 2, 0]);
});

test("a table has what is seen, and no formulas", () => {
  const lines = [{ ...line([10, 20, 30], [1, null, 2.5]), path: "=cmd|'/c calc'!A1" }, { ...line([10, 20, 30], [4, 5, 6]), path: 'a "b"' }];
  const csv = csvOf({ from: 0, to: 40, times: [10, 20, 30], lines, happened: [{ path: "v", events: [[5, "1"], [15, "@2"], [35, "3"]] }], left: 0 }, 15, 30);
  assert.deepEqual(csv.trimEnd().split("\r\n"), [
    `time,date,"'=cmd|'/c calc'!A1","a ""b"""`, "20,1970-01-01T00:00:20.000Z,,5", "30,1970-01-01T00:00:30.000Z,2.5,6",
    'time,date,"v"', "15,1970-01-01T00:00:15.000Z,\"'@2\"",
  ]);
});

test("a file's name is letters and digits", () => {
  assert.equal(fileName("../cpu › ∗ › <idle>", "csv"), "cpu-idle.csv");
  assert.equal(fileName("ערך", "png"), "ערך.png");
  assert.equal(fileName("///", "png"), "trend.png");
});
