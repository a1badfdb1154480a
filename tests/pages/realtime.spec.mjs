// The realtime page: first visit, what changes as it changes, folding paths, a daemon that goes and comes, hostile keys.

import assert from "node:assert/strict";
import { HOST, HOSTILE, seen, shots, spec, until } from "./harness.mjs";

const panel = (page, name) => page.getByRole("article", { name, exact: true });
const figure = (page, name) => panel(page, name).locator(".figures .large").textContent();
const inPath = (key) => key.replace(/[,*%\p{Cc}]/gu, (c) => [...new TextEncoder().encode(c)].map((byte) => `%${byte.toString(16).padStart(2, "0").toUpperCase()}`).join(""));
const shown = (key) => (Array.from(key).length <= 80 ? key : `${Array.from(key).slice(0, 79).join("")}…`);

spec("a first visit finds the tree, and what to do", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ deploys: { shop: 1, blog: 2 }, version: "1.0" });
  const page = await open(at, "/realtime/");
  const tree = page.getByRole("tree", { name: "The tree" });
  await tree.getByRole("treeitem", { name: /^deploys/ }).waitFor();
  await page.getByText("Nothing is shown yet.").waitFor();
  // By the keyboard alone: to the branch, into it, to its second leaf, and shown.
  await tree.getByRole("treeitem", { name: /^deploys/ }).focus();
  await page.keyboard.press("ArrowRight");
  await tree.getByRole("treeitem", { name: /^blog/ }).waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await until(() => page.evaluate(() => document.activeElement.textContent), (label) => /^shop/.test(label), "the focus");
  await page.keyboard.press("Enter");
  await panel(page, "deploys › shop").waitFor();
  assert.match(page.url(), /\?key-deploys%2Cshop$/);
  await page.keyboard.press("ArrowLeft");
  await until(() => page.evaluate(() => document.activeElement.textContent), (label) => /^deploys/.test(label), "the branch");
  await page.keyboard.press("ArrowLeft");
  await tree.getByRole("treeitem", { name: /^blog/ }).waitFor({ state: "detached" });
});

spec("a change is seen within a tick", async ({ daemon, open }) => {
  const tick = 1_000;
  const at = await daemon({ tick: "1s" });
  await at.push({ g: { h: 5 }, defaultaction: "last" });
  const page = await open(at, "/realtime/?key-g%2Ch");
  await until(() => figure(page, "g › h"), (text) => text === "5", "the first value");
  await page.getByText("live", { exact: true }).waitFor();
  // The tree shows the same leaf.
  await page.getByRole("treeitem", { name: /^g\s*\d/ }).click();
  await page.getByRole("treeitem", { name: /^h\s*5$/ }).waitFor();
  // When the page hears of a value, and when it is in the row, by the page's own clock: what else this machine does counts little then.
  await page.evaluate(() => {
    const seen = { heard: {}, drawn: {} };
    globalThis.seen = seen;
    const note = (into, text) => { for (const [, value] of text.matchAll(/\b(7|8|9)(?=\D*$)/g)) into[value] ??= performance.now(); };
    const read = ReadableStreamDefaultReader.prototype.read;
    ReadableStreamDefaultReader.prototype.read = async function (...all) {
      const one = await read.apply(this, all);
      const data = one.value === undefined ? "" : /^data: (.*)$/m.exec(new TextDecoder().decode(one.value))?.[1] ?? "";
      note(seen.heard, data);
      return one;
    };
    const row = [...document.querySelectorAll('[role="treeitem"]')].find((one) => one.querySelector(".tree-key").textContent === "h");
    new MutationObserver(() => note(seen.drawn, row.querySelector(".tree-value").textContent)).observe(row, { childList: true, characterData: true, subtree: true });
  });
  // A chart less and more makes a new stream, which is heard.
  await panel(page, "g › h").getByRole("button", { name: "Remove g › h" }).click();
  await page.getByRole("treeitem", { name: /^h\s*5$/ }).click();
  await until(() => figure(page, "g › h"), (text) => text === "5", "the value once more");
  // Where both were one change to it there is no new stream, and what is read next was begun before anybody listened.
  await at.push({ g: { h: 6 }, defaultaction: "last" });
  await page.getByRole("treeitem", { name: /^h\s*6$/ }).waitFor();
  for (const value of [7, 8, 9]) {
    await at.push({ g: { h: value }, defaultaction: "last" });
    const merged = Date.now();
    await page.getByRole("treeitem", { name: new RegExp(`^h\\s*${value}$`) }).waitFor();
    // A tick until it is told, and another for a machine that has much to do.
    assert.ok(Date.now() - merged < 2 * tick + 400, `seen after ${Date.now() - merged} ms`);
  }
  const { heard, drawn } = await page.evaluate(() => globalThis.seen);
  const took = [7, 8, 9].map((value) => drawn[value] - heard[value]);
  assert.ok(Math.min(...took) >= 0 && Math.min(...took) < 150, `drawn ${took.map(Math.round)} ms after it was heard`);
});

