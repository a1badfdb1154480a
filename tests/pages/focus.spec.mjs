// Where the focus is when what had it goes: on the page of views, by the keyboard alone.

import assert from "node:assert/strict";
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
  await page.getByRole("button", { name: "Keep" }).waitFor();
  await press("Remove Two");
  await order("First,Three");
  await focus("New view");
});
