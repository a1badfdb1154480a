import assert from "node:assert/strict";
import { test } from "node:test";
import { current, toggle } from "./theme.ts";

test("where the browser keeps nothing the theme is switched there and back", () => {
  const no = () => { throw new Error("not here"); };
  Object.assign(globalThis, {
    localStorage: { getItem: no, setItem: no },
    document: { documentElement: { dataset: {} } },
    matchMedia: () => ({ matches: false }),
  });
  assert.equal(current(), "light");
  toggle();
  assert.equal(current(), "dark");
  toggle();
  assert.equal(current(), "light");
});
