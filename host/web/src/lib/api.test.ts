import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { ahead, ask, Failed, get, groups, halving, isTooLong } from "./api.ts";

/** Has `fetch` ask a server of paper by paths alone, as a page's does. */
async function served(answer: (url: string) => string | null, run: () => Promise<void>): Promise<void> {
  const server = createServer((request, response) => {
    const text = answer(request.url ?? "");
    // One that is never answered: its connection is dead.
    if (text !== null) response.setHeader("X-Tick", 7).end(text);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  const plain = globalThis.fetch;
  globalThis.fetch = (url, init) => plain(`http://127.0.0.1:${port}${String(url)}`, init);
  try {
    await run();
  } finally {
    globalThis.fetch = plain;
    server.closeAllConnections();
    server.close();
  }
}

test("a request that is not answered fails", async () => {
  await served(() => null, async () => {
    await assert.rejects(ask("/get/", { most: 50 }), (error) => error instanceof Failed && error.offline);
    const given = new AbortController();
    setTimeout(() => given.abort(), 20);
    await assert.rejects(ask("/get/", { signal: given.signal }), { name: "AbortError" });
  });
});

test("a branch that is called as metadata are is one as others", async () => {
  await served(() => JSON.stringify([{ "%6Deta": { k: 1 }, meta: { title: "T" } }, { g: 3, meta: {} }]), async () => {
    const got = await get(["meta", "g"], { meta: true });
    assert.deepEqual([got.found, got.metas, got.tick], [[{ meta: { k: 1 } }, { g: 3 }], [{ title: "T" }, {}], 7]);
  });
});

test("a clock is told by answers that are quick, from the middle of their way", () => {
  const date = 1_000_000_000;
  assert.equal(ahead(date, date + 400, date + 600), 0);
  assert.equal(ahead(date + 60_000, date + 400, date + 600), 60_000);
  assert.equal(ahead(date, date, date + 5_000), null);
  assert.equal(ahead(Number.NaN, date, date), null);
});

test("what is refused is found by halves", async () => {
  const asked: number[][] = [];
  const refused: number[] = [];
  await halving([1, 2, 3, 4, 5, 6, 7], async (some) => {
    if (some.some((one) => one === 3 || one === 6)) throw new Failed("no", 431);
    asked.push([...some]);
  }, (one) => refused.push(one));
  assert.deepEqual([asked.flat(), refused], [[1, 2, 4, 5, 7], [3, 6]]);
  for (const status of [0, 401, 408, 429, 503]) {
    await assert.rejects(halving([1, 2], async () => { throw new Failed("later", status); }, () => assert.fail("it was not refused")));
  }
});

test("a path that no URL takes is known", () => {
  assert.equal(isTooLong("م".repeat(8_000)), false);
  assert.equal(isTooLong("م".repeat(11_000)), true);
  assert.equal(groups(["م".repeat(10_000), "a", "b"]).length, 2);
});
