// The harness itself: nothing is left of what did not start or was given up, and nothing is skipped where all is to be there.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { why } from "./harness.mjs";

const HARNESS = fileURLToPath(new URL("harness.mjs", import.meta.url));

/** Runs a file that uses the harness, with a daemon of paper in place of the real one. */
async function run(daemon, file, env = {}) {
  const root = mkdtempSync(join(tmpdir(), "graftd-harness-"));
  try {
    const [program, spec, pid, temp] = ["daemon", "a.spec.mjs", "pid", "temp"].map((name) => join(root, name));
    mkdirSync(temp);
    writeFileSync(program, `#!/bin/sh\necho $$ > ${pid}\n${daemon}\n`);
    chmodSync(program, 0o755);
    writeFileSync(spec, `import { spec, start } from ${JSON.stringify(HARNESS)};\n${file}\n`);
    const { NODE_TEST_CONTEXT, GRAFTD_PEERS, ...rest } = process.env;
    const child = spawn(process.execPath, ["--test", "--test-reporter=tap", spec], { env: { ...rest, GRAFTD: program, TMPDIR: temp, ...env } });
    let said = "";
    child.stdout.on("data", (text) => { said += text; });
    child.stderr.on("data", (text) => { said += text; });
    const [code] = await once(child, "close");
    const left = readdirSync(temp).filter((name) => name.startsWith("graftd-pages-"));
    let lives = false;
    try { process.kill(Number(readFileSync(pid, "utf8")), 0); lives = true; } catch { /* It ended, or never began. */ }
    return { code, said, left, lives };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const timeout = 60_000;
const READY = 'echo "graftd: ready http=127.0.0.1:9 push=127.0.0.1:9"; exec sleep 300';

test("nothing is left of a daemon that never gets ready", { timeout, skip: why }, async () => {
  const { code, said, left, lives } = await run("exec sleep 300", 'spec("a", async () => { await start({ patience: 500 }); });');
  assert.notEqual(code, 0);
  assert.match(said, /its start took more than 500 ms/);
  assert.deepEqual([left, lives], [[], false]);
});

test("nothing is left of a spec that never ends", { timeout, skip: why }, async () => {
  const { code, said, left, lives } = await run(READY, 'spec("a", async ({ daemon }) => { await daemon(); await new Promise(() => undefined); }, { timeout: 5_000 });');
  assert.notEqual(code, 0);
  assert.match(said, /the spec took more than 5000 ms/);
  assert.deepEqual([left, lives], [[], false]);
});

test("what is missing fails where all is to be there, and is told elsewhere", { timeout, skip: why }, async () => {
  const file = 'spec("a", async () => {});';
  const elsewhere = await run("", file, { GRAFTD: "/nowhere/graftd" });
  assert.equal(elsewhere.code, 0, elsewhere.said);
  assert.match(elsewhere.said, /SKIP.*not built/);
  const there = await run("", file, { GRAFTD: "/nowhere/graftd", GRAFTD_PEERS: "1" });
  assert.notEqual(there.code, 0);
  assert.match(there.said, /not built/);
});
