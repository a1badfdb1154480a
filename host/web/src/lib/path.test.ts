import assert from "node:assert/strict";
import { test } from "node:test";
import * as path from "./path.ts";

test("keys are escaped as the daemon writes them", () => {
  for (const [key, want] of [["a,b", "a%2Cb"], ["100%", "100%25"], ["*", "%2A"], ["a\nb", "a%0Ab"], ["\u0085", "%C2%85"], ["ü / ?", "ü / ?"], ["🦀", "🦀"]] as const) {
    assert.equal(path.inPath(key), want);
    assert.equal(path.outOfPath(want), key);
  }
  assert.equal(path.outOfPath("100%"), "100%", "what is no escape stays");
  assert.equal(path.join(["a,b", "c"]), "a%2Cb,c");
});

test("any keys come back from a path", () => {
  let seed = 7;
  const random = () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648;
  for (let n = 0; n < 2000; n += 1) {
    const keys = Array.from({ length: 1 + Math.floor(random() * 4) }, () =>
      Array.from({ length: 1 + Math.floor(random() * 6) }, () => String.fromCodePoint([0x2c, 0x25, 0x2a, 0x0a, 0x41, 0x202e, 0x1f980, 0x7f][Math.floor(random() * 8)] ?? 65)).join(""));
    assert.deepEqual(path.steps(path.join(keys)).map(path.outOfPath), keys);
  }
});

test("above, below and between", () => {
  assert.equal(path.parent("a,b%2Cc"), "a");
  assert.equal(path.parent("a"), "");
  assert.equal(path.parent(""), null);
  assert.equal(path.child("", "a"), "a");
  assert.equal(path.child("a", "b,c"), "a,b%2Cc");
  assert.equal(path.lastKey("a,b%2Cc"), "b,c");
  assert.ok(path.isBelow("a,b", "a") && path.isBelow("a", "a") && path.isBelow("a", "") && !path.isBelow("ab", "a"));
  assert.ok(path.isPattern("cpu,,idle") && path.isPattern("cpu,*") && !path.isPattern("cpu,idle") && !path.isPattern(""));
  assert.ok(path.matches("a,x,c", "a,*,c") && !path.matches("a,x", "a,*,c") && !path.matches("a,x,d", "a,*,c"));
});

test("in URLs", () => {
  assert.equal(path.keyArgument("a%2Cb,c d"), "key-a%252Cb%2Cc%20d");
  assert.equal(path.segment("url,/x?"), "url%2C%2Fx%3F");
  assert.equal(path.outOfSegment("url%2C%2Fx%3F"), "url,/x?");
  assert.equal(path.rest("url,/x y"), "url,%2Fx%20y");
  for (const key of ["self,url,/../x", "..", ".", "../..", "/", "a,..", "..,a", "%2E%2E"]) {
    const { pathname } = new URL(`/api/ls/${path.rest(key)}`, "http://h");
    const asked = decodeURIComponent(pathname.slice("/api/ls/".length));
    assert.ok(pathname.startsWith("/api/ls/"), pathname);
    assert.deepEqual(path.steps(asked).map(path.outOfPath), path.steps(key).map(path.outOfPath), pathname);
  }
});

test("what is shown is cut and has its keys as they are", () => {
  assert.equal(path.shown("cpu,,a%2Cb"), "cpu › (all) › a,b");
  assert.equal(path.shown("cpu,*,idle"), "cpu › (each) › idle");
  assert.equal(Array.from(path.shown("x".repeat(10_000))).length, 120);
});

test("a shown path turns nothing round", () => {
  assert.equal(path.shown("a,%E2%80%AEb"), "a › \ufffdb");
  assert.equal(path.shown("a,\u202eb"), "a › \ufffdb");
});
