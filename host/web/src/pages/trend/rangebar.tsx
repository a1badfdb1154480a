// What time is shown: lengths that people think in, any other, the length of a step, and the way back to all of it.

import { useMemo, useState } from "preact/hooks";
import { duration } from "../../lib/format.ts";
import type { Range } from "./gestures.ts";
import { before, FROM, type PageState } from "./state.ts";

const LENGTHS: ReadonlyArray<[string, string]> = [
  ["-1h", "1 hour"], ["-6h", "6 hours"], ["-1d", "1 day"], ["-7d", "1 week"], ["-30d", "30 days"], ["-90d", "90 days"],
  [FROM, "1 year"], ["-3650d", "10 years"],
];
const STEPS: ReadonlyArray<[string, string]> = [
  ["", "Steps that suit"], ["raw", "Each commit"], ["10s", "10 s"], ["1m", "1 min"], ["10m", "10 min"],
  ["1h", "1 hour"], ["1d", "1 day"], ["7d", "1 week"],
];

/** A moment as an input of the browser's zone has it. */
function local(seconds: number): string {
  const date = new Date(seconds * 1000);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

interface RangeBarProps { state: PageState; span: Range; zoomed: boolean; onPut: (state: PageState) => void }

export function RangeBar({ state, span, zoomed, onPut }: RangeBarProps) {
  const ago = state.to === "now" ? before(state.from) : null;
  const other = ago === null;
  const [typing, setTyping] = useState(other);
  const [error, setError] = useState("");
  const [copied, setCopied] = useState(false);
  // What is typed stays while time goes on: only another range is another beginning.
  const [from, to] = useMemo(() => [local(span[0]), local(span[1])], [state.from, state.to, typing]);
  const set = (form: HTMLFormElement) => {
    const [from, to] = ["from", "to"].map((name) => new Date(String(new FormData(form).get(name))).getTime() / 1000);
    if (from === undefined || to === undefined || !(from < to)) return setError("The begin has to lie before the end.");
    setError("");
    onPut({ ...state, from: String(from), to: String(to), zoom: null });
  };
  const copy = () => {
    navigator.clipboard?.writeText(location.href).then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), 2_000);
    }, () => setError("This browser lets no page copy; take the address of the page."));
  };
  return (
    <>
      <button type="button" hidden={!zoomed} class="primary" onClick={() => onPut({ ...state, zoom: null })}>Show all</button>
      <label class="unseen" for="trend-length">Time that is shown</label>
      <select id="trend-length" value={other || typing ? "other" : state.from} onChange={(event) => {
        const { value } = event.currentTarget;
        setError("");
        setTyping(value === "other");
        if (value !== "other") onPut({ ...state, from: value, to: "now", zoom: null });
      }}>
        {ago !== null && !LENGTHS.some(([from]) => from === state.from) && <option value={state.from}>{duration(ago)}</option>}
        {LENGTHS.map(([from, name]) => <option key={from} value={from}>{name}</option>)}
        <option value="other">From … to …</option>
      </select>
      <label class="unseen" for="trend-step">Length of a step</label>
      <select id="trend-step" value={state.step} onChange={(event) => onPut({ ...state, step: event.currentTarget.value })}>
        {!STEPS.some(([step]) => step === state.step) && <option value={state.step}>{state.step}</option>}
        {STEPS.map(([step, name]) => <option key={step} value={step}>{name}</option>)}
      </select>
      {navigator.clipboard && <button type="button" onClick={copy}>{copied ? "Copied" : "Copy link"}</button>}
      {(other || typing) && (
        <form class="trend-times" onSubmit={(event) => { event.preventDefault(); set(event.currentTarget); }}>
          <label>From <input type="datetime-local" name="from" required defaultValue={from} key={`f${from}`} /></label>
          <label>to <input type="datetime-local" name="to" required defaultValue={to} key={`t${to}`} /></label>
          <button type="submit">Show</button>
        </form>
      )}
      {error !== "" && <span class="bad" role="alert">{error}</span>}
    </>
  );
}
