import assert from "node:assert/strict";
import { test } from "node:test";
import { Failed } from "./api.ts";
import { pull, type Told } from "./stream.ts";

/** A stream of paper, and what a follower of it was told. */
async function followed(run: (at: { say: (text: string) => Promise<void>; time: { now: number }; told: number[]; end: Promise<unknown>; end_of: { aborted: boolean } }) => Promise<void>) {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const plain = globalThis.fetch;
  const ends = { aborted: false };
  globalThis.fetch = (_, init) => {
    init?.signal?.addEventListener("abort", () => { ends.aborted = true; });
    return Promise.resolve(new Response(readable));
  };
  const time = { now: 1_000_000 };
  const told: number[] = [];
  let heard: () => void = () => undefined;
  const follower = { opened: () => heard(), told: (tick: number, _: Told) => { told.push(tick); }, heard: () => heard() };
  const given = new AbortController();
  try {
    const opened = new Promise<void>((go) => { heard = go; });
    const end = pull(["a"], 1, given.signal, follower, () => time.now).catch((error: unknown) => error);
    await opened;
    const say = async (text: string) => {
      const taken = Promise.race([new Promise<void>((go) => { heard = go; }), end]);
      await writer.write(new TextEncoder().encode(text)).catch(() => undefined);
      await taken;
    };
    await run({ say, time, told, end, end_of: ends });
  } finally {
    given.abort();
    globalThis.fetch = plain;
  }
}

test("a stream that stood still is a break, whatever it says then", async () => {
  await followed(async ({ say, time, told, end, end_of }) => {
    await say("id: 2\ndata: [{\"a\":1}]\n\n");
    // It says that nothing is new each 15 s.
    time.now += 15_500;
    await say(":\n\n");
    time.now += 15_500;
    await say("id: 30\ndata: [{\"a\":2}]\n\n");
    assert.deepEqual(told, [2, 30]);
    time.now += 30_000;
    await say("id: 60\ndata: [{\"a\":3}]\n\n");
    const error = await end;
    assert.ok(error instanceof Failed && error.offline, String(error));
    assert.deepEqual(told, [2, 30], "what comes after it may leave out what was meanwhile");
    assert.ok(end_of.aborted, "the daemon need not go on telling it");
  });
});
