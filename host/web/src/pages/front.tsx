// What lives here, for somebody who has ten seconds; and how to bring the first value.

import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../lib/api.ts";
import { bytes, cut, duration, exact, short } from "../lib/format.ts";
import { pageLive } from "../lib/pagelive.ts";
import { counted, isTrouble } from "../lib/modules.ts";
import { mount } from "../lib/mount.ts";
import { type Branch, type Host, type Log, type Overview, overview } from "../lib/overview.ts";
import { daemon } from "../lib/page.ts";
import { inPath, keyArgument } from "../lib/path.ts";
import { useAsked, useOffline } from "../parts/refresh.tsx";
import { Broken, Loading, Offline } from "../parts/states.tsx";

const live = pageLive();
const OWN = `graftd,${inPath(daemon.host)}`;
/** How often all of it is asked for (ms). */
const EVERY = 2_000;
const BRANCHES = 12;
const HOSTS = 24;
const LOGS = 12;
/** A host is silent when nothing was told of it for so many ticks. */
const SILENT = 60;
const FIRST = "deploys,shop";
/** What a button has done is told for so long (ms). */
const SAID = 2_000;

/** `3 hosts`, `1 host`. */
function many(n: number, what: string): string {
  return `${short(n)} ${what}${n === 1 ? "" : what.endsWith("ch") ? "es" : "s"}`;
}

function Front() {
  const before = useRef<Overview | null>(null);
  const { value, error, again } = useAsked(async (signal) => {
    const now = await overview(daemon.host, before.current, signal);
    before.current = now;
    return now;
  }, live, OWN, EVERY);
  const offline = useOffline(live);
  return (
    <>
      <Offline why={offline} />
      <h1><bdi>{cut(daemon.host, 80)}</bdi></h1>
      {value === null && (error === null ? <Loading what="Asking what lives here" /> : <Broken error={error} retry={again} />)}
      {value !== null && <Sum now={value} />}
      <div class="front">
        {value !== null && (
          <div class="front-lives">
            <Hosts hosts={value.hosts} />
            <Logs logs={value.logs} />
            <Branches branches={value.branches} total={value.root.total} />
          </div>
        )}
        <Push />
      </div>
    </>
  );
}

/** All of it in two lines. */
function Sum({ now }: { now: Overview }) {
  const troubled = now.modules.filter(isTrouble);
  const rate = now.logs.reduce((sum, log) => sum + log.rate, 0);
  return (
    <div class="sum">
      <p class="sum-health">
        <span class={now.ready.ready ? "badge state-running" : "badge state-failing"}>{now.ready.ready ? "Ready" : "Not ready"}</span>
        {now.ready.why !== null && <span class="said"> {now.ready.why}</span>}
        {troubled.length > 0
          ? <> <a href="/modules" class="sum-trouble">{many(troubled.length, "module")} {troubled.length === 1 ? "wants" : "want"} attention: {troubled.slice(0, 3).map(({ name }) => cut(name, 40)).join(", ")}{troubled.length > 3 && " …"}</a></>
          : now.ready.ready && <span class="quiet"> All is well.</span>}
      </p>
      <dl class="tiles">
        <div><dt>Hosts</dt><dd>{short(now.hosts.length)}</dd></div>
        <div><dt>Branches</dt><dd>{short(now.root.total)}</dd></div>
        <div><dt>Values</dt><dd title={now.nodes === null ? "" : `${exact(now.nodes)} nodes in the tree`}>{now.nodes === null ? "–" : short(now.nodes)}</dd></div>
        <div><dt>Log lines</dt><dd>{short(rate)}<small>/s</small></dd></div>
        <div><dt>Modules</dt><dd><a href="/modules" title={counted(now.modules).map(([state, n]) => `${n} ${state}`).join(", ")}>{short(now.modules.filter(({ state }) => state === "running" || state === "late").length)}<small> running</small></a></dd></div>
        <div><dt>Memory</dt><dd>{now.rss === null ? "–" : bytes(now.rss)}</dd></div>
      </dl>
    </div>
  );
}

function quiet(ticks: number): string {
  return `silent for ${duration((ticks * daemon.tick) / 1_000).split(" ")[0]}`;
}

function Hosts({ hosts }: { hosts: Host[] }) {
  const [all, setAll] = useState(false);
  const sorted = [...hosts].sort((a, b) => Number(b.silent > SILENT) - Number(a.silent > SILENT));
  const list = all ? sorted : sorted.slice(0, HOSTS);
  return (
    <section aria-labelledby="hosts">
      <h2 id="hosts">Hosts</h2>
      {hosts.length === 0 && <p class="quiet">None has told anything yet.</p>}
      <ul class="chips">
        {list.map(({ name, silent, relayed }) => (
          <li key={name}>
            <a class={silent > SILENT ? "chip silent" : "chip"} href={`/realtime/?${keyArgument(`cpu,${inPath(name)}`)}&${keyArgument(`load,${inPath(name)}`)}`}
              title={name === daemon.host ? "this daemon's host" : relayed ? "a graftd of its own" : "told of by others"}>
              <bdi>{cut(name, 40)}</bdi>{silent > SILENT && <small> {quiet(silent)}</small>}
            </a>
          </li>
        ))}
      </ul>
      {hosts.length > HOSTS && <button type="button" aria-expanded={all} onClick={() => setAll(!all)}>{all ? "Fewer" : `All ${short(hosts.length)} hosts`}</button>}
    </section>
  );
}

