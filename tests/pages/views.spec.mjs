// Views: kept from the realtime page, opened again, changed and taken along on their own page.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { shots, spec, until } from "./harness.mjs";

const panel = (page, name) => page.getByRole("article", { name, exact: true });
const names = (page) => page.locator(".view h2").allTextContents();

spec("what is shown is saved as a view and opened again, after a restart as well", async ({ daemon, open }) => {
  const at = await daemon();
  await at.push({ cpu: { a: { idle: 90 }, b: { idle: 70 } }, load: 1, defaultaction: "average" });
  const page = await open(at, "/realtime/?key-cpu%2C%2Cidle&key-load&window=900", { forgive: [/ERR_/] });
  await panel(page, "load").waitFor();
  await page.getByRole("button", { name: "Save as view…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("Ops / <b>main</b>");
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.waitForURL("**/realtime/view/**");
  await page.getByRole("heading", { name: "Ops / <b>main</b>" }).waitFor();
  await panel(page, "cpu › (all) › idle").waitFor();
  const address = page.url();
  await at.restart();
  const again = await open(at, new URL(address).pathname, { forgive: [/ERR_/] });
  await panel(again, "cpu › (all) › idle").waitFor();
  await panel(again, "load").waitFor();
  assert.equal(await again.getByLabel("Window").inputValue(), "900");
  // One chart less is a change, until it is saved.
  await panel(again, "load").getByRole("button", { name: "Remove load" }).click();
  await again.getByText("changed").waitFor();
  await again.getByRole("button", { name: "Save as view…" }).click();
  const loaded = again.waitForEvent("load");
  await again.getByRole("dialog").getByRole("button", { name: "Replace" }).click();
  await loaded;
  await until(async () => (await at.ask("/setting/view"))[0].charts.length, (n) => n === 1, "the view with one chart");
}, { timeout: 90_000 });

spec("a view that is not there says so", async ({ daemon, open }) => {
  const at = await daemon();
  const page = await open(at, "/realtime/view/nope");
  await page.getByText("There is no view called “nope”.").waitFor();
  await page.getByRole("link", { name: "All views" }).click();
  await page.getByText("There are no views yet.").waitFor();
});

spec("views are made, renamed, moved, edited and removed", async ({ daemon, open }) => {
  const at = await daemon();
  const page = await open(at, "/setting/view");
  const make = async (name, charts) => {
    await page.getByRole("button", { name: "New view" }).click();
    await page.getByLabel("Name").fill(name);
    await page.getByLabel("Charts").fill(charts);
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("link", { name, exact: true }).waitFor();
  };
  await make("One", "cpu,,idle\nload,*,one");
  await make("Two", "deploys");
  await page.getByRole("button", { name: "Move Two up" }).click();
  await until(() => names(page), (all) => all.join() === "Two,One", "the other order");
  await page.getByRole("button", { name: "Edit One" }).click();
  await page.getByLabel("Name").fill("First");
  await page.getByLabel("Charts").fill("cpu,,idle");
  await page.getByRole("button", { name: "Save" }).click();
  await until(() => names(page), (all) => all.join() === "Two,First", "the new name");
  const kept = await at.ask("/setting/view");
  assert.deepEqual(kept.map(({ name, charts }) => [name, charts.map(({ key }) => key)]), [["Two", ["deploys"]], ["First", ["cpu,,idle"]]]);
  await page.getByRole("button", { name: "Remove Two" }).click();
  await page.getByRole("button", { name: "Keep" }).click();
  await page.getByRole("button", { name: "Remove Two" }).click();
  await page.getByRole("button", { name: "Remove Two" }).click();
  await until(() => names(page), (all) => all.join() === "First", "one view");
  await page.reload();
  await until(() => names(page), (all) => all.join() === "First", "one view after a reload");
});

spec("who comes too late with a change is told, and sees what somebody else made of it", async ({ daemon, open }) => {
  const at = await daemon();
  const put = (name) => at.ask(`/setting/view/${name}`, { method: "PUT", body: JSON.stringify({ charts: [] }) });
  await put("One");
  await put("Two");
  const page = await open(at, "/setting/view", { forgive: [/412/] });
  await page.getByRole("link", { name: "Two", exact: true }).waitFor();
  await put("Three");
  await page.getByRole("button", { name: "Move Two up" }).click();
  await page.getByText("changed meanwhile").waitFor();
  await until(() => names(page), (all) => all.join() === "One,Two,Three", "what is kept");
  await page.getByRole("button", { name: "Move Two up" }).click();
  await until(() => names(page), (all) => all.join() === "Two,One,Three", "the other order");
  assert.equal(await page.getByText("changed meanwhile").count(), 0);
});

spec("a form replaces nothing that it has not shown, and what is typed is kept", async ({ daemon, open }) => {
  const at = await daemon();
  const put = (name, key) => at.ask(`/setting/view/${name}`, { method: "PUT", body: JSON.stringify({ charts: [{ key }] }) });
  const charts = async (name) => (await at.ask("/setting/view")).find((one) => one.name === name)?.charts.map(({ key }) => key).join();
  await put("One", "a");
  await put("Two", "b");
  const page = await open(at, "/setting/view", { forgive: [/412/] });
  await page.getByRole("button", { name: "Edit One" }).click();
  await page.getByLabel("Charts").fill("a\nmine");
  await put("One", "theirs");
  const save = page.getByRole("button", { name: "Save" });
  await save.click();
  await page.getByText("Somebody has changed it meanwhile, to: theirs.").waitFor();
  assert.ok(await save.isDisabled());
  await page.getByRole("button", { name: "Keep mine" }).click();
  await save.click();
  await until(() => charts("One"), (all) => all === "a,mine", "what was kept");
  // Another change of this page looks anew, and shows it as well.
  await page.getByRole("button", { name: "Edit One" }).click();
  await page.getByLabel("Charts").fill("late");
  await put("One", "more");
  await page.getByRole("button", { name: "Move Two up" }).click();
  await page.getByText("Somebody has changed it meanwhile, to: more.").waitFor();
  assert.ok(await save.isDisabled());
  await page.getByRole("button", { name: "Take that" }).click();
  assert.equal(await page.getByLabel("Charts").inputValue(), "more");
  await page.getByLabel("Charts").fill("more\nlate");
  await at.ask("/setting/view/One", { method: "DELETE" });
  await save.click();
  await page.getByText("It was renamed or removed meanwhile.").waitFor();
  assert.equal(await page.getByLabel("Charts").inputValue(), "more\nlate");
  await page.getByRole("button", { name: "Keep mine" }).click();
  await save.click();
  await until(() => charts("One"), (all) => all === "more,late", "the view again");
});

spec("who replaces a view that somebody has changed since is told before", async ({ daemon, open }) => {
  const at = await daemon();
  const put = (key) => at.ask("/setting/view/One", { method: "PUT", body: JSON.stringify({ charts: [{ key }] }) });
  await put("a");
  const page = await open(at, "/realtime/view/One", { forgive: [/Failed to load resource/] });
  await panel(page, "a").waitFor();
  await put("theirs");
  await page.route("**/setting/view", (route) => route.fulfill({ status: 503, json: { error: "not now" } }));
  await page.getByRole("button", { name: "Save as view…" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("alert").waitFor();
  assert.ok(await dialog.getByRole("button", { name: "Save", exact: true }).isDisabled());
  await page.unroute("**/setting/view");
  await dialog.getByRole("button", { name: "Try again" }).click();
  await dialog.getByText("Somebody has changed this view").waitFor();
  assert.ok(await dialog.getByRole("button", { name: "Replace" }).isEnabled());
});

spec("views are taken along as JSON and brought back", async ({ daemon, open }) => {
  const at = await daemon();
  const page = await open(at, "/setting/view");
  await page.getByText("There are no views yet.").waitFor();
  await shots(page, "views-empty");
  const views = [{ name: "مرحبا <i>", charts: [{ key: "cpu,,idle" }] }, { name: "Web", charts: Array.from({ length: 9 }, (_, n) => ({ key: `self,url,/${n}` })) }];
  const file = (text) => ({ name: "views.json", mimeType: "application/json", buffer: Buffer.from(text) });
  await page.getByLabel("A file with views").setInputFiles(file("{}"));
  await page.getByText("no list of views").waitFor();
  await page.getByLabel("A file with views").setInputFiles(file(JSON.stringify(views)));
  await until(() => names(page), (all) => all.join() === "مرحبا <i>,Web", "both views");
  const [taken] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Export" }).click()]);
  const told = JSON.parse(readFileSync(await taken.path(), "utf8"));
  assert.deepEqual(told.map(({ name, charts }) => [name, charts.map(({ key }) => key)]), views.map(({ name, charts }) => [name, charts.map(({ key }) => key)]));
  await shots(page, "views");
});
