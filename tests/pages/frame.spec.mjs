// What all pages have: the frame that the daemon serves.

import assert from "node:assert/strict";
import { spec } from "./harness.mjs";

const PAGES = [["/", "Overview"], ["/modules", "Modules"], ["/realtime/", "Realtime"], ["/trend/view/", "Trend"], ["/diff/", "Compare"], ["/setting/view", "Views"]];

spec("every page has its place in the navigation, and one heading", async ({ daemon, open }) => {
  const at = await daemon();
  const page = await open(at, "/realtime/");
  for (const [path, title] of PAGES) {
    await page.goto(at.url + path);
    await page.locator("h1").first().waitFor();
    assert.equal(await page.locator("h1").count(), 1, path);
    assert.equal(await page.locator('nav a[aria-current="page"]').textContent(), title);
    assert.match(await page.title(), /testhost · graftd$/);
  }
});

spec("the theme that is chosen is kept from page to page, before anything is drawn", async ({ daemon, open }) => {
  const at = await daemon();
  const page = await open(at, "/realtime/");
  const paper = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  await page.getByRole("button", { name: "Switch to dark colours" }).waitFor();
  const light = await paper();
  await page.getByRole("button", { name: "Switch to dark colours" }).click();
  const dark = await paper();
  assert.notEqual(dark, light);
  await page.goto(`${at.url}/setting/view`, { waitUntil: "commit" });
  await page.locator("main").waitFor();
  assert.equal(await paper(), dark);
  await page.getByRole("button", { name: "Switch to light colours" }).click();
  assert.equal(await paper(), light);
});

spec("the keyboard comes to the content at once", async ({ daemon, open }) => {
  const at = await daemon();
  const page = await open(at, "/realtime/");
  await page.locator("h1").waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
});
