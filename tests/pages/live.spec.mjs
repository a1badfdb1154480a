// What realtime pages tell is so: rates, what was while nobody looked, paths that no request takes, panels that become others.

import assert from "node:assert/strict";
import { accessible, spec, until } from "./harness.mjs";

const panel = (page, name) => page.getByRole("article", { name, exact: true });
const figure = (page, name) => panel(page, name).locator(".figures .large").textContent();
const isLive = (page) => page.locator(".conn").getByText("live", { exact: true }).waitFor();

spec("a counter's rate is what it grew by, by how long that took", async ({ daemon, open }) => {
  const at = await daemon({ tick: "1s" });
  await at.push({ hits: 100, other: 1 });
  const page = await open(at, "/realtime/?key-hits");
  await panel(page, "hits").getByText("so far").waitFor();
  await isLive(page);
  // Nothing for some seconds, with a new stream meanwhile; then 50 at once: in that tick, and not by and by since the last change.
  await page.getByRole("treeitem", { name: /^other/ }).waitFor();
  await new Promise((later) => setTimeout(later, 4_000));
  await page.getByRole("treeitem", { name: /^other/ }).press("Enter");
  await panel(page, "other").getByText("so far").waitFor();
  await new Promise((later) => setTimeout(later, 3_000));
  await at.push({ hits: 50 });
  const rate = await until(() => figure(page, "hits"), (text) => Number.parseFloat(text) > 0, "a rate");
  assert.match(rate, /^50\s*\/s$/);
  // It goes on without a pause, and no event that is late makes one.
  const end = Date.now() + 6_000;
  const rates = [];
  const began = Date.now();
  let pushed = 0;
  while (Date.now() < end) {
    await at.push({ hits: 10 });
    pushed += 10;
    if (Date.now() - began > 2_500) rates.push(Number.parseFloat(await figure(page, "hits")));
    await new Promise((later) => setTimeout(later, 40));
  }
  const mean = pushed / ((Date.now() - began) / 1000);
  assert.ok(rates.length > 0 && rates.every((one) => one > mean / 3 && one < mean * 3), `${mean} a second, drawn as ${rates.join(" ")}`);
});

