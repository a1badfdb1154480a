// The modules page: who lives here, and the switches.

import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HOSTILE, seen, shots, spec, until } from "./harness.mjs";

const row = (page, name) => page.locator("table.modules tbody", { has: page.getByRole("button", { name, exact: true }) });
const state = (page, name) => row(page, name).locator(".badge").innerText();
const becomes = (page, name, wanted) => until(() => state(page, name), (text) => text === wanted, `${name} ${wanted}`);
const OFFLINE = [/ERR_CONNECTION|Failed to load resource|ERR_INCOMPLETE/];

spec("a module is switched off and on, and whoever looks sees it", async ({ daemon, open }) => {
  const at = await daemon({ plugins: ["load", "memory"], conf: { "load.on": 'every = "1s"\n' } });
  const page = await open(at, "/modules");
  const other = await open(at, "/modules");
  await becomes(page, "load", "running");
  await becomes(other, "load", "running");
  await page.getByRole("button", { name: "Switch load off" }).click();
  await becomes(page, "load", "off");
  assert.ok(existsSync(join(at.folders.conf, "load.off")));
  await becomes(other, "load", "off");
  assert.equal(await state(page, "memory"), "running");
  await other.locator(".changes li").first().filter({ hasText: /load\s*off/ }).waitFor();
  // By the keyboard alone, from where the hand is.
  const on = page.getByRole("button", { name: "Switch load on" });
  await on.focus();
  await page.keyboard.press("Enter");
  await becomes(page, "load", "running");
  await page.keyboard.press("Enter");
  await becomes(page, "load", "off");
  await page.keyboard.press("Enter");
  await becomes(page, "load", "running");
  assert.ok(existsSync(join(at.folders.conf, "load.on")));
  await page.getByRole("button", { name: "Reload load" }).click();
  await until(() => page.locator(".changes li").allInnerTexts(), (all) => all.filter((line) => /load\s*probing/.test(line)).length >= 2, "the reload");
});

spec("what is wrong is told with its way out, and seen to be mended", async ({ daemon, open }) => {
  const at = await daemon({ plugins: ["load"], conf: { "load.on": 'evry = "1s"\n' } });
  const page = await open(at, "/modules");
  await becomes(page, "load", "rejected");
  await row(page, "load").getByText('did you mean "every"?').waitFor();
  writeFileSync(join(at.folders.conf, "load.on"), 'every = "1s"\n');
  await becomes(page, "load", "running");
  await page.getByRole("button", { name: "load", exact: true }).click();
  const more = row(page, "load").locator(".module-more");
  await more.getByText("one", { exact: true }).waitFor();
  await more.getByRole("link", { name: /load › / }).waitFor();
  // Only those that are asked for.
  await page.getByRole("searchbox").fill("nobody");
  await page.getByText("None of them has that.").waitFor();
  await page.getByRole("button", { name: "Show all" }).click();
  await row(page, "load").waitFor();
});

spec("a lost daemon is told, and heals", async ({ daemon, open }) => {
  const at = await daemon({ plugins: ["load"] });
  const page = await open(at, "/modules", { forgive: OFFLINE });
  await becomes(page, "load", "running");
  await at.end();
  await page.getByText("Trying again; what is shown is from before.").waitFor();
  await page.getByRole("button", { name: "Switch load off" }).click();
  await row(page, "load").getByRole("alert").filter({ hasText: "does not answer" }).waitFor();
  await at.begin();
  await until(() => page.getByText("Trying again").count(), (n) => n === 0, "the daemon", 20_000);
  await page.getByRole("button", { name: "Switch load off" }).click();
  await becomes(page, "load", "off");
});

spec("hostile names and reasons are text", async ({ daemon, open }) => {
  const names = HOSTILE.filter((name) => !name.includes("/") && name.length < 200 && !/[\t\n]/.test(name));
  const conf = Object.fromEntries(names.map((name) => [`${name}.on`, `"${"<b>".repeat(3)}" = 1\n`]));
  const at = await daemon({ conf });
  const page = await open(at, "/modules");
  page.on("dialog", () => assert.fail("a dialog"));
  const listed = (await at.ask("/modules")).map(({ name }) => name);
  assert.ok(listed.includes("<img src=x onerror=alert(1)>"), JSON.stringify(listed));
  for (const name of listed) await page.locator("table.modules .module-name bdi", { hasText: seen(name) }).first().waitFor();
  assert.equal(await page.locator("main script, main img").count(), 0);
  await page.getByRole("button", { name: "Switch <img src=x onerror=alert(1)> off" }).click();
  await until(() => page.locator("table.modules tbody", { hasText: "<img src=x" }).locator(".badge").innerText(), (text) => text === "off", "the switch");
  await shots(page, "modules-hostile");
});

spec("how it looks", async ({ daemon, open }) => {
  const at = await daemon({
    plugins: ["cpu", "load", "memory", "network", "status", "url", "visitors"],
    conf: { "cpu.on": 'every = "1s"\n', "network.on": 'evry = "1s"\n', "memory.off": "" },
  });
  const page = await open(at, "/modules");
  await becomes(page, "cpu", "running");
  await shots(page, "modules");
  await page.getByRole("button", { name: "cpu", exact: true }).click();
  await row(page, "cpu").locator(".module-more").getByText("idle").waitFor();
  await shots(page, "modules-open");
});