spec("paths that fold and paths that list are typed, and made of others by a click", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ cpu: { a: { idle: 90 }, b: { idle: 70 } }, defaultaction: "average" });
  const page = await open(at, "/realtime/");
  const box = page.getByRole("combobox", { name: "Find in the tree" });
  await box.fill("cpu,,idle");
  await page.getByRole("option", { name: "Show cpu › (all) › idle" }).waitFor();
  await page.keyboard.press("Enter");
  await until(() => figure(page, "cpu › (all) › idle"), (text) => text === "80", "the mean");
  await at.push({ cpu: { a: { idle: 50 } }, defaultaction: "average" });
  await until(() => figure(page, "cpu › (all) › idle"), (text) => text === "60", "the mean after a change");
  // Each of them in place of all.
  await panel(page, "cpu › (all) › idle").getByRole("button", { name: "Each" }).click();
  await until(() => page.locator(".legend li").allTextContents(), (lines) => lines.join() === "a 50,b 70", "two lines");
  assert.match(page.url(), /key-cpu%2C\*%2Cidle/);
  // One is found, and folded by its key.
  await box.fill("cpu b idle");
  await page.getByRole("option", { name: /cpu › b › idle/ }).click();
  await panel(page, "cpu › b › idle").getByRole("button", { name: "b", exact: true }).click();
  await until(() => figure(page, "cpu › (all) › idle"), (text) => text === "60", "the mean again");
});

spec("counters are told as what they grow by a second, sketches and lists as what they are, markers where they fall", async ({ daemon, open }) => {
  const at = await daemon({ plugins: ["status", "url", "visitors", "request-time"] });
  await at.push({ hits: { "": 100, marker: "deployed" } });
  const page = await open(at, "/realtime/?key-hits&key-self%2Curl&key-self%2Cvisitors&key-self%2Crequest_time%2C&key-hits%2Cmarker");
  await panel(page, "hits").getByText("so far").waitFor();
  const end = Date.now() + 3_000;
  while (Date.now() < end) await at.push({ hits: 20 });
  const rate = await until(() => figure(page, "hits"), (text) => Number.parseFloat(text) > 0, "a rate");
  assert.match(rate, /\/s$/);
  await panel(page, "self › url").getByRole("button", { name: "/push" }).waitFor();
  await panel(page, "self › visitors").getByText("different in the last minute").waitFor();
  await panel(page, "self › request_time › (all)").getByText("p99").waitFor();
  await panel(page, "hits › marker").getByText("deployed").first().waitFor();
});

spec("a daemon that goes is told, and what is shown heals when it is back", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ g: { h: 5 }, defaultaction: "last" });
  const page = await open(at, "/realtime/?key-g%2Ch", { forgive: [/Failed to load resource|ERR_/] });
  await until(() => figure(page, "g › h"), (text) => text === "5", "the first value");
  await at.end();
  await page.getByText("no connection").waitFor();
  await page.locator("p.offline").waitFor();
  // What is shown is from before, however long it lasts.
  await new Promise((over) => setTimeout(over, 2_500));
  assert.equal(await figure(page, "g › h"), "5");
  await at.begin();
  await at.push({ g: { h: 6 }, defaultaction: "last" });
  await page.getByText("live", { exact: true }).waitFor({ timeout: 15_000 });
  await until(() => figure(page, "g › h"), (text) => text === "6", "the value after it");
  assert.equal(await page.locator("p.offline").count(), 0);
  await at.push({ g: { h: 7 }, defaultaction: "last" });
  await until(() => figure(page, "g › h"), (text) => text === "7", "the change after it");
  // Killed, as well.
  await at.restart("SIGKILL");
  await at.push({ g: { h: 8 }, defaultaction: "last" });
  await until(() => figure(page, "g › h"), (text) => text === "8", "the value after a kill", 15_000);
});

