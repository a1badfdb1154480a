import assert from "node:assert/strict";
import { test } from "node:test";
import { Failed, views } from "./api.ts";

test("views are changed with the tag that they were seen with, and who comes too late is told", async (t) => {
  const asked: Array<{ url: string; method: string; seen: string | undefined }> = [];
  t.mock.method(globalThis, "fetch", async (url: string, init: RequestInit) => {
    const seen = (init.headers as Record<string, string>)["If-Match"];
    asked.push({ url, method: init.method ?? "", seen });
    if (seen !== undefined && seen !== '"1"') return new Response('{"error":"changed meanwhile"}', { status: 412 });
    return new Response("[]", { headers: { ETag: '"1"' } });
  });
  const { tag } = await views.kept();
  assert.equal(tag, '"1"');
  await views.put({ name: "a/b", charts: [] }, tag, "was");
  await views.replace([], tag);
  await views.remove("a", null);
  await assert.rejects(views.remove("a", '"0"'), (error) => error instanceof Failed && error.status === 412 && error.message === "changed meanwhile");
  assert.deepEqual(asked, [
    { url: "/setting/view", method: "GET", seen: undefined },
    { url: "/setting/view/was", method: "PUT", seen: '"1"' },
    { url: "/setting/view", method: "POST", seen: '"1"' },
    { url: "/setting/view/a", method: "DELETE", seen: undefined },
    { url: "/setting/view/a", method: "DELETE", seen: '"0"' },
  ]);
});
