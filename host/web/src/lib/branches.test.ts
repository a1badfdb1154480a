import assert from "node:assert/strict";
import { test } from "node:test";
import type { Listing } from "./api.ts";
import { Branches, isBehind } from "./branches.ts";

/** A daemon of paper that answers when it is told to. */
class Daemon {
  keys: string[] = [];
  asked: Array<{ after: string | null; limit: number; answer: () => void }> = [];

  list = (_path: string, after: string | null, limit: number): Promise<Listing> =>
    new Promise((done) => {
      const behind = this.keys.filter((key) => after === null || isBehind(key, after));
      const listing = { total: this.keys.length, tick: 1, children: behind.slice(0, limit).map((key) => ({ key, children: 0 })) };
      this.asked.push({ after, limit, answer: () => done(listing) });
    });

  /** Answers what was asked first. */
  answer = () => this.asked.shift()?.answer();
}

const keys = (branches: Branches) => branches.root.children.map(({ entry }) => entry.key);
const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `k${String(from + i).padStart(5, "0")}`);

async function opened(daemon: Daemon): Promise<Branches> {
  const branches = new Branches(daemon.list, () => undefined);
  const open = branches.open(branches.root);
  daemon.answer();
  await open;
  return branches;
}

test("who comes while a page and a refresh are under way is there once", async () => {
  for (const first of ["refresh", "page"]) {
    const daemon = new Daemon();
    daemon.keys = ["cpu"];
    const branches = await opened(daemon);
    daemon.keys = ["cpu", "graftd"];
    const refreshed = branches.refresh(branches.root);
    const loaded = branches.more(branches.root);
    if (first === "page") daemon.asked.reverse();
    daemon.answer();
    await (first === "page" ? loaded : refreshed);
    daemon.answer();
    await Promise.all([refreshed, loaded]);
    assert.deepEqual(keys(branches), ["cpu", "graftd"], first);
    assert.deepEqual(branches.rows.map(({ kind }) => kind), ["node", "node"], first);
  }
});

test("what lies behind what was asked anew stays, each once, whatever came or went before it", async () => {
  for (const change of ["came", "went", "nothing"]) {
    const daemon = new Daemon();
    daemon.keys = numbered(0, 1_400);
    const branches = await opened(daemon);
    while (branches.root.children.length < branches.root.total) {
      const loaded = branches.more(branches.root);
      daemon.answer();
      await loaded;
    }
    assert.deepEqual(keys(branches), daemon.keys);
    if (change === "came") daemon.keys.unshift("a");
    if (change === "went") daemon.keys.shift();
    const refreshed = branches.refresh(branches.root);
    daemon.answer();
    await refreshed;
    assert.deepEqual(keys(branches), daemon.keys, change);
    assert.deepEqual(branches.root.children.map(({ place }) => place), daemon.keys.map((_, i) => i + 1));
  }
});

test("keys stand in the order of their bytes", () => {
  const sorted = ["", "a", "a,", "aa", "b", "\u{ffee}", "\u{1f980}", "\u{1f980}a"];
  sorted.forEach((key, i) => sorted.forEach((other, j) => assert.equal(isBehind(key, other), i > j, `${key} ${other}`)));
});