spec("what was while the page was hidden is asked of history", async ({ daemon, open }) => {
  const at = await daemon({ tick: "1s" });
  await at.push({ g: { h: 5 }, defaultaction: "last" });
  const page = await open(at, "/realtime/?key-g%2Ch");
  await until(() => figure(page, "g › h"), (text) => text === "5", "the first value");
  await isLive(page);
  const hide = (hidden) => page.evaluate((is) => {
    Object.defineProperty(document, "hidden", { value: is, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  await new Promise((later) => setTimeout(later, 1_500));
  const began = Date.now() / 1000;
  await hide(true);
  await at.push({ g: { h: 9 }, defaultaction: "last" });
  await new Promise((later) => setTimeout(later, 7_000));
  const asked = page.waitForRequest((request) => request.url().includes("/trend/?"));
  await hide(false);
  const query = new URL((await asked).url()).searchParams;
  const [from, to] = [Number(query.get("from")), Number(query.get("to"))];
  assert.ok(from <= began + 1 && from > began - 30 && to >= began + 7, `${from} to ${to}, hidden at ${began}`);
  await until(() => figure(page, "g › h"), (text) => text === "9", "the value after it");
  await isLive(page);
});

spec("names that no request takes are no other's loss", async ({ daemon, open }) => {
  const at = await daemon();
  const long = ",".repeat(12_000);
  await at.push({ evil: { [long]: { [long]: 1 }, [",".repeat(16_000)]: 1, "..": 2, " ": 3, meta: 4, ok: 5 }, meta: { k: 6 }, defaultaction: "last" });
  const page = await open(at, "/realtime/?key-evil%2Cok&key-evil%2Cmeta&key-meta&key-evil%2C..");
  await until(() => figure(page, "evil › ok"), (text) => text === "5", "the value");
  await until(() => figure(page, "evil › meta"), (text) => text === "4", "the value of meta");
  await until(() => figure(page, "evil › .."), (text) => text === "2", "the value of dots");
  await panel(page, "meta").getByRole("button", { name: "k", exact: true }).waitFor();
  await page.getByRole("treeitem", { name: /^evil/ }).click();
  await page.getByRole("treeitem", { name: /^,,,,/ }).first().click();
  await until(() => page.getByRole("treeitem", { name: /^,,,,/ }).count(), (n) => n === 3, "the leaf below it");
  await page.getByRole("treeitem", { name: /^,,,,/ }).nth(1).press("Enter");
  await page.getByText("Its name is too long to be followed.").waitFor();
  await page.getByText("This page's address has become too long").waitFor();
  await isLive(page);
  await at.push({ evil: { ok: 6 }, defaultaction: "last" });
  await until(() => figure(page, "evil › ok"), (text) => text === "6", "the change");
  assert.equal(await page.locator("p.offline").filter({ hasText: "again" }).filter({ hasText: "connection" }).count(), 0);
});

spec("a panel that becomes another is not mistaken for it, and its plot is used by keys", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ cpu: { a: { idle: 90 }, b: { idle: 70 } }, defaultaction: "average" });
  const page = await open(at, "/realtime/?key-cpu%2Ca%2Cidle");
  await panel(page, "cpu › a › idle").getByRole("button", { name: "a", exact: true }).click();
  await until(() => figure(page, "cpu › (all) › idle"), (text) => text === "80", "the mean");
  const box = page.getByRole("combobox", { name: "Find in the tree" });
  await box.fill("cpu,a,idle");
  await page.getByRole("option", { name: "Show cpu › a › idle" }).click();
  await until(() => figure(page, "cpu › a › idle"), (text) => text === "90", "the one");
  assert.equal(await figure(page, "cpu › (all) › idle"), "80");
  await panel(page, "cpu › (all) › idle").getByRole("button", { name: /^Remove/ }).click();
  await panel(page, "cpu › (all) › idle").waitFor({ state: "detached" });
  assert.equal(await page.locator(".panel").count(), 1);
  assert.equal(await figure(page, "cpu › a › idle"), "90");
  const plot = page.getByRole("group", { name: /^Plot of cpu › a › idle/ });
  await plot.focus();
  await page.keyboard.press("+");
  await page.getByText("standing still").waitFor();
  await accessible(page);
  await page.keyboard.press("0");
  await isLive(page);
});

spec("a list that cannot be asked for is said to be from before, and one that went is shown no more", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ b: { x: 1, y: 2 }, defaultaction: "last" });
  const page = await open(at, "/realtime/?key-b", { forgive: [/Failed to load resource/] });
  await panel(page, "b").getByRole("button", { name: "y", exact: true }).waitFor();
  let status = 500;
  await page.route(/\/api\/ls\/b/, (route) => route.fulfill({ status, json: { error: `it has ${status}` } }));
  await page.getByText("As it was before: it has 500").waitFor();
  assert.equal(await panel(page, "b").getByRole("button", { name: "y", exact: true }).count(), 1);
  status = 404;
  await panel(page, "b").getByText("it has 404").waitFor();
  assert.equal(await panel(page, "b").getByRole("button", { name: "y", exact: true }).count(), 0);
  await page.unroute(/\/api\/ls\/b/);
  await panel(page, "b").getByRole("button", { name: "y", exact: true }).waitFor();
});

spec("a session that is over is said, and takes nothing away", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ g: { h: 5 }, defaultaction: "last" });
  const page = await open(at, "/realtime/?key-g%2Ch", { forgive: [/401/] });
  await until(() => figure(page, "g › h"), (text) => text === "5", "the first value");
  const box = page.getByRole("combobox", { name: "Find in the tree" });
  await page.route(/\/(get|api)\//, (route) => route.fulfill({ status: 401, json: { error: "the token" } }));
  await box.fill("typed");
  const said = page.getByRole("alert").filter({ hasText: "The session is over" });
  await said.waitFor();
  assert.equal(await box.inputValue(), "typed");
  await accessible(page);
  await page.unroute(/\/(get|api)\//);
  await said.getByRole("link").click();
  await said.waitFor({ state: "detached" });
  await until(() => figure(page, "g › h"), (text) => text === "5", "the page again");
});

