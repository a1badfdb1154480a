import assert from "node:assert/strict";
import { test } from "node:test";
import type { Listing } from "./api.ts";
import { Failed } from "./api.ts";
import { Branches, byBytes, nodeAt, PAGE, type Row } from "./branches.ts";

/** A daemon with one branch, which lists as the real one does; answers wait where `held` is set. */
function made(count: number) {
  const keys = new Set(Array.from({ length: count }, (_, n) => `k${String(n).padStart(5, "0")}`));
  const held: Array<() => void> = [];
  const at = { keys, held, holds: false, gone: false, asked: 0 };
  const list = async (path: string, after: string | null, limit: number): Promise<Listing> => {
    at.asked += 1;
    if (at.holds) await new Promise<void>((go) => held.push(go));
    if (at.gone) throw new Failed("there is no such path", 404);
    if (path !== "") return { total: 0, tick: 1, children: [], more: false };
    const all = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const behind = after === null ? all : all.filter((key) => Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0);
    return { total: all.length, tick: 1, children: behind.slice(0, limit).map((key) => ({ key, value: 1, children: 1 })), more: behind.length > limit };
  };
  const branches = new Branches(list, () => undefined);
  const { root } = branches;
  const all = async () => { while (root.children.length < root.total) await branches.more(root); };
  const there = () => root.children.map(({ entry }) => entry.key);
  const sorted = () => [...keys].sort();
  return { at, branches, root, all, there, sorted };
}

test("a branch is loaded to its end, whatever it has", async () => {
  for (const count of [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE]) {
    const { branches, root, all, there, sorted } = made(count);
    await branches.open(root);
    await all();
    assert.deepEqual(there(), sorted(), `${count}`);
    assert.equal(root.total, count);
    assert.ok(branches.rows.every(({ kind }) => kind === "node"));
  }
});

test("a page that has no room for as many as were asked for is not the last", async () => {
  const keys = Array.from({ length: 25 }, (_, n) => `k${String.fromCharCode(97 + n)}`);
  const list = (_path: string, after: string | null): Promise<Listing> => {
    const behind = keys.filter((key) => after === null || key > after);
    const children = behind.slice(0, 10).map((key) => ({ key, value: 1, children: 0 }));
    return Promise.resolve({ total: keys.length, tick: 1, children, more: behind.length > 10 });
  };
  const branches = new Branches(list, () => undefined);
  await branches.open(branches.root);
  assert.equal(branches.root.total, 25);
  while (branches.root.children.length < branches.root.total) await branches.more(branches.root);
  // Asked anew, the first page takes nothing away that is behind it.
  await branches.refresh(branches.root, null);
  assert.deepEqual(branches.root.children.map(({ entry }) => entry.key), keys);
});

test("what comes and goes among thousands is in its place once", async () => {
  const { at, branches, root, all, there, sorted } = made(1500);
  await branches.open(root);
  await all();
  at.keys.add("k00000a");
  at.keys.delete("k00007");
  await branches.refresh(root);
  assert.deepEqual(there(), sorted());
  assert.deepEqual(root.children.map(({ place }) => place), there().map((_, i) => i + 1));
  assert.equal(root.total, 1500);
  // What is behind the first thousand is looked at where it is in sight.
  at.keys.delete("k01234");
  at.keys.add("k01234a");
  await branches.refresh(root);
  assert.ok(there().includes("k01234"), "it has not been asked for");
  await branches.refresh(root, "k01230");
  assert.deepEqual(there(), sorted());
  at.keys.delete("k01499");
  at.keys.add("l");
  await branches.refresh(root, "k01490");
  assert.deepEqual(there(), sorted());
  assert.equal(root.total, 1500);
});

test("more than were loaded come behind the last, and are loaded", async () => {
  const { at, branches, root, all, there, sorted } = made(PAGE);
  await branches.open(root);
  await all();
  for (let n = 0; n < PAGE + 5; n += 1) at.keys.add(`m${String(n).padStart(4, "0")}`);
  await branches.refresh(root, "k00190");
  assert.ok(root.total > root.children.length);
  await all();
  assert.deepEqual(there(), sorted());
});

test("an open branch stays itself when its siblings are asked for anew, and what went says so", async () => {
  const { at, branches, root } = made(3);
  await branches.open(root);
  const [first] = root.children;
  assert.ok(first);
  await branches.open(first);
  await branches.refresh(root);
  assert.equal(root.children[0], first);
  assert.ok(first.open);
  at.gone = true;
  await branches.refresh(first);
  assert.equal(first.error, "It is not there any more.");
  assert.deepEqual(branches.rows.map(({ kind }) => kind), ["node", "error", "node", "node"]);
  at.gone = false;
  await branches.refresh(first);
  assert.equal(first.error, null);
});

test("keys are compared as the daemon compares them", () => {
  const keys = ["", "a", "aa", "b", "é", "\u{e000}", "\u{ffff}", "\u{10000}", "🦀", "🦀a"];
  for (const a of keys) {
    for (const b of keys) assert.equal(Math.sign(byBytes(a, b)), Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))), `${a} ${b}`);
  }
});

test("the focus goes to nodes alone, and never back", () => {
  const rows = ["node", "node", "error", "node", "node", "more"].map((kind) => ({ kind }) as Row);
  for (const [at, to, want] of [[1, 2, 3], [3, 2, 1], [0, 5, 4], [4, 5, 4], [4, 9, 4], [3, -7, 0], [0, -1, 0], [0, 2, 3]] as const) {
    assert.equal(nodeAt(rows, at, to), want, `from ${at} to ${to}`);
  }
  assert.equal(nodeAt([], 0, 3), 0);
  assert.equal(nodeAt([{ kind: "node" }, { kind: "more" }] as Row[], 0, 1), 0);
});

/** A daemon of paper that answers when it is told to. */
class Daemon {
  keys: string[] = [];
  asked: Array<{ after: string | null; limit: number; answer: () => void }> = [];

  list = (_path: string, after: string | null, limit: number): Promise<Listing> =>
    new Promise((done) => {
      const behind = this.keys.filter((key) => after === null || byBytes(key, after) > 0);
      const listing = { total: this.keys.length, tick: 1, children: behind.slice(0, limit).map((key) => ({ key, children: 0 })), more: behind.length > limit };
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
