// The page of views by the keyboard alone: where the focus is when what had it goes; and what comes of changes that follow each other, or fail.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { spec, until } from "./harness.mjs";

const names = (page) => page.locator(".view h2").allTextContents();

spec("views are moved, edited and removed by the keyboard, and the focus is never lost", async ({ daemon, open }) => {
  const at = await daemon();
  for (const name of ["One", "Two", "Three"]) await at.ask(`/setting/view/${name}`, { method: "PUT", body: JSON.stringify({ name, charts: [{ key: "a" }] }), headers: { "Content-Type": "application/json" } });
  const page = await open(at, "/setting/view");
  const focus = (want) => until(() => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent), (name) => name === want, `the focus on ${want}`);
  const order = (want) => until(() => names(page), (all) => all.join() === want, want);
  const press = async (name, key = "Enter") => { await focus(name); await page.keyboard.press(key); };
  await page.getByRole("button", { name: "Move Three up" }).focus();
  await press("Move Three up");
  await order("One,Three,Two");
  // What was done is told, and the next may be.
  await page.getByText("Moved Three.").waitFor();
  await press("Move Three up");
  await order("Three,One,Two");
  // It is at the top: up is out of use.
  await page.getByText("Moved Three.").waitFor();
  await press("Move Three down");
  await order("One,Three,Two");

  await page.getByRole("button", { name: "Edit One" }).focus();
  await press("Edit One");
  await until(() => page.evaluate(() => document.activeElement.value), (value) => value === "One", "the focus in the name");
  await page.getByRole("button", { name: "Cancel" }).focus();
  await press("Cancel");
  await press("Edit One");
  await page.getByLabel("Name").fill("..");
  await page.getByText("is no name for a view").waitFor();
  assert.ok(await page.getByRole("button", { name: "Save" }).isDisabled());
  await page.getByLabel("Name").fill("First");
  await page.keyboard.press("Enter");
  await order("First,Three,Two");
  await focus("Edit First");

  await page.getByRole("button", { name: "Remove Two" }).focus();
  await press("Remove Two");
  await focus("Remove Two");
  await page.keyboard.press("Tab");
  await press("Keep");
  await press("Remove Two");
  await focus("Remove Two");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Keep" }).waitFor({ state: "detached" });
  await press("Remove Two");
  await page.getByRole("button", { name: "Keep" }).waitFor();
  await press("Remove Two");
  await order("First,Three");
  await focus("New view");
});

spec("changes follow each other, and why one failed stands until the next", async ({ daemon, open }) => {
  const at = await daemon();
  for (const name of ["One", "Two", "Three"]) await at.ask(`/setting/view/${name}`, { method: "PUT", body: JSON.stringify({ name, charts: [] }), headers: { "Content-Type": "application/json" } });
  const page = await open(at, "/setting/view", { forgive: [/500/] });
  const kept = async () => (await at.ask("/setting/view")).map(({ name }) => name).join();
  // The first is still under way when the second comes.
  let under = 0;
  let most = 0;
  await page.route("**/setting/view", async (route) => {
    if (route.request().method() !== "POST") return route.continue();
    most = Math.max(most, under += 1);
    await new Promise((go) => setTimeout(go, 150));
    await route.continue();
    under -= 1;
  });
  const up = page.getByRole("button", { name: "Move Three up" });
  await up.click();
  await up.click();
  await until(() => names(page), (all) => all.join() === "Three,One,Two", "both moves");
  await until(kept, (all) => all === "Three,One,Two", "both moves, kept");
  assert.equal(most, 1, "one at a time");
  await page.unroute("**/setting/view");

  let lists = 0;
  await page.route("**/setting/view", (route) => {
    if (route.request().method() === "POST") return route.fulfill({ status: 500, body: '{"error":"the disk is full"}' });
    lists += 1;
    return route.continue();
  });
  await page.getByLabel("A file with views").setInputFiles({ name: "v.json", mimeType: "application/json", buffer: Buffer.from('[{"name":"New","charts":[]}]') });
  await page.getByText("the disk is full").waitFor();
  await until(() => lists, (n) => n > 0, "the list after it");
  await page.waitForLoadState("networkidle");
  assert.equal(await page.getByText("the disk is full").count(), 1);
  await page.unroute("**/setting/view");
  await page.getByRole("button", { name: "Move Two up" }).click();
  await page.getByText("Moved Two.").waitFor();
  assert.equal(await page.getByText("the disk is full").count(), 0);
});