/** Windows of one browser, two more than there are streams for; each follows one of these. */
const WINDOWS = 6;
const values = (by) => Object.fromEntries(Array.from({ length: WINDOWS }, (_, n) => [`w${n}`, by + n]));

spec("six windows of one browser are live at once, and none keeps another waiting", async ({ daemon, open }) => {
  const at = await daemon({ tick: "250ms" });
  await at.push({ ...values(0), defaultaction: "last" });
  const first = await open(at, "/realtime/?key-w0");
  const pages = [first];
  for (let n = 1; n < WINDOWS; n += 1) {
    const page = await first.context().newPage();
    await page.goto(`${at.url}/realtime/?key-w${n}`);
    pages.push(page);
  }
  for (const page of pages) await isLive(page);
  for (const by of [100, 200, 300]) {
    await at.push({ ...values(by), defaultaction: "last" });
    // What has no stream of its own asks each second.
    await Promise.all(pages.map((page, n) => until(() => figure(page, `w${n}`), (text) => text === String(by + n), `window ${n}`, 5_000)));
  }
  // Beside what they hold, each is answered at once: all connections of the browser are not theirs.
  const took = await pages[WINDOWS - 1].evaluate(async () => {
    const began = performance.now();
    await (await fetch("/get/?key-w0")).text();
    return performance.now() - began;
  });
  assert.ok(took < 2_000, `${took} ms`);
});

spec("windows that are opened at the same moment share the streams as well", async ({ daemon, open }) => {
  const at = await daemon({ tick: "250ms" });
  await at.push({ ...values(0), defaultaction: "last" });
  const first = await open(at, "/realtime/?key-w0");
  const streams = new Map();
  const watched = (page) => {
    const mine = new Set();
    streams.set(page, mine);
    page.on("request", (request) => { if (request.url().includes("/pull/?") && !request.url().includes("wait=")) mine.add(request); });
    for (const end of ["requestfailed", "requestfinished"]) page.on(end, (request) => mine.delete(request));
    // What a page had before it is loaded anew may end untold.
    page.on("framenavigated", (frame) => { if (frame === page.mainFrame()) mine.clear(); });
  };
  watched(first);
  const others = await Promise.all(Array.from({ length: WINDOWS - 1 }, () => first.context().newPage()));
  others.forEach(watched);
  await Promise.all([first.reload(), ...others.map((page, n) => page.goto(`${at.url}/realtime/?key-w${n + 1}`))]);
  const pages = [first, ...others];
  for (const page of pages) await isLive(page);
  // Who took a place that another has by now gives it back, and may meet somebody at the next one: a few seconds each time.
  await until(() => [...streams.values()].reduce((sum, mine) => sum + mine.size, 0), (n) => n >= 1 && n <= 4, "no more than four streams", 20_000);
  for (const by of [100, 200]) {
    await at.push({ ...values(by), defaultaction: "last" });
    await Promise.all(pages.map((page, n) => until(() => figure(page, `w${n}`), (text) => text === String(by + n), `window ${n}`, 5_000)));
  }
});

spec("a page that is opened behind another takes no stream until somebody looks", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ a: 5, defaultaction: "last" });
  const first = await open(at, "/realtime/?key-a");
  const page = await first.context().newPage();
  // Its script runs long before all of it has come.
  await page.addInitScript(() => {
    Object.defineProperty(document, "hidden", { value: true, configurable: true });
    document.addEventListener("DOMContentLoaded", () => { document.body.append(Object.assign(new Image(), { src: "/pull/?key-late&wait=1s" })); });
  });
  const pulled = [];
  page.on("request", (request) => { if (/\/pull\/\?(?!key-late)/.test(request.url())) pulled.push(request.url()); });
  await page.goto(`${at.url}/realtime/?key-a`);
  await page.getByRole("treeitem", { name: /^a/ }).waitFor();
  await new Promise((later) => setTimeout(later, 1_000));
  assert.deepEqual(pulled, []);
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { value: false });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await isLive(page);
  await until(() => figure(page, "a"), (text) => text === "5", "the value");
});

