import assert from "node:assert/strict";
import { test } from "node:test";
import { flatten, labelOf, type Leaves, relative, rows, sorted } from "./rows.ts";
import { type DiffState, read, SPAN, written } from "./state.ts";

const leaves = (value: Parameters<typeof flatten>[0]): Leaves => {
  const all: Leaves = new Map();
  flatten(value, "", all);
  return all;
};

test("leaves are found by what they are called from the node on, figures of sketches with them", () => {
  const sketch = { count: 3, sum: 6, p50: 2, p99: 3, last_minute: { count: 0 } };
  assert.deepEqual([...leaves({ a: { "": 1, "b,c": "x" }, t: { "": sketch } })], [["a", 1], ["a,b%2Cc", "x"], ["t\ncount", 3], ["t\np50", 2], ["t\np99", 3]]);
  // A branch whose keys are called so is no sketch.
  assert.deepEqual([...leaves({ count: 1, p50: 2 })], [["count", 1], ["p50", 2]]);
  assert.equal(labelOf("a,b%2Cc\np50"), "a › b,c · p50");
});

test("a path is told from what was asked for on", () => {
  assert.equal(relative("cpu,h1,idle", "cpu,h1"), "idle");
  assert.equal(relative("cpu", "cpu"), "");
  assert.equal(relative("cpu,h1,idle", ""), "cpu,h1,idle");
  assert.equal(relative("cpu,h1,idle", "cpu,*,idle"), "h1");
});

test("what differs is told, the greatest share first, and what is on one side alone last", () => {
  const all = rows(leaves({ same: 1, half: 10, tenth: 100, gone: 5, text: "a", zero: 0 }), leaves({ same: 1, half: 5, tenth: 90, text: "b", zero: 0, come: 1 }));
  assert.deepEqual(sorted(all, "share", false).map(({ label, change, share }) => [label, change, share]), [
    ["text", null, 1], ["half", -5, -0.5], ["tenth", -10, -0.1], ["same", 0, 0], ["zero", 0, 0], ["come", null, 1], ["gone", null, -1],
  ]);
  assert.deepEqual(sorted(all, "change", false).map(({ label }) => label).slice(0, 2), ["tenth", "half"]);
  assert.deepEqual(sorted(all, "path", true).map(({ label }) => label).slice(0, 2), ["zero", "text"]);
  assert.equal(sorted(all, "a", false)[0]?.label, "tenth");
});

test("the URL has all of it, whatever the paths are", () => {
  for (const path of ["", "cpu,h1", "..", ".", "a/b,c?d#e", "<script>", "%2C", "ערך,👩‍👩‍👧"]) {
    const state: DiffState = { a: { path, time: "-7d" }, b: { path: "b", time: "" }, as: "p99", span: "1h" };
    const url = new URL(written(state), "http://h/");
    const back = read(url.pathname, url.search);
    // Dots alone come back as they are written in a path.
    assert.deepEqual(back && { ...back, a: { ...back.a, path: decodeURIComponent(back.a.path) } }, { ...state, a: { ...state.a, path: decodeURIComponent(path) } }, path);
  }
  assert.equal(read("/diff/", ""), null);
  assert.deepEqual(read("/diff/a/b", "?at=never&span=x"), { a: { path: "a", time: "" }, b: { path: "b", time: "" }, as: "", span: SPAN });
});
