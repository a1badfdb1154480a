import assert from "node:assert/strict";
import { test } from "node:test";
import { counted, isTrouble, load, matching, type Module, type State } from "./modules.ts";

function module(state: State, cpu = 0): Module {
  return {
    name: "m", kind: "pipe", file: null, state, since: "", why: "", next: null, isolation: "none", runs: true, branch: null,
    calls: 0, errors: 0, cpu, late: 0, lateness: 0, restarts: 0,
  };
}

test("a load is told between two lists of one life", () => {
  assert.equal(load(module("running", 3), module("running", 2), 2), 0.5);
  assert.equal(load(module("running", 3), undefined, 2), null);
  assert.equal(load(module("running", 3), module("running", 2), 0), null);
  // It was gone and is back: it counts from zero.
  assert.equal(load(module("running", 1), module("running", 2), 2), null);
});

test("a text finds modules by what is said of them, a state those that are in it", () => {
  const all = [{ ...module("running"), why: "the offset is kept" }, module("off"), module("failing")];
  assert.deepEqual(matching(all, " Off ").map(({ state }) => state), ["off"]);
  assert.deepEqual(matching(all, "offset").map(({ state }) => state), ["running"]);
  assert.equal(matching(all, "").length, 3);
});

test("states are counted, and those that want somebody come first", () => {
  const all = [module("running"), module("off"), module("failing"), module("running")];
  assert.deepEqual(counted(all), [["failing", 1], ["running", 2], ["off", 1]]);
  assert.deepEqual(all.filter(isTrouble).length, 1);
  assert.deepEqual(counted([]), []);
});
