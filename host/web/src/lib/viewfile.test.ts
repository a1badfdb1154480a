import assert from "node:assert/strict";
import { test } from "node:test";
import { moved, nameFault, read, together } from "./viewfile.ts";

test("a file that holds no views says why", () => {
  assert.equal(read("{"), "That is no JSON.");
  assert.match(String(read("{}")), /no list of views/);
  assert.equal(read('[{"charts":[]}]'), "View 1 has no name.");
  assert.equal(read('[{"name":"a","charts":[]},null]'), "View 2 has no name.");
  assert.match(String(read('[{"name":"a","charts":[{"k":1}]}]')), /“a”, has no charts/);
  assert.match(String(read('[{"name":"..","charts":[]}]')), /View 1: “..” is no name/);
  assert.ok([".", ".."].every(nameFault) && ["...", "a/..", ".a", "%2E"].every((name) => nameFault(name) === null));
  assert.deepEqual(read('[{"name":"a","charts":[{"key":"x","colour":"red"}],"window":60}]'), [{ name: "a", charts: [{ key: "x", colour: "red" }], window: 60 }]);
});

test("what is brought takes the place of its namesake and else comes last", () => {
  const view = (name: string, key: string) => ({ name, charts: [{ key }] });
  assert.deepEqual(together([view("a", "1"), view("b", "2")], [view("c", "3"), view("a", "4")]), [view("a", "4"), view("b", "2"), view("c", "3")]);
});

test("a view is moved by its name, wherever it is by now", () => {
  const all = ["a", "b", "c"].map((name) => ({ name, charts: [] }));
  const names = (name: string, by: number) => moved(all, name, by)?.map((view) => view.name).join("") ?? null;
  assert.deepEqual([names("c", -1), names("a", 1), names("a", -1), names("c", 1), names("gone", 1)], ["acb", "bac", "abc", "abc", null]);
});
