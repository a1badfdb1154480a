// The front page: what lives here in ten seconds, and the first value.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { HOST, HOSTILE, accessible, shots, spec, until } from "./harness.mjs";

const tile = (page, name) => page.locator(".tiles > div", { has: page.getByText(name, { exact: true }) }).locator("dd").innerText();
const OFFLINE = [/ERR_CONNECTION|Failed to load resource|ERR_INCOMPLETE/];

spec("a newcomer sees what lives here, and brings the first value by the line that is shown", async ({ daemon, open }) => {
  const at = await daemon({ plugins: ["load"] });
  const page = await open(at, "/");
  await page.getByRole("heading", { level: 1, name: HOST }).waitFor();
  await page.getByText("Ready", { exact: true }).waitFor();
  await page.getByText("All is well.").waitFor();
  assert.equal(await tile(page, "Hosts"), "1");
  await page.getByRole("region", { name: "Hosts" }).or(page.locator("section[aria-labelledby=hosts]")).getByText(HOST).first().waitFor();
  await page.getByText("As soon as it is here, this line says so.").waitFor();
  const line = await page.getByLabel("push a value", { exact: true }).innerText();
  assert.ok(line.includes(`${at.url}/push`), line);
  assert.equal(JSON.parse(execFileSync("sh", ["-c", `${line} --silent`], { encoding: "utf8" })).merged, 1);
  await page.getByText("It is here:").waitFor();
  await page.locator("section[aria-labelledby=branches]").getByRole("link", { name: "deploys" }).waitFor();
  execFileSync("sh", ["-c", `${line} --silent`]);
  await until(() => page.locator(".arrived b").innerText(), (text) => text === "2", "the second push");
  const back = await page.getByLabel("read it back", { exact: true }).innerText();
  assert.deepEqual(JSON.parse(execFileSync("sh", ["-c", `${back} --silent`], { encoding: "utf8" })), [{ "deploys,shop": 2 }]);
});

spec("what wants somebody is said first, and a lost daemon is told and heals", async ({ daemon, open }) => {
  const at = await daemon({ plugins: ["load"], conf: { "load.on": 'evry = "1s"\n' } });
  const page = await open(at, "/", { forgive: OFFLINE });
  await page.getByRole("link", { name: "1 module wants attention: load" }).waitFor();
  await at.end();
  await page.getByText("Trying again; what is shown is from before.").waitFor();
  assert.equal(await page.getByRole("heading", { name: "Busiest branches" }).count(), 1);
  await at.begin();
  await until(() => page.getByText("Trying again").count(), (n) => n === 0, "the daemon", 20_000);
  await at.push({ after: 1 });
  await page.getByRole("link", { name: "after", exact: true }).waitFor();
});

spec("hostile keys are text", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push(Object.fromEntries(HOSTILE.map((key) => [key, 1])));
  await at.push({ cpu: Object.fromEntries(HOSTILE.map((key) => [key, { idle: 1 }])) });
  const page = await open(at, "/");
  page.on("dialog", () => assert.fail("a dialog"));
  await page.getByRole("link", { name: "<script>alert(1)</script>", exact: true }).first().waitFor();
  await page.getByRole("link", { name: "<img src=x onerror=alert(1)>", exact: true }).first().waitFor();
  assert.equal(await page.locator("main script, main img").count(), 0);
  await shots(page, "front-hostile");
});

spec("how it looks", async ({ daemon, open }) => {
  const at = await daemon({ plugins: ["cpu", "load", "status", "url", "visitors"], conf: { "cpu.on": 'every = "1s"\n' } });
  // It may not be ready yet.
  const page = await open(at, "/", { forgive: [/503.*\/readyz/] });
  await page.getByText("All is well.").waitFor();
  await shots(page, "front-empty");
  await at.push({ deploys: { shop: 3 }, orders: { shop: { eu: 12_345, us: 54_321 } } });
  await page.getByRole("link", { name: "orders" }).waitFor();
  await shots(page, "front");
  await accessible(page);
});
