import assert from "node:assert/strict";
import { test } from "node:test";
import type { Answer } from "./data.ts";
import { onceOf } from "./past.ts";

const one = (values: Array<number | null>) => ({ from: 0, step: 60, values });

test("what has a history is told with whether it is a branch, and gone", () => {
  const answer = [
    { "cpu,web10": one([1]), "cpu,web9": one([2]), "cpu,never": one([null]), "cpu,a%2Cb": one([3]) },
    { "cpu,web9,idle": one([2]), "cpu,never,idle": one([null]), "cpu,version,is": { events: [[1, "7"]] } },
  ] as unknown as Answer;
  assert.deepEqual(onceOf(answer, new Set(["web9"])), [
    { path: "cpu,a%2Cb", key: "a,b", branch: false, gone: true },
    { path: "cpu,version", key: "version", branch: true, gone: true },
    { path: "cpu,web9", key: "web9", branch: true, gone: false },
    { path: "cpu,web10", key: "web10", branch: false, gone: true },
  ]);
  // Of many nobody knows which are gone.
  assert.ok(onceOf(answer, null).every(({ gone }) => !gone));
  assert.deepEqual(onceOf([], new Set()), []);
});
