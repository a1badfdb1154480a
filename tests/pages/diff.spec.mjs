// The page that compares: two paths, or one at two times.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { GRAFTD, HOSTILE, seen, shots, spec, until } from "./harness.mjs";

const HOUR = 3_600;
/** The cells of what differs, and its bars: how they look and how long they are (%). */
const rows = (page) => page.locator(".diff-table tbody tr").evaluateAll((all) =>
  all.map((row) => [...row.children].slice(0, 4).map((cell) => cell.textContent.trim())));
const bars = (page) => page.locator(".diff-bar span").evaluateAll((all) =>
  all.map((bar) => [bar.className, Math.round(Number.parseFloat(bar.style.width))]));

spec("two branches: what differs, sorted, with bars", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ cpu: { h1: { idle: 80, user: 10, nice: 1, own: 3, name: "alpha" }, h2: { idle: 40, user: 12, nice: 1, name: "beta" } }, defaultaction: "last" });
  const page = await open(at, "/diff/cpu%2Ch1/cpu%2Ch2");
  await page.getByText("4 of 5 values differ, 1 only in A.").waitFor();
  assert.deepEqual(await rows(page), [
    ["name", "alpha", "beta", "differs"], ["idle", "80", "40", "−40 −50 %"], ["user", "10", "12", "+2 +20 %"], ["own", "3", "–", "only in A"],
  ]);
  assert.deepEqual(await bars(page), [["less", 0], ["less", 25], ["more", 8], ["less alone", 50]]);
  // By another column, and the other way round.
  await page.getByRole("button", { name: "Key" }).click();
  assert.deepEqual((await rows(page)).map(([key]) => key), ["idle", "name", "own", "user"]);
  await page.getByRole("button", { name: "Key" }).click();
  assert.deepEqual((await rows(page)).map(([key]) => key), ["user", "own", "name", "idle"]);
  assert.equal(await page.getByRole("columnheader", { name: "Key" }).getAttribute("aria-sort"), "descending");
  await page.getByLabel("Also what is the same").check();
  assert.equal((await rows(page)).length, 5);
  await page.getByLabel("Only keys with").fill("NI");
  assert.deepEqual((await rows(page)).map(([key]) => key), ["nice"]);
  await page.getByRole("button", { name: "Swap" }).click();
  await until(() => new URL(page.url()).pathname, (path) => path === "/diff/cpu%2Ch2/cpu%2Ch1", "the address");
  await page.getByText("4 of 5 values differ, 1 only in B.").waitFor();
  await page.goBack();
  await page.getByText("1 only in A.").waitFor();
});

spec("one path at two times", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ shop: { open: 5, closed: 1 }, defaultaction: "last" });
  await at.end();
  const now = Math.floor(Date.now() / 1000);
  const file = join(at.root, "past.csv");
  const lines = [];
  for (let time = now - 30 * HOUR; time < now - 60; time += 600) {
    lines.push(`"shop,open",${time},${time < now - 20 * HOUR ? 100 : 50}`, `"shop,closed",${time},7`);
    lines.push(`"shop,version",${time},${time < now - 20 * HOUR ? '"1.0"' : '"2.0"'}`);
  }
  writeFileSync(file, `${lines.join("\n")}\n`);
  execFileSync(GRAFTD, ["trend", "import", file, "--data", at.folders.data]);
  await at.begin();
  const page = await open(at, "/diff/");
  await page.getByText("Two paths, or one at two times.").waitFor();
  const [a, b] = [page.getByRole("group", { name: "A" }), page.getByRole("group", { name: "B" })];
  await a.getByLabel("Path").fill("shop");
  await a.getByLabel("When").fill("-1d");
  await b.getByLabel("Path").fill("shop");
  await b.getByLabel("When").fill("-2h");
  await b.getByLabel("When").press("Enter");
  await until(() => page.url(), (url) => url.endsWith("/diff/shop/shop?at=-1d&bt=-2h"), "the address");
  await page.getByText("2 of 3 values differ.").waitFor();
  assert.deepEqual(await rows(page), [["version", "1.0", "2.0", "differs"], ["open", "100", "50", "−50 −50 %"]]);
  // What is no time is said.
  await b.getByLabel("When").fill("soon");
  await page.getByRole("button", { name: "Compare" }).click();
  await page.getByText("“soon” is no time.").waitFor();
  // The same at the same time.
  await page.goto(`${at.url}/diff/shop/shop`);
  await page.getByText("A and B are the same at the same time.").waitFor();
  await page.goto(`${at.url}/diff/not/there`);
  await page.getByText("There is nothing in either.").waitFor();
});

spec("hostile keys and texts are text", async ({ daemon, open }) => {
  const at = await daemon();
  const texts = Object.fromEntries(HOSTILE.map((key) => [key, { n: 1, t: key.slice(0, 900) }]));
  await at.push({ evil: texts, good: { "..": { n: 2 } }, "..": { n: 3 }, defaultaction: "last" });
  const page = await open(at, "/diff/evil/good");
  page.on("dialog", () => assert.fail("a dialog"));
  await page.getByText(`${HOSTILE.length * 2} only in A, 1 only in B.`).waitFor();
  assert.equal(await page.locator("main script, main img").count(), 0);
  const told = (await rows(page)).map(([key]) => key);
  for (const key of HOSTILE) assert.ok(told.some((one) => one.replace(/\s/g, " ").startsWith(seen(key).slice(0, 60).replace(/\s/g, " "))), key.slice(0, 60));
  // A path that is dots alone leads nowhere else.
  await page.getByRole("group", { name: "A" }).getByLabel("Path").fill("..");
  await page.getByRole("button", { name: "Compare" }).click();
  await until(() => page.url(), (url) => url.endsWith("/diff/%252E%252E/good"), "the address");
  await page.reload();
  await page.getByText("2 of 2 values differ").waitFor();
  await page.goto(`${at.url}/diff/evil/good`);
  await page.getByText("only in A").first().waitFor();
  await shots(page, "diff-hostile");
});

spec("a daemon that goes is told, and what is compared comes when it is back", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ a: { x: 1 }, b: { x: 2 }, defaultaction: "last" });
  const page = await open(at, "/diff/a/b", { forgive: [/Failed to load resource|ERR_/] });
  await page.getByText("1 of 1 value differs.").waitFor();
  await at.end();
  await page.getByRole("button", { name: "Compare" }).click();
  await page.locator(".offline").waitFor();
  assert.equal((await rows(page)).length, 1, "what was there stays");
  await at.begin();
  await at.push({ b: { x: 5 }, defaultaction: "last" });
  await page.locator(".offline").waitFor({ state: "detached", timeout: 15_000 });
});

spec("how it looks", async ({ daemon, open }) => {
  const at = await daemon();
  const host = (by) => ({ idle: 90 - 20 * by, user: 5 + 12 * by, system: 3 + by, bytes: { in: 5_000_000 * by, out: 120_000 * by * by }, version: by > 1 ? "2.1" : "2.0" });
  await at.push({ fleet: { web1: host(1), web2: { ...host(2.4), extra: 7 } }, defaultaction: "last" });
  const page = await open(at, "/diff/");
  await page.getByText("Two paths, or one at two times.").waitFor();
  await shots(page, "diff-empty");
  await page.goto(`${at.url}/diff/fleet,web1/fleet,web2`);
  await page.locator(".diff-table").waitFor();
  await shots(page, "diff");
});
