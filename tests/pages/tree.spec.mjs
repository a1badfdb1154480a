// The tree and its search: by the keyboard, with branches that are long or do not answer, and with answers that take their time.

import assert from "node:assert/strict";
import { HOSTILE, spec, until } from "./harness.mjs";

const focused = (page) => page.evaluate(() => document.activeElement.querySelector(".tree-key")?.textContent ?? document.activeElement.tagName);
const row = (page, name) => page.getByRole("treeitem", { name });

spec("the keyboard goes from node to node, over what is no node", async ({ daemon, open }) => {
  const at = await daemon();
  const many = Object.fromEntries(Array.from({ length: 450 }, (_, n) => [`k${String(n).padStart(3, "0")}`, n]));
  await at.push({ aa: many, bad: { x: 1 }, last: 1, zz: 2, defaultaction: "last" });
  const page = await open(at, "/realtime/", { forgive: [/500/] });
  await row(page, /^graftd/).waitFor();
  let refused = true;
  await page.route("**/api/ls/bad*", (route) => (refused ? route.fulfill({ status: 500, body: '{"error":"it is out of order"}' }) : route.continue()));
  await row(page, /^bad/).click();
  const again = page.getByRole("button", { name: "Try again" });
  await again.waitFor();
  // Down, over what failed, and back.
  await page.keyboard.press("ArrowDown");
  await until(() => focused(page), (key) => key === "graftd", "the node below what failed");
  await page.keyboard.press("ArrowUp");
  await until(() => focused(page), (key) => key === "bad", "the branch that failed");
  // The button has its keys for itself.
  refused = false;
  await again.focus();
  await page.keyboard.press("Enter");
  await row(page, /^x\s*1$/).waitFor();
  assert.equal(await page.locator(".panel").count(), 0, "nothing is shown by it");
  await row(page, /^bad/).click();
  await row(page, /^x/).waitFor({ state: "detached" });

  await row(page, /^aa/).click();
  await row(page, /^k003/).waitFor();
  await page.keyboard.press("End");
  await until(() => focused(page), (key) => key === "zz", "the last node");
  await page.keyboard.press("PageUp");
  await page.keyboard.press("Home");
  await until(() => focused(page), (key) => key === "aa", "the first node");
  for (let n = 0, last = -1; n < 40; n += 1) {
    await page.keyboard.press("PageDown");
    const key = await until(() => focused(page), (one) => one !== "BODY" && one !== "aa", "a node further down");
    const now = /^k\d/.test(key) ? Number(key.slice(1)) : 1000;
    assert.ok(now >= last, `${key} comes after ${last}`);
    if (key === "zz") break;
    last = now;
    assert.ok(n < 39, `it stays at ${key}`);
  }
});

spec("branches of dots and slashes open as what they are", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ "..": { up: 1 }, ".": { here: 2 }, "/../x": { deep: 3 }, x: { other: 4 }, defaultaction: "last" });
  const page = await open(at, "/realtime/");
  for (const [key, child] of [["..", /^up\s*1$/], [".", /^here\s*2$/], ["/../x", /^deep\s*3$/]]) {
    await page.locator(".tree-line").filter({ has: page.locator(".tree-key").getByText(key, { exact: true }) }).click();
    await row(page, child).waitFor();
  }
  assert.equal(await row(page, /^other/).count(), 0);
});

spec("Enter in the search waits for what the text finds", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ cpu: { a: { idle: 90, user: 1 }, b: { idle: 70, user: 2 } }, defaultaction: "last" });
  const page = await open(at, "/realtime/");
  const box = page.getByRole("combobox", { name: "Find in the tree" });
  await box.fill("cpu a user");
  await page.getByRole("option", { name: /cpu › a › user/ }).waitFor();
  // The next answer comes when it may.
  let go = () => undefined;
  const may = new Promise((done) => { go = done; });
  await page.route("**/api/find?q=cpu%20b%20idle*", async (route) => { await may; await route.continue(); });
  await box.fill("cpu b idle");
  await page.keyboard.press("Enter");
  assert.equal(await page.locator(".panel").count(), 0);
  go();
  await page.getByRole("article", { name: "cpu › b › idle", exact: true }).waitFor();
  assert.equal(await page.locator(".panel").count(), 1);
  assert.equal(await box.inputValue(), "");
  // Another button than the first picks nothing.
  await box.fill("cpu a user");
  await page.getByRole("option", { name: /cpu › a › user/ }).click({ button: "right" });
  assert.equal(await page.locator(".panel").count(), 1);
  await box.fill("no such thing");
  await page.getByText("type its whole path").waitFor();
});

