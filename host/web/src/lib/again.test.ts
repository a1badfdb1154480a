import assert from "node:assert/strict";
import { test } from "node:test";
import { ever } from "./again.ts";

test("one that wants a minute for its answer is left in peace for longer than that", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const asked: number[] = [];
  let at = 0;
  const stop = ever(() => asked.push(at));
  for (; at < 600; at += 1) t.mock.timers.tick(1_000);
  const waits = asked.map((one, i) => one - (asked[i - 1] ?? 0));
  assert.ok((waits[0] ?? 99) <= 3 && Math.max(...waits) > 60, `${waits}`);
  stop();
  const until = asked.length;
  t.mock.timers.tick(600_000);
  assert.equal(asked.length, until);
});
