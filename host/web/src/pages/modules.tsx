// Who lives in the daemon, how each fares, and the switches.

import { useRef, useState } from "preact/hooks";
import { type Entry, ls } from "../lib/api.ts";
import { ago, clock, cut, duration, moment, short, unturned } from "../lib/format.ts";
import { pageLive } from "../lib/pagelive.ts";
import { type Change, changes, counted, isTrouble, load, matching, type Module, modules, switched, type To } from "../lib/modules.ts";
import { mount } from "../lib/mount.ts";
import { daemon } from "../lib/page.ts";
import { inPath, keyArgument, segment } from "../lib/path.ts";
import { Keys } from "../parts/keys.tsx";
import { useAsked, useNow, useOffline } from "../parts/refresh.tsx";
import { Broken, Empty, Loading, Offline } from "../parts/states.tsx";

const live = pageLive();
const OWN = `graftd,${inPath(daemon.host)},module`;
/** How often is looked at what changes all the time (ms). */
const EVERY = 1_000;
const CHANGES_SHOWN = 20;
const VALUES = 8;

interface Look { all: Module[]; at: number; log: Change[] }

async function look(signal: AbortSignal): Promise<Look> {
  const [all, log] = await Promise.all([modules(signal), changes(signal)]);
  return { all, at: performance.now(), log };
}

/** What is told of a part of a core. */
function percent(part: number | null): string {
  if (part === null) return "–";
  const hundredths = part * 100;
  return `${hundredths < 0.05 ? "0" : hundredths < 10 ? hundredths.toFixed(1) : hundredths.toFixed(0)}\u202f%`;
}

function Modules() {
  const { value, error, again } = useAsked(look, live, OWN, EVERY);
  const offline = useOffline(live);
  const [only, setOnly] = useState("");
  // The list before the one that is shown: what a module took in between is its load.
  const before = useRef<{ last: Look | null; prior: Look | null }>({ last: null, prior: null });
  if (value !== null && value !== before.current.last) before.current = { last: value, prior: before.current.last };
  const prior = before.current.prior;

  const list = matching(value?.all ?? [], only);
  const troubled = value?.all.filter(isTrouble) ?? [];
  return (
    <>
      <Offline why={offline} />
      <div class="modules-head">
        <h1>Modules</h1>
        {value !== null && value.all.length > 0 && (
          <label class="modules-only"><span class="unseen">Show only modules with</span>
            <input type="search" placeholder="Name, state, reason" value={only} onInput={(event) => setOnly(event.currentTarget.value)} />
          </label>
        )}
      </div>
      {value === null && (error === null ? <Loading what="Asking who lives here" /> : <Broken error={error} retry={again} />)}
      {value !== null && (
        <>
          <p class="modules-sum">
            {counted(value.all).map(([state, count], i) => <>
              {i > 0 && " "}
              <button type="button" class="plain" title={`Show only what is ${state}`} onClick={() => setOnly(state)}><b class={`state-${state}`}>{count} {state}</b></button>
            </>)}
            {troubled.length === 0 && value.all.length > 0 && <span class="quiet">. All is well.</span>}
          </p>
          {value.all.length === 0 && <Empty title="There are no modules."><p>Drop a plugin into the plugins folder, and it appears here.</p></Empty>}
          {value.all.length > 0 && list.length === 0 && <Empty title="None of them has that."><button type="button" onClick={() => setOnly("")}>Show all</button></Empty>}
          {list.length > 0 && (
            <table class="modules">
              <caption>What is grafted into the tree. A switch renames the file in the conf folder.</caption>
              <thead>
                <tr>
                  <th scope="col">Module</th><th scope="col">State</th><th scope="col">Since</th><th scope="col">Why</th>
                  <th scope="col" class="number">CPU</th><th scope="col" class="number" title="How often it took longer than it may, and how much longer in all">Late</th><th scope="col" class="switches">Switch</th>
                </tr>
              </thead>
              {list.map((module) => (
                <Row key={module.name} module={module} again={again} load={load(module, prior?.all.find(({ name }) => name === module.name), value.at === prior?.at ? 0 : (value.at - (prior?.at ?? value.at)) / 1_000)} />
              ))}
            </table>
          )}
          <Log log={value.log} />
        </>
      )}
    </>
  );
}

