// The lines of a chart by name, with what they come to: where the cursor stands, and of what is seen.

import { useEffect, useState } from "preact/hooks";
import { cut, moment, withUnits } from "../../lib/format.ts";
import { Keys } from "../../parts/keys.tsx";
import { type Figures, type Values } from "./data.ts";

export interface Row {
  path: string;
  /** What stands behind the path. */
  tail: string;
  /** Both. */
  label: string;
  colour: string;
  values: Values;
  figures: Figures;
  beside: boolean;
}

/** Tells a legend where the cursor is, without the chart being drawn anew. */
export class Pointer {
  #told: ((at: number | null) => void) | null = null;
  at: number | null = null;
  tell(at: number | null): void {
    if (at === this.at) return;
    this.at = at;
    this.#told?.(at);
  }
  listen(told: ((at: number | null) => void) | null): void {
    this.#told = told;
  }
}

/** A legend of more rows is scrolled, by the keyboard as well. */
const SCROLLS = 8;

export interface LegendProps {
  rows: readonly Row[];
  times: readonly number[];
  units: string;
  pointer: Pointer;
  name: string;
  onColour: (row: number) => void;
}

/** The value at a place, or the last before it on another axis. */
function valueAt(values: Values, at: number): number | null {
  for (let i = at; i >= 0 && i > at - 1000; i -= 1) {
    const value = values[i];
    if (value !== undefined) return value;
  }
  return null;
}

export function Legend({ rows, times, units, pointer, name, onColour }: LegendProps) {
  const [at, setAt] = useState<number | null>(null);
  useEffect(() => {
    pointer.listen(setAt);
    return () => pointer.listen(null);
  }, [pointer]);
  const time = at === null ? undefined : times[at];
  // Where there is more than one in a minute, it takes the seconds to tell them apart.
  const fine = at !== null && time !== undefined && Math.abs((times[at + 1] ?? times[at - 1] ?? Infinity) - time) < 60;
  const text = (value: number | null) => (value === null ? "–" : withUnits(value, units));
  return (
    <div class="trend-legend" {...(rows.length > SCROLLS ? { tabIndex: 0, role: "region", "aria-label": `Lines of ${name}` } : {})}>
      <table>
        <caption class="unseen">Lines of {name}</caption>
        <thead>
          <tr>
            <th scope="col">Line</th>
            <th scope="col" class="number trend-at">{time === undefined ? "last" : moment(time * 1000, fine)}</th>
            <th scope="col" class="number">least</th><th scope="col" class="number">mean</th><th scope="col" class="number">greatest</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={i}>
              <th scope="row">
                <button type="button" class="trend-chip" title={row.beside ? undefined : "Another colour"} disabled={row.beside}
                  aria-label={`Another colour for ${cut(row.label, 80)}`} onClick={() => onColour(i)}>
                  <i class={row.beside ? "dashed" : undefined} style={{ borderColor: row.colour }} />
                </button>
                <span title={cut(row.label, 500)}><Keys path={row.path} most={64} />{row.tail}</span>
              </th>
              <td class="number trend-at">{text(at === null || time === undefined ? row.figures.last : valueAt(row.values, at))}</td>
              {(["min", "mean", "max"] as const).map((of) => <td key={of} class="number">{text(row.figures[of])}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
