// What is to be set beside what: two paths, two times, a figure.

import { useEffect, useState } from "preact/hooks";
import { canonical } from "../../lib/address.ts";
import { find } from "../../lib/api.ts";
import { outOfPath } from "../../lib/path.ts";
import { timeOf } from "../trend/state.ts";
import { type DiffState, type Side, SPAN } from "./state.ts";

const TIMES: ReadonlyArray<[string, string]> = [
  ["now", "now"], ["-1h", "an hour ago"], ["-1d", "a day ago"], ["-7d", "a week ago"], ["-28d", "4 weeks ago"], ["-364d", "a year ago"],
];
const FIGURES: ReadonlyArray<[string, string]> = [
  ["", "As it is"], ["rate", "A second"], ["mean", "Mean"], ["min", "Least"], ["max", "Greatest"], ["p50", "Median"], ["p90", "p90"], ["p99", "p99"],
];
const SPANS: ReadonlyArray<[string, string]> = [["1m", "a minute"], [SPAN, "10 minutes"], ["1h", "an hour"], ["1d", "a day"], ["7d", "a week"]];
/** Figures that are of a stretch of time. */
const OF_SPAN = new Set(["mean", "min", "max"]);
const AFTER = 150;

interface FormProps { state: DiffState; onShow: (state: DiffState) => void }

function PathInput({ id, label, value, onValue }: { id: string; label: string; value: string; onValue: (text: string) => void }) {
  const [found, setFound] = useState<string[]>([]);
  useEffect(() => {
    const asking = new AbortController();
    const timer = setTimeout(() => {
      if (value.trim() === "") return setFound([]);
      // What cannot be found now is typed.
      find(outOfPath(value).slice(0, 200), 12, asking.signal).then((some) => setFound(some.map(({ path }) => path)), () => undefined);
    }, AFTER);
    return () => { clearTimeout(timer); asking.abort(); };
  }, [value]);
  return (
    <label for={id}>{label}
      <input id={id} list={`${id}-found`} value={value} placeholder="the whole tree" spellcheck={false} autocomplete="off" dir="auto"
        onInput={(event) => onValue(event.currentTarget.value)} />
      <datalist id={`${id}-found`}>{found.map((path) => <option key={path} value={path} />)}</datalist>
    </label>
  );
}

export function Form({ state, onShow }: FormProps) {
  const [draft, setDraft] = useState(state);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => setDraft(state), [state]);
  const side = (name: "a" | "b", part: Partial<Side>) => setDraft({ ...draft, [name]: { ...draft[name], ...part } });
  const show = (next: DiffState) => {
    const wrong = [next.a, next.b].find(({ time }) => timeOf(time.trim(), 0) === null);
    if (wrong) return setError(`“${wrong.time}” is no time. Try now, -1d, -3h, 2026-01-05 or 2026-01-05T08:00:00Z.`);
    setError(null);
    const clean = ({ path, time }: Side): Side => ({ path: canonical(path), time: time.trim() === "now" ? "" : time.trim() });
    onShow({ ...next, a: clean(next.a), b: clean(next.b) });
  };
  const times = draft.a.time !== "" || draft.b.time !== "";
  return (
    <form class="diff-form" onSubmit={(event) => { event.preventDefault(); show(draft); }}>
      {(["a", "b"] as const).map((name) => (
        <fieldset key={name}>
          <legend>{name === "a" ? "A" : "B"}</legend>
          <PathInput id={`diff-${name}`} label="Path" value={draft[name].path} onValue={(path) => side(name, { path })} />
          <label for={`diff-${name}-time`}>When
            <input id={`diff-${name}-time`} list="diff-times" value={draft[name].time} placeholder="now" size={12} autocomplete="off" spellcheck={false}
              onInput={(event) => side(name, { time: event.currentTarget.value })} />
          </label>
        </fieldset>
      ))}
      <datalist id="diff-times">{TIMES.map(([value, name]) => <option key={value} value={value}>{name}</option>)}</datalist>
      <div class="diff-more">
        <label for="diff-as">Figure
          <select id="diff-as" value={draft.as} onChange={(event) => {
            const as = event.currentTarget.value;
            // Only history has these.
            const next = { ...draft, as, b: OF_SPAN.has(as) && !times ? { ...draft.b, time: "-1d" } : draft.b };
            setDraft(next);
            show(next);
          }}>
            {!FIGURES.some(([as]) => as === draft.as) && <option value={draft.as}>{draft.as}</option>}
            {FIGURES.map(([as, name]) => <option key={as} value={as}>{name}</option>)}
          </select>
        </label>
        {times && (
          <label for="diff-span">Of the time before
            <select id="diff-span" value={draft.span} onChange={(event) => {
              const next = { ...draft, span: event.currentTarget.value };
              setDraft(next);
              show(next);
            }}>
              {!SPANS.some(([span]) => span === draft.span) && <option value={draft.span}>{draft.span}</option>}
              {SPANS.map(([span, name]) => <option key={span} value={span}>{name}</option>)}
            </select>
          </label>
        )}
        <button type="button" onClick={() => show({ ...draft, a: draft.b, b: draft.a })} title="A for B, and B for A">Swap</button>
        <button type="submit" class="primary">Compare</button>
      </div>
      {error !== null && <p class="bad" role="alert">{error}</p>}
    </form>
  );
}