function Logs({ logs }: { logs: Log[] }) {
  const most = Math.max(...logs.map(({ rate }) => rate), 0);
  if (logs.length === 0) {
    return (
      <section aria-labelledby="sites">
        <h2 id="sites">Sites</h2>
        <p class="quiet">No access log is read yet. A file <code>shop.on</code> in the conf folder with <code>plugin = "access-log"</code> and <code>file = "/var/log/nginx/access.log"</code> brings one.</p>
      </section>
    );
  }
  return (
    <section aria-labelledby="sites">
      <h2 id="sites">Sites</h2>
      <table>
        <caption class="unseen">Access logs that are read, the busiest first</caption>
        <thead><tr><th scope="col">Log</th><th scope="col" class="number">Lines a second</th><th scope="col" class="number">Since the start</th></tr></thead>
        <tbody>
          {logs.slice(0, LOGS).map(({ name, rate, lines }) => (
            <tr key={name}>
              <th scope="row"><bdi>{cut(name, 60)}</bdi>{name === "self" && <span class="quiet"> – requests to this daemon</span>}{name === "push" && <span class="quiet"> – lines that are pushed</span>}</th>
              <td class="number front-rate"><meter min={0} max={most || 1} value={rate} aria-hidden="true" />{short(rate)}</td>
              <td class="number">{short(lines)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {logs.length > LOGS && <p class="quiet">{many(logs.length - LOGS, "log")} more.</p>}
    </section>
  );
}

/** What a branch is worth, as far as one figure says it. */
function worth({ value, kind, children, counts }: Branch): string {
  // A mean over unlike things says nothing.
  if (!counts && children !== 0 && kind !== "distinct" && kind !== "quantiles") return "–";
  if (typeof value === "number") return `${short(value)}${kind === "distinct" ? " different" : kind === "quantiles" ? " (p50)" : ""}`;
  if (typeof value === "string" && children === 0) return cut(value, 24);
  return "–";
}

function Branches({ branches, total }: { branches: Branch[]; total: number }) {
  // Its own branch moves all the time; what is in it stands above.
  const list = branches.filter(({ key }) => key !== "graftd").slice(0, BRANCHES);
  return (
    <section aria-labelledby="branches">
      <h2 id="branches">Busiest branches</h2>
      {list.length === 0 && <p class="quiet">There are none yet but <a href="/realtime/?key-graftd">graftd</a>, where the daemon tells of itself.</p>}
      {list.length > 0 && (
        <div class="scrolls" tabIndex={0} role="region" aria-labelledby="branches">
          <table>
            <caption class="unseen">Branches of the tree, what grows fastest first</caption>
            <thead><tr><th scope="col">Branch</th><th scope="col" class="number front-keys">Keys</th><th scope="col" class="number">Value</th><th scope="col" class="number">Grows</th><th scope="col" class="number">Changed</th></tr></thead>
            <tbody>
              {list.map((branch) => (
                <tr key={branch.key}>
                  <th scope="row"><a href={`/realtime/?${keyArgument(inPath(branch.key))}`}><bdi>{cut(branch.key, 60)}</bdi></a></th>
                  <td class="number front-keys">{short(branch.children ?? 0)}</td>
                  <td class="number"><bdi>{worth(branch)}</bdi></td>
                  <td class="number">{branch.grown === null || branch.grown === 0 ? "–" : `+${short(branch.grown)}/s`}</td>
                  <td class="number">{branch.silent <= 1 ? "now" : `${duration((branch.silent * daemon.tick) / 1_000).split(" ")[0]} ago`}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {total > list.length && <p><a href="/realtime/">All {many(total, "branch")}, in the tree</a></p>}
    </section>
  );
}

/** A line to be typed, and a button that takes it along. */
function Line({ text, what }: { text: string; what: string }) {
  const [copied, setCopied] = useState("");
  // Without TLS a browser may have no clipboard to write to.
  const copy = () => navigator.clipboard.writeText(text).then(() => setCopied("Copied"), () => setCopied("Not copied"));
  useEffect(() => {
    if (copied === "") return;
    const timer = setTimeout(() => setCopied(""), SAID);
    return () => clearTimeout(timer);
  }, [copied]);
  return (
    <div class="line">
      <pre tabIndex={0} aria-label={what}><code>{text}</code></pre>
      {"clipboard" in navigator && <button type="button" onClick={copy} aria-label={`Copy: ${what}`}><span role="status">{copied || "Copy"}</span></button>}
    </div>
  );
}

function Push() {
  const { value } = useAsked(async (signal) => (await get([FIRST], { signal })).found[0]?.[FIRST] ?? null, live, FIRST, 500);
  const token = daemon.token ? " -H 'Authorization: Bearer TOKEN'" : "";
  const { origin } = location;
  return (
    <aside class="front-push" aria-labelledby="push">
      <h2 id="push">Push a value</h2>
      <p>From any shell that reaches this address:</p>
      <Line what="push a value" text={`curl${token} ${origin}/push \\\n  -H 'Content-Type: application/json' \\\n  -d '{"deploys":{"shop":1}}'`} />
      <p class="unseen" role="status">{typeof value === "number" ? "The value is here." : ""}</p>
      <p class="arrived">
        {typeof value === "number"
          ? <>It is here: <a href={`/realtime/?${keyArgument(FIRST)}`}>deploys › shop</a> is <b>{exact(value)}</b>. Each push adds to it.</>
          : <span class="quiet">As soon as it is here, this line says so.</span>}
      </p>
      <p>Read it back:</p>
      <Line what="read it back" text={`curl${token} '${origin}/get/?key-${FIRST}'`} />
      <p>Or wait for it to change:</p>
      <Line what="wait for a change" text={`curl${token} '${origin}/pull/?key-deploys'`} />
      {daemon.token && <p class="quiet">TOKEN is what stands in the file that <code>token_file</code> in <code>graftd.conf</code> names.</p>}
    </aside>
  );
}

mount(<Front />);
