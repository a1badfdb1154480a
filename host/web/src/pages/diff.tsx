// Two paths, or one path at two times, side by side: what differs, the greatest change first.

import { useEffect, useMemo, useState } from "preact/hooks";
import { ever } from "../lib/again.ts";
import { clockOffset, Failed, isAbort, said } from "../lib/api.ts";
import { zoned } from "../lib/format.ts";
import { mount } from "../lib/mount.ts";
import { keyArgument, shown } from "../lib/path.ts";
import { Keys } from "../parts/keys.tsx";
import { Broken, Empty, Loading, Offline } from "../parts/states.tsx";
import { ask, type Sided } from "./diff/ask.ts";
import { Form } from "./diff/form.tsx";
import { rows } from "./diff/rows.ts";
import { type DiffState, read, type Side, SPAN, written } from "./diff/state.ts";
import { Table } from "./diff/table.tsx";
import { timeOf } from "./trend/state.ts";

const NOTHING: DiffState = { a: { path: "", time: "" }, b: { path: "", time: "" }, as: "", span: SPAN };

const clock = () => (Date.now() + clockOffset()) / 1000;

function when({ time }: Side, now: number): string {
  return time === "" ? "now" : zoned((timeOf(time, now) ?? now) * 1000);
}

function named(side: Side, now: number): string {
  return `${side.path === "" ? "the whole tree" : shown(side.path, 80)}, ${when(side, now)}`;
}

function Named({ side, now }: { side: Side; now: number }) {
  return <>{side.path === "" ? "the whole tree" : <Keys path={side.path} />}, {when(side, now)}</>;
}

function Diff() {
  const [state, setState] = useState(() => read(location.pathname, location.search));
  const [found, setFound] = useState<{ of: DiffState; sides: [Sided, Sided]; at: number } | null>(null);
  const [error, setError] = useState<Failed | Error | null>(null);
  const [round, setRound] = useState(0);

  useEffect(() => {
    const back = () => setState(read(location.pathname, location.search));
    addEventListener("popstate", back);
    return () => removeEventListener("popstate", back);
  }, []);
  useEffect(() => {
    if (state === null) return;
    const asking = new AbortController();
    const at = clock();
    ask(state.a, state.b, state.as, state.span, at, asking.signal).then((sides) => {
      setFound({ of: state, sides, at });
      setError(null);
    }, (thrown: unknown) => {
      if (!isAbort(thrown)) setError(thrown instanceof Error ? thrown : new Error(said(thrown)));
    });
    return () => asking.abort();
  }, [state, round]);
  const offline = error instanceof Failed && error.offline;
  useEffect(() => {
    if (!offline) return;
    return ever(() => setRound((n) => n + 1));
  }, [offline]);

  const show = (next: DiffState) => {
    const url = written(next);
    if (url !== location.pathname + location.search) history.pushState(null, "", url);
    setState(next);
    setRound((n) => n + 1);
  };
  const all = useMemo(() => (found ? rows(found.sides[0].leaves, found.sides[1].leaves) : []), [found]);
  const [a, b] = found ? [named(found.of.a, found.at), named(found.of.b, found.at)] : ["", ""];
  const paths = state === null ? [] : [...new Set([state.a.path, state.b.path])].filter((path) => path !== "");

  return (
    <>
      <Offline why={offline ? error.message : null} />
      <h1>Compare</h1>
      <Form state={state ?? NOTHING} onShow={show} />
      {state === null ? (
        <Empty title="Two paths, or one at two times.">
          <p>Name a branch as A and another as B, such as two hosts: <code>cpu,h1</code> and <code>cpu,h2</code>. Or name the same twice, and for one of
            them another time, such as <code>-7d</code>. An empty path is the whole tree.</p>
        </Empty>
      ) : error !== null && !(offline && found) ? <Broken error={error.message} retry={() => setRound((n) => n + 1)} />
        : found === null ? <Loading what="Reading both" />
        : all.length === 0 ? <Empty title="There is nothing in either."><p>{a}; {b}: neither has a value. Look whether the paths are right.</p></Empty>
        : (
          <>
            <p class="diff-sides">
              <span><b>A</b> <Named side={found.of.a} now={found.at} /></span>
              <span><b>B</b> <Named side={found.of.b} now={found.at} /></span>
              {paths.length > 0 && <a href={`/trend/view/?chart=line&${paths.map(keyArgument).join("&")}`}>Their trend</a>}
            </p>
            {found.of !== state && error === null && <p class="quiet" role="status">Reading both…</p>}
            {found.sides.some(({ truncated }) => truncated) && <p class="quiet">There is more than can be set side by side; name longer paths.</p>}
            <Table rows={all} a={a} b={b} />
          </>
        )}
    </>
  );
}

mount(<Diff />);
