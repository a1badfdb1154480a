import assert from "node:assert/strict";
import { test } from "node:test";
import { KEPT, PATHS_MAX, Recents } from "./recent.ts";

test("those make room that were seen longest ago", () => {
  const recents = new Recents();
  for (let n = 0; n < PATHS_MAX; n += 1) recents.take(`k${n}`, n);
  recents.take("k0", 1);
  recents.get("k1");
  recents.take("one more", 1);
  assert.deepEqual(recents.get("k0")?.values, [0, 1]);
  assert.deepEqual(recents.get("k1")?.values, [1]);
  assert.equal(recents.get("k2"), undefined);
  assert.ok(recents.get(`k${PATHS_MAX - 1}`));
});

test("the last values are kept, and how often they changed", () => {
  const recents = new Recents();
  assert.equal(recents.take("a", 1), false);
  assert.equal(recents.take("a", 1), false);
  for (let n = 2; n < 100; n += 1) assert.equal(recents.take("a", n), true);
  assert.equal(recents.get("a")?.values.length, KEPT);
  assert.equal(recents.get("a")?.values.at(-1), 99);
  assert.equal(recents.get("a")?.changes, 98);
});

test("a line of values does not go on across a time of which nothing is known", () => {
  const recents = new Recents();
  for (const value of [1, 2, 3]) recents.take("a", value);
  assert.equal(recents.take("a", 9, true), true);
  assert.deepEqual(recents.get("a")?.values, [9]);
});