spec("a daemon that was held is a break, and what came meanwhile is no peak", async ({ daemon, open }) => {
  const at = await daemon({ tick: "1s" });
  await at.push({ hits: 100 });
  const page = await open(at, "/realtime/?key-hits");
  await panel(page, "hits").getByText("so far").waitFor();
  await isLive(page);
  for (let n = 0; n < 20; n += 1) {
    await at.push({ hits: 1 });
    await new Promise((later) => setTimeout(later, 200));
  }
  at.child.kill("SIGSTOP");
  // A connection that it kept for another request it may give up as it goes on: who pushes asks once more.
  const push = (hits) => at.push({ hits }).catch(() => at.push({ hits }));
  const late = push(900);
  await new Promise((later) => setTimeout(later, 8_000));
  const rates = [];
  const asked = page.waitForRequest((request) => request.url().includes("/trend/?") && request.url().includes("key-hits&"));
  at.child.kill("SIGCONT");
  await late;
  const end = Date.now() + 4_000;
  while (Date.now() < end) {
    await push(1);
    rates.push(Number.parseFloat(await figure(page, "hits")));
    await new Promise((later) => setTimeout(later, 100));
  }
  await asked;
  assert.ok(rates.every((one) => !(one > 100)), rates.join(" "));
  assert.ok(rates.some((one) => one > 1), rates.join(" "));
  await isLive(page);
});

spec("a list that becomes one of another branch shows that, though the page stands still", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ b: { x: { p: 1, q: 2 }, y: { r: 3 } }, defaultaction: "last" });
  const page = await open(at, "/realtime/?key-b");
  await panel(page, "b").getByRole("button", { name: "x", exact: true }).waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  await panel(page, "b").getByRole("button", { name: "x", exact: true }).click();
  await panel(page, "b › x").getByRole("button", { name: "q", exact: true }).waitFor();
  assert.equal(await panel(page, "b › x").getByRole("button", { name: "y", exact: true }).count(), 0);
});

spec("what is asked for seldom is said to be", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ b: { x: 1, y: 2 }, defaultaction: "last" });
  const page = await open(at, "/realtime/?key-b");
  await panel(page, "b").getByRole("button", { name: "y", exact: true }).waitFor();
  await page.route(/\/api\/ls\//, async (route) => {
    await new Promise((later) => setTimeout(later, 150));
    await route.continue().catch(() => undefined);
  });
  await panel(page, "b").getByText(/^Looked at each \d+\s*(s|min)\b.* only/).waitFor();
  await page.getByText(/^What has something below it is asked for each \d+\s*(s|min)\b.* only/).waitFor();
  await accessible(page);
});

spec("leaves that stay in sight are not asked for again when the tree is scrolled", async ({ daemon, open }) => {
  const at = await daemon();
  const name = (n) => `l${String(n).padStart(3, "0")}`;
  await at.push({ ...Object.fromEntries(Array.from({ length: 190 }, (_, n) => [name(n), n])), defaultaction: "last" });
  const page = await open(at, "/realtime/");
  await isLive(page);
  await page.getByRole("treeitem", { name: name(15) }).waitFor();
  await until(() => page.getByRole("treeitem", { name: name(15) }).textContent(), (text) => text.includes("15"), "its value");
  // What the page begins with is asked for by now.
  await page.waitForTimeout(500);
  const asked = page.waitForRequest((request) => /\/get\/\?.*depth=0/.test(request.url()));
  await page.locator(".tree").evaluate((tree) => { tree.scrollTop = 280; });
  const url = (await asked).url();
  assert.ok(/key-l0[2-9]\d/.test(url), url);
  assert.ok(!url.includes(`key-${name(15)}&`), url);
});

spec("what becomes another kind of value is drawn as what it is", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ version: 7, defaultaction: "last" });
  const page = await open(at, "/realtime/?key-version");
  await until(() => figure(page, "version"), (text) => text === "7", "the number");
  await isLive(page);
  await at.push({ version: "2.0-rc", defaultaction: "last" });
  await panel(page, "version").getByText("2.0-rc").first().waitFor();
  assert.equal(await panel(page, "version").locator("canvas").count(), 0, "a text has no plot");
  await at.push({ version: 8, defaultaction: "last" });
  await until(() => figure(page, "version"), (text) => text === "8", "the number that it is again");
  await panel(page, "version").locator("canvas").waitFor();
});