spec("the tree has each row once, whatever came while it was read", async ({ daemon, open }) => {
  const at = await daemon();
  const page = await open(at, "/trend/view/");
  await row(page, /^graftd/).waitFor();
  for (let n = 0; n < 2; n += 1) {
    await at.push({ [HOSTILE[n]]: { x: n } });
    // It looks the less often, the longer an answer takes.
    await until(() => page.locator(".tree-key").allTextContents(), (all) => all.length === n + 2, "the next branch", 25_000);
    const keys = await page.locator(".tree-key").allTextContents();
    assert.equal(new Set(keys).size, keys.length, keys.join());
  }
});

spec("what changed glows for a while, and has the browser draw no pictures meanwhile", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ glows: 1, defaultaction: "last" });
  const page = await open(at, "/realtime/");
  await row(page, /^glows\s*1$/).waitFor();
  // It is a change only for who has seen what was before.
  let value = 1;
  // Asked in one breath: it is over soon, and on a busy machine before it was asked.
  const [colour, moving, waits] = await until(async () => {
    await at.push({ glows: value += 1, defaultaction: "last" });
    return row(page, /^glows/).evaluate((line) => {
      const element = line.querySelector(".glow");
      const all = element?.getAnimations() ?? [];
      if (all.length === 0) return null;
      return [getComputedStyle(element).backgroundColor, all.filter((one) => one.effect.getTiming().duration > 1).length, all.map((one) => one.effect.getTiming().delay)];
    });
  }, (found) => found !== null, "a glow");
  assert.notEqual(colour, "rgba(0, 0, 0, 0)");
  assert.ok(waits.length > 0 && waits.every((ms) => ms >= 100), `it stands still for ${waits} ms`);
  assert.equal(moving, 0, "an animation that goes on has all charts of the page made anew with each picture");
  await until(() => row(page, /^glows/).locator(".glow").evaluate((element) => getComputedStyle(element).backgroundColor), (now) => now === "rgba(0, 0, 0, 0)", "its end");
});

spec("the word that tells of a lost connection stands in the bar, without the strip's dress", async ({ daemon, open }) => {
  const at = await daemon();
  const page = await open(at, "/realtime/", { forgive: [/ERR_|Failed to load/] });
  await page.getByText("live", { exact: true }).waitFor();
  await at.end();
  const word = page.getByText("no connection");
  await word.waitFor();
  await page.locator("p.offline").waitFor();
  const looks = await word.evaluate((element) => { const { paddingLeft, backgroundColor } = getComputedStyle(element); return [paddingLeft, backgroundColor]; });
  assert.deepEqual(looks, ["0px", "rgba(0, 0, 0, 0)"]);
});

spec("what was found makes room for where somebody goes, and a letter that is being made is not asked for", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ shop: { open: 1, orders: 2 }, defaultaction: "last" });
  const page = await open(at, "/realtime/");
  const find = page.getByRole("combobox", { name: /^Find in the tree/ });
  await find.fill("orders");
  await page.getByRole("option", { name: /orders/ }).waitFor();
  await find.dispatchEvent("keydown", { key: "Enter", isComposing: true });
  assert.equal(await page.locator(".panel").count(), 0);
  await page.keyboard.press("Tab");
  await page.getByRole("option", { name: /orders/ }).waitFor({ state: "hidden" });
  await find.focus();
  await page.getByRole("option", { name: /orders/ }).waitFor();
  await page.keyboard.press("Enter");
  await page.locator(".panel").waitFor();
});
