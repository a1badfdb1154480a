// Runs src/**/*.test.ts: bundled, for Node.js alone reads no TypeScript, and then by its own test runner.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = mkdtempSync(join(here, "node_modules", ".tests-"));
try {
  const tests = readdirSync(join(here, "src"), { recursive: true }).filter((file) => /\.test\.tsx?$/.test(file));
  await build({
    absWorkingDir: here, entryPoints: tests.map((file) => join("src", file)), outdir: out, outExtension: { ".js": ".mjs" }, outbase: "src",
    bundle: true, platform: "node", format: "esm", target: "node18", jsx: "automatic", jsxImportSource: "preact", logLevel: "warning",
    loader: { ".css": "empty" }, sourcemap: "inline",
  });
  const built = readdirSync(out, { recursive: true }).filter((file) => file.endsWith(".mjs")).map((file) => join(out, file));
  process.exitCode = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...built], { stdio: "inherit" }).status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
