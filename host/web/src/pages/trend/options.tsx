// How a chart is drawn and what of its nodes: all of it stands in the URL.

import { useState } from "preact/hooks";
import { canonical } from "../../lib/address.ts";
import { type ChartState, type Style, STYLES } from "./state.ts";

const FIGURES: ReadonlyArray<[string, string]> = [
  ["", "What suits it"], ["value", "As it is"], ["rate", "A second"], ["mean", "Mean"], ["min,mean,max", "Mean in its band"],
  ["min", "Least"], ["max", "Greatest"], ["last", "Last"], ["sum", "Sum"], ["count", "How many"], ["p50,p90,p99", "p50, p90, p99"],
  ["p50", "Median"], ["p90", "p90"], ["p95", "p95"], ["p99", "p99"], ["p999", "p999"], ["distinct", "Different ones"],
];
const COMPARED: ReadonlyArray<[string, string]> = [
  ["", "Nothing"], ["-1d", "A day before"], ["-7d", "A week before"], ["-28d", "4 weeks before"], ["-364d", "A year before"],
];
const NAMES: { [style in Style]: string } = { line: "Line", area: "Area", stacked: "Stacked", bars: "Bars" };

interface OptionsProps { chart: ChartState; id: string; onChange: (chart: ChartState) => void }

export function Options({ chart, id, onChange }: OptionsProps) {
  const other = !COMPARED.some(([value]) => value === chart.compare);
  const [typing, setTyping] = useState(other);
  const change = (part: Partial<ChartState>) => onChange({ ...chart, ...part });
  return (
    <div class="trend-options">
      <label for={`${id}-style`}>Drawn as
        <select id={`${id}-style`} value={chart.style} onChange={(event) => change({ style: event.currentTarget.value as Style })}>
          {STYLES.map((style) => <option key={style} value={style}>{NAMES[style]}</option>)}
        </select>
      </label>
      <label for={`${id}-as`}>Figure
        <select id={`${id}-as`} value={chart.as} onChange={(event) => change({ as: event.currentTarget.value })}>
          {!FIGURES.some(([value]) => value === chart.as) && <option value={chart.as}>{chart.as}</option>}
          {FIGURES.map(([value, name]) => <option key={value} value={value}>{name}</option>)}
        </select>
      </label>
      <label for={`${id}-compare`}>Compared with
        <select id={`${id}-compare`} value={typing || other ? "path" : chart.compare} onChange={(event) => {
          const { value } = event.currentTarget;
          setTyping(value === "path");
          if (value !== "path") change({ compare: value });
        }}>
          {COMPARED.map(([value, name]) => <option key={value} value={value}>{name}</option>)}
          <option value="path">Another path…</option>
        </select>
      </label>
      {(typing || other) && (
        <label for={`${id}-path`}>Path or time before
          <input id={`${id}-path`} value={other ? chart.compare : ""} placeholder="cpu,h2,idle or -3h" spellcheck={false} autocomplete="off"
            onChange={(event) => change({ compare: canonical(event.currentTarget.value) })} />
        </label>
      )}
      <label for={`${id}-units`}>Units
        <input id={`${id}-units`} value={chart.units} placeholder="as told" size={8} maxLength={24} autocomplete="off"
          onChange={(event) => change({ units: event.currentTarget.value })} />
      </label>
      <label class="trend-check">
        <input type="checkbox" checked={chart.log} onChange={(event) => change({ log: event.currentTarget.checked })} /> Logarithmic
      </label>
    </div>
  );
}
