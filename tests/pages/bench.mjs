// What the realtime page costs: `node tests/pages/bench.mjs [paint] [large] [charts]`. CPU time is what processes took, not what a clock
// says; the times of a page are as its browser measured them (Event Timing, Paint Timing).

import { readdirSync, readFileSync } from "node:fs";
import { chromium, cpu, start, until, why } from "./harness.mjs";

if (why) {
  console.log(`pages: skipped: ${why}`);
  process.exit(0);
}
const wanted = process.argv.slice(2);
const parts = { paint, large, charts };
const browser = await chromium();
const pages = async (at, path, size = { width: 1280, height: 800 }) => {
  const context = await browser.newContext({ viewport: size });
  const page = await context.newPage();
  await page.goto(at.url + path);
  return page;
};
const row = (what, figure) => console.log(`pages  ${what.padEnd(72)} ${figure}`);

for (const [name, part] of Object.entries(parts)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const at = await start({ tick: "1s" });
  try {
    await part(at);
  } finally {
    await at.drop();
  }
}
await browser.close();
process.exit(0);

/** Processes that are descendants of this one and the browser's. */
function processes() {
  const above = new Map();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const [, name, rest] = /^\d+ \((.*)\) . (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"));
      above.set(Number(pid), { name, parent: Number(rest) });
    } catch { /* It ended. */ }
  }
  const descends = (pid) => pid === process.pid || (above.has(pid) && descends(above.get(pid).parent));
  return [...above].filter(([pid, { name }]) => /chrom/.test(name) && descends(pid)).map(([pid]) => pid);
}

async function paint(at) {
  await at.push({ deploys: { shop: 1 } });
  for (const path of ["/realtime/", "/setting/view"]) {
    const times = [];
    for (let n = 0; n < 7; n += 1) {
      // A browser without anything in its cache.
      const page = await pages(at, path);
      const first = await until(() => page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0), (ms) => ms > 0, "a paint");
      times.push(first);
      await page.context().close();
    }
    times.sort((a, b) => a - b);
    row(`first paint of ${path}, nothing cached: median, worst of 7`, `${times[3].toFixed(0)} ms, ${times[6].toFixed(0)} ms`);
  }
}

async function large(at) {
  const leaves = 1_000_000;
  for (let n = 0; n < leaves / 20_000; n += 1) {
    const branch = {};
    for (let m = 0; m < 20; m += 1) branch[`b${n * 20 + m}`] = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`k${i}`, i]));
    await at.push({ big: branch });
  }
  await at.push({ flat: Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`/page/${i}`, i])) });
  // What was merged is written down first.
  const share = async (seconds) => {
    const before = cpu(at.child.pid);
    await new Promise((over) => setTimeout(over, seconds * 1000));
    return ((cpu(at.child.pid) - before) / seconds) * 100;
  };
  const rests = Date.now() + 90_000;
  while (await share(4) > 3 && Date.now() < rests);
  const page = await pages(at, "/realtime/?key-big%2Cb1%2Ck1&key-big%2Cb2&key-flat&key-big%2C*%2Ck7");
  await page.evaluate(() => {
    globalThis.slow = [];
    new PerformanceObserver((list) => globalThis.slow.push(...list.getEntries().map(({ name, duration }) => [name, duration])))
      .observe({ type: "event", durationThreshold: 16, buffered: true });
  });
  const shownAfter = async (what, act, seen) => {
    const began = performance.now();
    await act();
    await seen();
    row(what, `${(performance.now() - began).toFixed(0)} ms`);
  };
  const line = (name) => page.getByRole("treeitem", { name }).first();
  await line(/^big/).waitFor();
  await shownAfter("1,000,000 leaves: a branch of 1,000 is opened and shown (with the driver's own time)", () => line(/^big/).click(), () => line(/^b0/).waitFor());
  await shownAfter("a branch within it", () => line(/^b0/).click(), () => line(/^k0/).waitFor());
  await line(/^b0/).focus();
  const pressed = ["ArrowDown", "ArrowDown", "PageDown", "PageDown", "End", "Home", "ArrowDown", "ArrowDown", "PageDown", "Home"];
  const took = () => processes().reduce((sum, pid) => sum + cpu(pid), 0);
  const before = took();
  for (const key of pressed) await page.keyboard.press(key);
  row("a key pressed in the tree: CPU time of the whole browser", `${(((took() - before) / pressed.length) * 1000).toFixed(0)} ms`);
  await line(/^big/).press("ArrowLeft");
  await shownAfter("a branch of 50,000 pages", () => line(/^flat/).click(), () => line(/^\/page\/0/).waitFor());
  for (let n = 0; n < 20; n += 1) {
    await page.locator(".tree").hover();
    await page.mouse.wheel(0, 3_000);
    await page.waitForTimeout(60);
  }
  await shownAfter("a search", () => page.getByRole("combobox", { name: "Find in the tree" }).fill("b77 k99"), () => page.getByRole("option").first().waitFor());
  await page.keyboard.press("Enter");
  await page.waitForTimeout(3_000);
  const slow = await page.evaluate(() => globalThis.slow);
  const worst = slow.sort((a, b) => b[1] - a[1])[0] ?? ["none over 16", 16];
  row("the slowest interaction (Event Timing: input until the next picture)", `${worst[1].toFixed(0)} ms (${worst[0]})`);
  const open = await share(20);
  await page.context().close();
  const closed = await share(20);
  row("the daemon, while this page is open and nothing changes; without it", `${open.toFixed(1)} %, ${closed.toFixed(1)} % of a core`);
}

async function charts(at) {
  const kinds = Array.from({ length: 50 }, (_, n) => `m,h${n},v`);
  const push = () => at.push({ m: Object.fromEntries(kinds.map((_, n) => [`h${n}`, { v: 50 + 30 * Math.sin(Date.now() / 20_000 + n) }])), defaultaction: "last" });
  await push();
  const timer = setInterval(() => { push().catch(() => undefined); }, 1_000);
  // High enough that all of them are drawn.
  const page = await pages(at, `/realtime/?${kinds.map((key) => `key-${encodeURIComponent(key)}`).join("&")}&window=60`, { width: 1920, height: 3_200 });
  await page.locator(".panel canvas").nth(49).waitFor();
  // Some of the lines' length first.
  await page.waitForTimeout(30_000);
  const took = () => processes().reduce((sum, pid) => sum + cpu(pid), 0);
  const [theirs, ours, began] = [took(), cpu(at.child.pid), performance.now()];
  await page.waitForTimeout(20_000);
  const seconds = (performance.now() - began) / 1000;
  const share = (now, before) => `${(((now - before) / seconds) * 100).toFixed(1)} % of a core`;
  row("50 live charts at 1 Hz, all in sight: the browser, all its processes", share(took(), theirs));
  row("the daemon, a push of 50 values a second included", share(cpu(at.child.pid), ours));
  clearInterval(timer);
  await page.context().close();
}
