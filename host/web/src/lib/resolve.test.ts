import assert from "node:assert/strict";
import { test } from "node:test";
import { Failed, type Got, type GetOptions, type Value } from "./api.ts";
import { type Get, resolveAll } from "./resolve.ts";

/** A daemon of paper: nodes with what is below them, and the room of an answer that goes from path to path. */
function daemon(nodes: { [path: string]: Value }, bad: string[] = []): { ask: Get; asked: Array<[string[], GetOptions]> } {
  const asked: Array<[string[], GetOptions]> = [];
  const ask = async (paths: readonly string[], options: GetOptions = {}): Promise<Got> => {
    asked.push([[...paths], options]);
    if (paths.some((path) => bad.includes(path))) throw new Failed("That is no path.", 400);
    let room = options.limit ?? Infinity;
    let truncated = false;
    const found = paths.map((path) => {
      const is = nodes[path] ?? null;
      if (is === null || options.as === "rate") return { [path]: is === null ? null : path.startsWith("count") ? 1 : null };
      if (room <= 0) {
        truncated = true;
        return { [path]: null };
      }
      if (typeof is !== "object") {
        room -= 1;
        return { [path]: is };
      }
      const all = Object.entries(is);
      const some = all.slice(0, room);
      truncated ||= some.length < all.length;
      room -= some.length;
      return { [path]: Object.fromEntries(some) };
    });
    return { found, metas: paths.map((path) => ({ [path]: { title: path } })), tick: 1, truncated };
  };
  return { ask, asked };
}

const large = Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`c${i}`, i]));

test("what is behind a large branch is found, and no more of that is fetched than tells what it is", async () => {
  const { ask, asked } = daemon({ large, counter: { "": 5, ...large }, g: 7, text: "x" });
  const all = await resolveAll(["large", "counter", "g", "text", "not"], ask);
  assert.deepEqual([...all].map(([path, { kind }]) => [path, kind]), [["large", "branch"], ["counter", "counter"], ["g", "number"], ["text", "text"], ["not", "none"]]);
  assert.equal(all.get("g")?.meta.title, "g");
  assert.ok(asked.every(([, { limit, as }]) => as === "rate" || (limit ?? Infinity) <= 5 * 64), JSON.stringify(asked));
});

test("a path that is refused says so, and is no other's loss", async () => {
  const { ask } = daemon({ g: 7 }, ["bad", "bad,*"]);
  const long = "%2C".repeat(50_000);
  const all = await resolveAll(["bad", "g", "bad,*", long], ask);
  assert.deepEqual([all.get("g")?.kind, all.get("bad")?.refused, all.get("bad,*")?.refused], ["number", "That is no path.", "That is no path."]);
  assert.match(all.get(long)?.refused ?? "", /too long/);
});
