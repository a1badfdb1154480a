import assert from "node:assert/strict";
import { test } from "node:test";
import { Ids } from "./ids.ts";
import { byKey } from "./zoom.ts";

test("a panel keeps its number while its path changes, and no two have one", () => {
  const ids = new Ids();
  const first = ids.of("cpu,a,idle");
  ids.move("cpu,a,idle", "cpu,,idle");
  assert.equal(ids.of("cpu,,idle"), first);
  // Another comes of the path that it had.
  assert.notEqual(ids.of("cpu,a,idle"), first);
  // One that becomes another that is there goes.
  const second = ids.of("cpu,a,idle");
  ids.move("cpu,,idle", "cpu,a,idle");
  assert.equal(ids.of("cpu,a,idle"), second);
  ids.drop("cpu,a,idle");
  assert.notEqual(ids.of("cpu,a,idle"), second);
});

test("keys show less, more, and what was before", () => {
  const whole: [number, number] = [0, 3600];
  assert.deepEqual(byKey("+", [3000, 3600], whole), [3150, 3450]);
  assert.deepEqual(byKey("-", [3000, 3600], whole), [2400, 3600]);
  assert.deepEqual(byKey("ArrowLeft", [3000, 3600], whole), [2880, 3480]);
  assert.deepEqual(byKey("ArrowRight", [3000, 3600], whole), [3000, 3600]);
  assert.equal(byKey("0", [3000, 3600], whole), null);
  assert.equal(byKey("Tab", [3000, 3600], whole), undefined);
});
