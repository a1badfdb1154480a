import assert from "node:assert/strict";
import { test } from "node:test";
import { asView, canonical, ofView, read, viewName, write } from "./address.ts";
import type { View } from "./api.ts";

test("an address shows the same when it is read back", () => {
  for (const keys of [[], ["cpu,,idle"], ["a%2Cb,c d", "cpu,*,idle", "url,/x?q=1&b=2"], ["ü,🦀", "<script>,100%25"]]) {
    for (const window of [60, 300]) assert.deepEqual(read(write({ keys, window })), { keys, window });
  }
  assert.deepEqual(read("?key-cpu,,idle&key=load&key-cpu,,idle&window=7&x=1"), { keys: ["cpu,,idle", "load"], window: 300 });
});

test("what is typed becomes the path that is meant", () => {
  assert.equal(canonical(" cpu,,idle "), "cpu,,idle");
  assert.equal(canonical("a%2cb,*,%2A,%41"), "a%2Cb,*,%2A,A");
  assert.equal(canonical("100%,x"), "100%25,x");
});

test("views", () => {
  assert.equal(viewName("/realtime/view/my%20view%2F1"), "my view/1");
  assert.equal(viewName("/realtime/"), null);
  assert.deepEqual(ofView({ name: "x", charts: [{ key: "a" }, { key: "a" }, { key: "b,,c" }], window: 60 }), { keys: ["a", "b,,c"], window: 60 });
});

test("a view that is saved keeps whatever else it and its charts have", () => {
  const before: View = { name: "v", note: "mine", charts: [{ key: "a,b", height: 3 }, { key: "gone", height: 4 }], window: 60 };
  assert.deepEqual(asView("v", { keys: ["c", "a,b"], window: 900 }, [before, null]),
    { name: "v", note: "mine", charts: [{ key: "c" }, { height: 3, key: "a,b" }], window: 900 });
  assert.deepEqual(asView("new", { keys: ["c"], window: 300 }, [undefined, null]), { name: "new", charts: [{ key: "c" }], window: 300 });
});
