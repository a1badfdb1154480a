// Makes dist/ of src/: a script for each page and what they share, named by their content, packed beside; and
// manifest.json, which says what a page needs. `node build.mjs --watch` makes it anew whenever a file is saved.
import { build, context } from "esbuild";
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "dist");
const watching = process.argv.includes("--watch");
const PAGES = ["front", "realtime", "trend", "diff", "modules", "views"];

const shared = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  sourcemap: false,
  target: ["es2022"],
  legalComments: "none",
  logLevel: "warning",
  write: false,
  metafile: true,
  outdir: "dist",
  entryNames: "[name]-[hash]",
  chunkNames: "part-[hash]",
  assetNames: "[name]-[hash]",
  loader: { ".svg": "file" },
};

// The pages, as modules that share their parts; and beside them what stands in the head of each, before anything is drawn.
const scripts = {
  ...shared,
  entryPoints: PAGES.map((page) => `src/pages/${page}.tsx`),
  format: "esm",
  splitting: true,
  jsx: "automatic",
  jsxImportSource: "preact",
};
const head = { ...shared, entryPoints: ["src/head.ts", "src/style.css", "src/icon.svg"], format: "iife" };

/** The parts that a module needs before it runs, its own first, by their names in dist. */
function needs(outputs, file, found = new Set()) {
  for (const { path, kind } of outputs[file].imports) {
    if (kind === "import-statement" && !found.has(path)) {
      found.add(path);
      needs(outputs, path, found);
    }
  }
  return [...found].map((path) => basename(path));
}

/** Writes what differs: files that stay the same keep their time, and nothing is built anew for them. */
async function put(name, bytes) {
  const path = join(dist, name);
  const there = await readFile(path).catch(() => null);
  if (there === null || !there.equals(bytes)) await writeFile(path, bytes);
}

function packed(bytes) {
  const quality = watching ? 5 : 11;
  return [
    [".gz", gzipSync(bytes, { level: watching ? 6 : 9 })],
    [".br", brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: quality } })],
  ];
}

async function write(results) {
  await mkdir(dist, { recursive: true });
  const outputs = Object.assign({}, ...results.map((result) => result.metafile.outputs));
  const manifest = { pages: {}, head: {} };
  const kept = new Set([".gitignore", "manifest.json"]);
  for (const file of results.flatMap((result) => result.outputFiles)) {
    const name = basename(file.path);
    const bytes = Buffer.from(file.contents);
    // What comes out of a file loader's own module is nobody's.
    const entry = outputs[`dist/${name}`]?.entryPoint;
    if (entry === "src/icon.svg" && name.endsWith(".js")) continue;
    if (entry?.startsWith("src/pages/")) {
      manifest.pages[basename(entry, ".tsx")] = { script: name, parts: needs(outputs, `dist/${name}`) };
    } else if (entry === "src/head.ts") {
      manifest.head.script = name;
    } else if (entry === "src/style.css") {
      manifest.head.style = name;
    } else if (name.startsWith("icon-")) {
      manifest.head.icon = name;
    }
    for (const [ending, text] of [["", bytes], ...packed(bytes)]) {
      kept.add(name + ending);
      await put(name + ending, text);
    }
  }
  const text = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
  // Last: whoever reads it finds the files that it names.
  await put("manifest.json", text);
  for (const name of await readdir(dist)) {
    if (!kept.has(name)) await rm(join(dist, name));
  }
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}

if (watching) {
  const latest = [null, null];
  const told = (at) => ({
    name: "write",
    setup(building) {
      building.onEnd(async (result) => {
        if (result.errors.length > 0) return;
        latest[at] = result;
        if (latest.every(Boolean)) console.log(`built ${await write(latest)}`);
      });
    },
  });
  for (const [at, options] of [scripts, head].entries()) {
    await (await context({ ...options, plugins: [told(at)] })).watch();
  }
} else {
  await write(await Promise.all([build(scripts), build(head)]));
}
