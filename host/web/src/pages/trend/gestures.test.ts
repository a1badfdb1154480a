import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { byKey, moved, scaled, settling, SHORTEST, within } from "./gestures.ts";

test("what is seen lies within the whole and is never too short", () => {
  assert.deepEqual(within([-50, 50], [0, 1000]), [0, 100]);
  assert.deepEqual(within([950, 1050], [0, 1000]), [900, 1000]);
  assert.deepEqual(within([500, 501], [0, 1000]), [500.5 - SHORTEST / 2, 500.5 + SHORTEST / 2]);
  assert.equal(within([-10, 2000], [0, 1000]), null);
});

test("a moment stays where it is while it is zoomed", () => {
  assert.deepEqual(scaled([0, 100], 0.5, 20), [10, 60]);
  assert.deepEqual(moved([0, 100], 0.2), [20, 120]);
});

test("keys move and zoom", () => {
  const all: [number, number] = [0, 1000];
  assert.deepEqual(byKey("ArrowLeft", [400, 500], all), [380, 480]);
  assert.deepEqual(byKey("+", [400, 500], all), [425, 475]);
  assert.deepEqual(byKey("End", [400, 500], all), [900, 1000]);
  assert.deepEqual(byKey("0", [400, 500], all), all);
  assert.equal(byKey("a", [400, 500], all), undefined);
});

test("of many steps at once each is shown, and the last is where one may go back to", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const told: Array<[number, boolean]> = [];
  const step = settling(([from], done) => told.push([from, done]));
  for (const from of [1, 2, 3]) {
    step([from, 10]);
    mock.timers.tick(100);
  }
  assert.deepEqual(told, [[1, false], [2, false], [3, false]]);
  mock.timers.tick(1_000);
  assert.deepEqual(told.slice(3), [[3, true]]);
  mock.timers.reset();
});
