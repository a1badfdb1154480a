import assert from "node:assert/strict";
import { test } from "node:test";
import type { Entry, Listing } from "./api.ts";
import type { Module } from "./modules.ts";
import { busiest, hostsOf, places } from "./overview.ts";

function listing(tick: number, ...children: Entry[]): Listing {
  return { total: children.length, tick, children, more: false };
}

test("hosts are those beside this one, wherever collectors hang theirs", () => {
  const of = (branch: string | null) => ({ branch }) as Module;
  assert.deepEqual(places([of("cpu,web1"), of("os"), of(null), of("net,web1"), of("cpu,web1"), of("web1")], "web1"), ["cpu", "net"]);
  const hosts = hostsOf(listing(10, { key: "web1", changed: 10 }), [listing(10, { key: "web1", changed: 4 }, { key: "db", changed: 7 })]);
  assert.deepEqual(hosts, [{ name: "db", silent: 3, relayed: false }, { name: "web1", silent: 0, relayed: true }]);
});

test("what grows fastest comes first, then what changed last", () => {
  const entry = (key: string, value: number | null, changed: number, action = "add"): Entry => ({ key, value, changed, action, kind: "number", children: 1 });
  const before = listing(8, entry("a", 1, 8), entry("b", 10, 8), entry("gauge", 1, 8, "average"));
  const now = listing(10, entry("a", 3, 10), entry("b", 30, 10), entry("c", 5, 9), entry("gauge", 900, 10, "average"));
  const found = busiest(now, before, 2).map(({ key, grown, silent }) => [key, grown, silent]);
  assert.deepEqual(found, [["b", 10, 0], ["a", 1, 0], ["gauge", null, 0], ["c", null, 1]]);
});