spec("the second click of a double one is no answer, and one answer is sent once", async ({ daemon, open }) => {
  const at = await daemon();
  await at.ask("/setting/view/One", { method: "PUT", body: JSON.stringify({ name: "One", charts: [] }), headers: { "Content-Type": "application/json" } });
  const page = await open(at, "/setting/view", { width: 390, forgive: [/500/] });
  let removals = 0;
  let fails = true;
  await page.route("**/setting/view/One", (route) => {
    removals += 1;
    return fails ? route.fulfill({ status: 500, body: '{"error":"the disk is full"}' }) : route.continue();
  });
  await page.getByRole("button", { name: "Remove One" }).dblclick({ position: { x: 20, y: 10 } });
  await page.getByRole("button", { name: "Keep" }).waitFor();
  assert.equal(removals, 0);
  // What was refused may be tried again.
  await page.getByRole("button", { name: "Remove One" }).focus();
  await page.keyboard.press("Enter");
  await page.getByText("the disk is full").waitFor();
  fails = false;
  await page.keyboard.press("Enter");
  await page.locator(".view").waitFor({ state: "detached" });
  assert.equal(removals, 2);
});

spec("a view that was not saved is saved by the same key again, and once", async ({ daemon, open }) => {
  const at = await daemon();
  const page = await open(at, "/setting/view", { forgive: [/500/] });
  const dialog = await open(at, "/realtime/?key-graftd", { forgive: [/500/] });
  let puts = 0;
  let fails = true;
  const full = async (route) => {
    if (route.request().method() !== "PUT") {
      await sleep(500);
      return route.continue();
    }
    puts += 1;
    return fails ? route.fulfill({ status: 500, body: '{"error":"the disk is full"}' }) : route.continue();
  };
  await page.route("**/setting/view/*", full);
  await dialog.route("**/setting/view/*", full);
  // What is kept comes late: nobody has to wait for that.
  await page.route("**/setting/view", full);
  await dialog.route("**/setting/view", full);

  await page.getByRole("button", { name: "New view" }).click();
  await page.getByLabel("Name").fill("One");
  await page.getByRole("button", { name: "Save" }).press("Enter");
  await page.getByText("the disk is full").waitFor();
  fails = false;
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "One", exact: true }).waitFor();
  assert.equal(puts, 2);

  fails = true;
  await dialog.getByRole("button", { name: "Save as view…" }).click();
  await dialog.getByLabel("Name").fill("Two");
  await dialog.getByRole("dialog").getByRole("button", { name: "Save" }).press("Enter");
  await dialog.getByText("the disk is full").waitFor();
  fails = false;
  await dialog.keyboard.press("Enter");
  await dialog.waitForURL("**/realtime/view/Two");
  assert.equal(puts, 4);
});

spec("who is quicker than the list of views replaces none unseen", async ({ daemon, open }) => {
  const at = await daemon();
  await at.ask("/setting/view/One", { method: "PUT", body: JSON.stringify({ name: "One", charts: [{ key: "a" }] }), headers: { "Content-Type": "application/json" } });
  const page = await open(at, "/realtime/?key-graftd");
  let puts = 0;
  await page.route("**/setting/view/*", (route) => { puts += 1; return route.continue(); });
  let list = () => {};
  const listed = new Promise((done) => { list = done; });
  await page.route("**/setting/view", async (route) => { await listed; return route.continue(); });
  await page.getByRole("button", { name: "Save as view…" }).click();
  await page.getByLabel("Name").fill("One");
  await page.keyboard.press("Enter");
  list();
  await page.getByText("There is a view of this name").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Replace" }).waitFor();
  assert.equal(puts, 0);
  await page.keyboard.press("Enter");
  await page.waitForURL("**/realtime/view/One");
  assert.equal(puts, 1);
  assert.deepEqual((await at.ask("/setting/view"))[0].charts.map(({ key }) => key), ["graftd"]);
});
