// What a browser has to fetch for all pages together.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const DIST = join(dirname(fileURLToPath(import.meta.url)), "../../host/web/dist");
/** Bytes of all scripts and styles, gzipped. */
const MOST = 120_000;

test("all scripts and styles together are small", { skip: existsSync(join(DIST, "manifest.json")) ? false : "the pages are not built (make web)" }, () => {
  const packed = readdirSync(DIST).filter((name) => /\.(js|css)\.gz$/.test(name));
  const bytes = packed.reduce((sum, name) => sum + statSync(join(DIST, name)).size, 0);
  console.log(`scripts and styles: ${bytes} bytes gzipped, in ${packed.length} files`);
  assert.ok(packed.length > 6 && bytes < MOST, `${bytes} bytes`);
});

test("nothing in them is fetched from elsewhere", { skip: existsSync(join(DIST, "manifest.json")) ? false : "the pages are not built (make web)" }, () => {
  for (const name of readdirSync(DIST).filter((name) => /\.(js|css)$/.test(name))) {
    const hosts = readFileSync(join(DIST, name), "utf8").match(/(?:https?:)?\/\/[a-z0-9-]+\.[a-z]{2,}[^"'`\s)]*/g) ?? [];
    // Namespaces are names, not addresses.
    assert.deepEqual(hosts.filter((host) => !host.includes("www.w3.org")), [], name);
  }
});