function Row({ module, load: part, again }: { module: Module; load: number | null; again: () => void }) {
  const { name, state, why, next } = module;
  const now = useNow();
  const [open, setOpen] = useState(false);
  /** What is being done. Its button is not disabled meanwhile: it would lose the focus. */
  const [busy, setBusy] = useState<To | null>(null);
  const [refused, setRefused] = useState<string | null>(null);
  // An id has no blanks: it would be several.
  const details = `more-${segment(name)}`;
  const act = async (to: To) => {
    if (busy !== null) return;
    setBusy(to);
    setRefused(await switched(name, to));
    setBusy(null);
    again();
  };
  const short_ = cut(name, 60);
  const due = next === null ? null : Math.max(0, (Date.parse(next) - now) / 1_000);
  return (
    <tbody class={isTrouble(module) ? "trouble" : ""}>
      <tr>
        <th scope="row">
          <button type="button" class="plain module-name" aria-expanded={open} aria-controls={details} onClick={() => setOpen(!open)}><bdi>{short_}</bdi></button>
          <span class="quiet module-kind">{module.kind === "unknown" ? "" : module.kind}{module.isolation === "process" ? ", in a process of its own" : ""}</span>
        </th>
        <td class="few"><span class={`badge state-${state}`}>{state}</span>{module.runs && (state === "rejected" || state === "probing") && <span class="quiet module-kind">the one before goes on</span>}</td>
        <td class="few"><time dateTime={module.since} title={module.since}>{ago(Date.parse(module.since), now)}</time></td>
        <td class={why === "" && due === null && refused === null ? "module-why nothing" : "module-why"}>
          <bdi>{cut(why, 300)}</bdi>
          {due !== null && <span class="quiet"> {due > 0 ? `Next try in ${duration(Math.ceil(due))}.` : "It is tried again now."}</span>}
          {refused !== null && <p class="refused" role="alert">{refused}</p>}
          {module.traceback !== undefined && !open && <button type="button" class="plain" onClick={() => setOpen(true)} aria-label={`Show the traceback of ${short_}`}>Traceback</button>}
        </td>
        <td data-label="CPU" class={`number few${module.runs ? "" : " nothing"}`}>{percent(module.runs ? part : null)}</td>
        <td data-label="Late" class={`number few${module.late === 0 ? " nothing" : ""}`}>{module.late === 0 ? "–" : `${short(module.late)}×, ${duration(module.lateness)}`}</td>
        <td class="switches">
          <button type="button" aria-disabled={busy !== null} onClick={() => act(state === "off" ? "on" : "off")} aria-label={`Switch ${short_} ${state === "off" ? "on" : "off"}`}>{state === "off" ? "On" : "Off"}</button>
          <button type="button" disabled={state === "off"} aria-disabled={busy !== null} onClick={() => act("reload")} aria-label={`Reload ${short_}`}>Reload</button>
        </td>
      </tr>
      <tr id={details} class="more" hidden={!open}>{open && <td colSpan={7}><More module={module} /></td>}</tr>
    </tbody>
  );
}

function More({ module }: { module: Module }) {
  const { branch } = module;
  return (
    <div class="module-more">
      {module.traceback !== undefined && <><h3>Traceback</h3><pre tabIndex={0} class="traceback">{unturned(module.traceback)}</pre></>}
      <dl>
        <div><dt>File</dt><dd><code><bdi>{unturned(module.file ?? "none")}</bdi></code></dd></div>
        <div><dt>Calls</dt><dd>{short(module.calls)}, {module.errors === 0 ? "none failed" : `${short(module.errors)} failed`}</dd></div>
        <div><dt>CPU in all</dt><dd>{duration(module.cpu)}</dd></div>
        <div><dt>Restarted</dt><dd>{module.restarts === 0 ? "never" : `${short(module.restarts)} times`}</dd></div>
        <div><dt>Branch</dt><dd>{branch === null ? "none" : <a href={`/realtime/?${keyArgument(branch)}`}><Keys path={branch} /></a>}</dd></div>
      </dl>
      {branch !== null && branch !== "" && <Values branch={branch} />}
    </div>
  );
}

/** What a module said last. */
function Values({ branch }: { branch: string }) {
  const { value, error } = useAsked((signal) => ls(branch, null, VALUES, signal), live, branch, EVERY);
  if (value === null) return error === null ? <Loading what="Asking for its values" /> : <p class="quiet">{error}</p>;
  const told = (entry: Entry) => {
    const { value: of } = entry;
    if (typeof of === "number") return `${short(of)}${entry.kind === "quantiles" ? " (p50)" : entry.kind === "distinct" ? " different" : ""}`;
    return of === null || of === undefined ? "…" : cut(String(of), 80);
  };
  return (
    <>
      <h3>Values</h3>
      {value.children.length === 0 && <p class="quiet">It has said nothing yet.</p>}
      <dl>{value.children.map((entry) => <div key={entry.key}><dt><bdi>{cut(entry.key, 40)}</bdi></dt><dd><bdi>{told(entry)}</bdi></dd></div>)}</dl>
      {value.total > value.children.length && <p class="quiet">{short(value.total - value.children.length)} more.</p>}
    </>
  );
}

function Log({ log }: { log: Change[] }) {
  const [all, setAll] = useState(false);
  const list = all ? log : log.slice(0, CHANGES_SHOWN);
  const today = new Date().toDateString();
  const at = (text: string) => (new Date(text).toDateString() === today ? clock(Date.parse(text)) : moment(Date.parse(text)));
  return (
    <section aria-labelledby="log">
      <h2 id="log">What happened</h2>
      {log.length === 0 && <p class="quiet">Nothing since the daemon began.</p>}
      {log.length > 0 && (
        <ol class="changes">
          {list.map((change, i) => (
            <li key={`${change.at} ${change.name} ${log.length - i}`}>
              <time dateTime={change.at} title={change.at}>{at(change.at)}</time>
              <b><bdi>{cut(change.name, 40)}</bdi></b> <span class={`badge state-${change.state}`}>{change.state}</span> <bdi class="quiet">{cut(change.why, 200)}</bdi>
            </li>
          ))}
        </ol>
      )}
      {log.length > CHANGES_SHOWN && <button type="button" aria-expanded={all} onClick={() => setAll(!all)}>{all ? `The last ${CHANGES_SHOWN} alone` : `All ${log.length} changes`}</button>}
    </section>
  );
}

mount(<Modules />);