spec("it stands still while something is looked at", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ g: { h: 5 }, defaultaction: "last" });
  const page = await open(at, "/realtime/?key-g%2Ch&window=60");
  await until(() => figure(page, "g › h"), (text) => text === "5", "the first value");
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("standing still").waitFor();
  await page.getByRole("button", { name: "Go on live" }).click();
  await page.getByText("live", { exact: true }).waitFor();
  // A stretch that is dragged over is looked at, for all charts.
  const chart = await panel(page, "g › h").locator(".u-over").boundingBox();
  await page.mouse.move(chart.x + chart.width * 0.3, chart.y + 40);
  await page.mouse.down();
  await page.mouse.move(chart.x + chart.width * 0.7, chart.y + 45, { steps: 5 });
  await page.mouse.up();
  await page.getByText("standing still").waitFor();
  await panel(page, "g › h").locator(".u-over").dblclick();
  await page.getByText("live", { exact: true }).waitFor();
  assert.match(page.url(), /window=60/);
});

spec("charts change places, and whoever moves one by the keyboard goes on there", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ a: 1, b: 2, c: 3, defaultaction: "last" });
  const page = await open(at, "/realtime/?key-a&key-b&key-c");
  const order = () => page.locator(".panel h2").allTextContents();
  await until(order, (all) => all.join() === "a,b,c", "the charts");
  const up = page.getByRole("button", { name: "Move c up" });
  await up.press("Enter");
  await until(order, (all) => all.join() === "a,c,b", "c before b");
  await until(() => page.evaluate(() => document.activeElement.getAttribute("aria-label")), (label) => label === "Move c up", "the focus");
  await page.keyboard.press("Enter");
  await until(order, (all) => all.join() === "c,a,b", "c at the top");
  await until(() => page.evaluate(() => document.activeElement.getAttribute("aria-label")), (label) => label === "Move c up", "the focus where it cannot be moved on");
  await page.keyboard.press("Enter");
  assert.equal((await order()).join(), "c,a,b", "a key that is pressed once more takes nothing away");
  assert.match(page.url(), /key-c&key-a&key-b$/);
});

spec("hostile keys and texts are text", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ evil: Object.fromEntries(HOSTILE.map((key) => [key, { "": 1, marker: key.slice(0, 900) }])) });
  const query = HOSTILE.slice(0, 6).map((key) => `key-${encodeURIComponent(`evil,${inPath(key)}`)}`).join("&");
  const page = await open(at, `/realtime/?${query}`);
  page.on("dialog", () => assert.fail("a dialog"));
  await page.getByRole("treeitem", { name: /^evil/ }).click();
  for (const key of HOSTILE.slice(0, 6)) await panel(page, shown(`evil › ${seen(key)}`)).getByText("so far").waitFor();
  const lines = await until(() => page.getByRole("treeitem").allTextContents(), (all) => all.length === HOSTILE.length + 2, "all keys");
  for (const key of HOSTILE) {
    const begin = seen(key).replace(/[\t\n]/g, " ").slice(0, 12);
    assert.ok(lines.some((line) => line.replace(/[\t\n]/g, " ").includes(begin)), `${JSON.stringify(begin)} in ${JSON.stringify(lines.map((line) => line.slice(0, 40)))}`);
  }
  assert.equal(await page.locator("main script, main img").count(), 0);
  // The longest is shown and cut, and as a chart.
  await page.getByRole("treeitem", { name: /^xxxx/ }).press("Enter");
  await until(() => page.locator(".panel").count(), (n) => n === 7, "the seventh chart");
  await shots(page, "realtime-hostile");
});

spec("how it looks", async ({ daemon, open }) => {
  const at = await daemon({ plugins: ["cpu", "load", "memory", "network", "status", "url", "visitors", "request-time"], tick: "250ms", conf: { "cpu.on": 'every = "1s"\n', "load.on": 'every = "1s"\n' } });
  const page = await open(at, "/realtime/");
  await page.getByRole("treeitem", { name: /^self/ }).waitFor();
  await shots(page, "realtime-empty");
  await at.push({ app: { shop: { orders: { "": 4, marker: "release 7" } } } });
  await page.goto(`${at.url}/realtime/?window=60&${["cpu,,idle", `cpu,${HOST},*`, "load,*,one", "app,shop,orders", "self,request_time,", "self,visitors", "self,url", "memory,,free", "app,shop,orders,marker", "not,there"].map((key) => `key-${encodeURIComponent(key)}`).join("&")}`);
  await page.getByRole("treeitem", { name: /^cpu/ }).click();
  const end = Date.now() + 6_000;
  while (Date.now() < end) {
    await at.push({ app: { shop: { orders: 1 + Math.floor(Math.random() * 5) } } });
    await at.ask("/get/?key-app");
    await new Promise((again) => setTimeout(again, 60));
  }
  await shots(page, "realtime");
  await page.setViewportSize({ width: 390, height: 844 });
  await page.getByRole("button", { name: "Add from the tree" }).click();
  await page.getByRole("treeitem", { name: /^load/ }).waitFor();
});
