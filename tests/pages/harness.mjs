// What the specs of the pages share: the real daemon on free ports in a folder of its own, and Debian's Chromium in front of it.
//
//   spec("what is to be seen", async ({ daemon, open }) => {
//     const at = await daemon({ plugins: ["cpu"], tick: "100ms" });
//     await at.push({ deploys: { shop: 1 } });
//     const page = await open(at, "/realtime/");
//     await page.getByRole("treeitem", { name: /deploys/ }).waitFor();
//   });
//
// Whatever a spec started ends with it. A script's error, one on the console, or a request to another host fails it. Where there is no
// Chromium, or no built daemon, specs are skipped and say why; where GRAFTD_PEERS says that all is installed, they fail. GRAFTD names
// another daemon, GRAFTD_WEB a folder to serve the pages from, GRAFTD_LATE the most (ms) by which each answer is to come later than it does.

import assert from "node:assert/strict";
import { spawn, execFileSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const TARGET = resolve(ROOT, process.env.CARGO_TARGET_DIR || "target");
/** The daemon that is tried. */
export const GRAFTD = process.env.GRAFTD || join(TARGET, "release/graftd");
const CHROMIUM = (process.env.PATH ?? "").split(":").concat("/usr/bin").filter(Boolean)
  .flatMap((folder) => ["chromium", "chromium-browser"].map((name) => join(folder, name))).find((path) => existsSync(path));
/** Where screenshots go. */
export const OUT = join(TARGET, "pages");
/** The host's name in the paths of every daemon here. */
export const HOST = "testhost";

const require = createRequire(join(ROOT, "host/web/package.json"));
const have = (name) => { try { return require(name); } catch { return null; } };
const playwright = have("playwright-core");

/** Why nothing can be tried here; false where it can. */
export const why = !CHROMIUM ? "there is no Chromium here (apt-get install chromium)"
  : !playwright ? "playwright-core is not installed (make web)"
  : !existsSync(GRAFTD) ? `${GRAFTD} is not built (make build-all)` : false;

let browser = null;
/** Daemons that were started and not dropped, as by a spec that was given up. */
const daemons = new Set();
after(async () => {
  // One that does not close is ended with this process.
  await within(browser?.close(), CLOSE_MAX, "the browser's end").catch(() => setTimeout(() => process.exit(), CLOSE_MAX));
  for (const at of daemons) await at.drop("SIGKILL");
});

/** A daemon is ready after so long (ms), and a page has what is waited for; a spec has room for more than one of them. */
const READY_MAX = 20_000;
const WAIT_MAX = 20_000;
/** A daemon that was told to end does so in this time (ms). */
const END_MAX = 15_000;
/** A page is closed in this time (ms): Chromium may never close one that is just loaded anew. */
const CLOSE_MAX = 5_000;
/** What a spec has to clear away what it has (ms), when its time is over, before the runner gives it up. */
const CLEARING = 30_000;

/** What `promise` gives, unless it takes so long. */
async function within(promise, ms, what) {
  let timer;
  const late = new Promise((_, fail) => { timer = setTimeout(() => fail(new Error(`${what} took more than ${ms} ms`)), ms); });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Every answer comes by up to so much (ms) later than it does: what a spec takes for granted about their order shows. */
const LATE = Number(process.env.GRAFTD_LATE ?? 0);

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
  "--disable-sync", "--disable-dev-shm-usage"];

/** The browser that all specs of a file share. */
export async function chromium() {
  browser ??= await playwright.chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  return browser;
}

/** Starts a daemon and waits until it listens. `settings` are further lines of graftd.conf, `conf` files of the conf folder by name. */
export async function start({ plugins = [], conf = {}, tick = "100ms", settings = "", args = [], web = process.env.GRAFTD_WEB, patience = READY_MAX } = {}) {
  const root = mkdtempSync(join(tmpdir(), "graftd-pages-"));
  chmodSync(root, 0o755);
  const folder = (name) => {
    const path = join(root, name);
    mkdirSync(path, { mode: 0o755 });
    return path;
  };
  const folders = { conf: folder("conf"), plugins: folder("plugins"), data: folder("data") };
  const file = (path, text) => { writeFileSync(path, text); chmodSync(path, 0o644); };
  file(join(folders.conf, "graftd.conf"), `host = "${HOST}"\ntick = "${tick}"\n${settings}\n`);
  for (const [name, text] of Object.entries(conf)) file(join(folders.conf, name), text);
  for (const name of plugins) {
    copyFileSync(join(ROOT, `plugins/${name}.so`), join(folders.plugins, `${name}.so`));
    chmodSync(join(folders.plugins, `${name}.so`), 0o644);
  }
  const at = { root, folders, url: "", pushes: "", stderr: "", child: null };
  at.begin = async () => {
    const listens = at.url === "" ? "127.0.0.1:0" : new URL(at.url).host;
    const all = ["run", "--conf", folders.conf, "--plugins", folders.plugins, "--data", folders.data, "--http", listens, "--push", at.pushes || "127.0.0.1:0",
      ...(web ? ["--web", web] : []), ...args];
    const child = spawn(GRAFTD, all, { stdio: ["ignore", "pipe", "pipe"] });
    at.child = child;
    child.stderr.on("data", (text) => { at.stderr += text; });
    const lines = createInterface({ input: child.stdout });
    const ended = new Promise((done) => { child.once("exit", (code) => done([`it ended with ${code}`])); child.once("error", (error) => done([String(error)])); });
    const [line] = await within(Promise.race([once(lines, "line"), ended]), patience, "its start");
    const found = /^graftd: ready http=(\S+) push=(\S+)/.exec(line);
    assert.ok(found, `${line}\n${at.stderr}`);
    at.url = `http://${found[1]}`;
    at.pushes = found[2];
  };
  /** Ends it, kindly unless a signal is named; its folders stay. */
  at.end = async (signal = "SIGTERM") => {
    const child = at.child;
    if (!child || child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill(signal);
    try {
      await within(gone, END_MAX, "its end");
    } catch (error) {
      child.kill("SIGKILL");
      await gone;
      throw error;
    }
  };
  /** Ends it and starts it again, on the same ports and folders. */
  at.restart = async (signal) => { await at.end(signal); await at.begin(); };
  at.drop = async (signal) => {
    daemons.delete(at);
    try {
      await at.end(signal);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  };
  at.ask = async (path, init = {}) => {
    const { headers, ...rest } = init;
    const response = await fetch(at.url + path, { headers: { Accept: "application/json", ...headers }, ...rest });
    const text = await response.text();
    assert.ok(response.ok, `${path}: ${response.status} ${text}`);
    return text === "" ? null : JSON.parse(text);
  };
  /** Merges a document. */
  at.push = (document) => at.ask("/push", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(document) });
  daemons.add(at);
  try {
    await at.begin();
  } catch (error) {
    await at.drop("SIGKILL");
    throw error;
  }
  return at;
}

/** What a spec gets. */
function bench(cleanup) {
  const faults = [];
  const daemon = async (options) => {
    const at = await start(options);
    cleanup.push(() => at.drop());
    return at;
  };
  /** Opens a page. `theme`, `width`, `height` and `zone` (of the clock) as a user has them; `forgive` are errors that are to be expected. */
  const open = async (at, path, { theme = "light", width = 1280, height = 800, zone, forgive = [] } = {}) => {
    const context = await (await chromium()).newContext({ viewport: { width, height }, colorScheme: theme, reducedMotion: "reduce", ...(zone ? { timezoneId: zone } : {}) });
    cleanup.push(() => within(context.close(), CLOSE_MAX, "closing a page"));
    context.setDefaultTimeout(WAIT_MAX);
    if (LATE) await context.route("**", async (route) => { await sleep(Math.random() * LATE); await route.continue().catch(() => undefined); });
    const page = await context.newPage();
    const fault = (text) => { if (!forgive.some((one) => one.test(text))) faults.push(text); };
    page.on("pageerror", (error) => fault(`a script's error: ${error.stack ?? error}`));
    page.on("console", (message) => { if (message.type() === "error") fault(`on the console: ${message.text()} ${message.location().url.slice(0, 300)}`); });
    page.on("request", (request) => {
      const { protocol, host } = new URL(request.url());
      if (protocol.startsWith("http") && host !== new URL(at.url).host) fault(`a request to ${request.url().slice(0, 200)}`);
    });
    await page.goto(at.url + path);
    return page;
  };
  return { daemon, open, faults };
}

/** A test with a daemon and a browser. */
export function spec(name, run, { timeout = 60_000, skip = process.env.GRAFTD_PEERS ? false : why } = {}) {
  test(name, { timeout: timeout + CLEARING, skip }, async () => {
    if (!skip && why) assert.fail(why);
    const cleanup = [];
    const { faults, ...given } = bench(cleanup);
    try {
      await within(run(given), timeout, "the spec");
      assert.deepEqual(faults, []);
    } finally {
      for (const one of cleanup.reverse()) await one().catch(() => undefined);
    }
  });
}

/** That axe finds nothing serious. */
export async function accessible(page) {
  await page.evaluate(readFileSync(require.resolve("axe-core/axe.min.js"), "utf8"));
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const told = serious.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 200)).join(" | ")}`);
  assert.deepEqual(told, []);
}

/** Screenshots of a page, light, dark and on a phone, as OUT/NAME-light.png and so on; and axe looks at each. */
export async function shots(page, name, settle = async () => {}) {
  mkdirSync(OUT, { recursive: true });
  const size = page.viewportSize();
  for (const [kind, theme, width, height] of [["light", "light", 1280, 800], ["dark", "dark", 1280, 800], ["phone", "light", 390, 844]]) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    await settle(kind);
    await accessible(page);
    await page.screenshot({ path: join(OUT, `${name}-${kind}.png`) });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(wide <= 1, `${name}-${kind}: the page is ${wide} px wider than what shows it`);
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(size);
}

/** Keys that would break a page that took them for markup, or for short. */
export const HOSTILE = [
  "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\u202egnp.exe", "مرحبا بالعالم", "👩‍👩‍👧‍👦🦀", "a,b*c%d", "tab\tnew\nline", "x".repeat(10_000),
];

/** A key as a page writes it: what would turn other letters round is seen as what it is. */
export const seen = (key) => key.replace(/[\u202a-\u202e\u2066-\u2069]/g, "\ufffd");

/** Waits until what `look` gives passes `check`; tells what it gave last. */
export async function until(look, check, what = "it", most = 10_000) {
  const end = Date.now() + most;
  for (;;) {
    const last = await look();
    if (check(last)) return last;
    if (Date.now() > end) assert.fail(`${what} did not come; it was ${JSON.stringify(last)?.slice(0, 500)}`);
    await new Promise((again) => setTimeout(again, 25));
  }
}

/** The CPU time (s) that a process has taken; 0 where it has ended. */
export function cpu(pid) {
  try {
    const [utime, stime] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ").slice(11, 13);
    return (Number(utime) + Number(stime)) / Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
  } catch {
    return 0;
  }
}
