// What texts were when: a row of stretches each, and the last of them as a list.

import { cut, moment } from "../../lib/format.ts";
import { seriesColour } from "../../lib/theme.ts";
import { Keys } from "../../parts/keys.tsx";
import type { Happened } from "./data.ts";
import type { Range } from "./gestures.ts";

const ROWS = 12;
const STRETCHES = 120;

export function Happenings({ happened, range: [from, to] }: { happened: readonly Happened[]; range: Range }) {
  return (
    <div class="trend-texts">
      {happened.slice(0, ROWS).map(({ path, events }) => {
        const names = [...new Set(events.map(([, text]) => text))];
        const seen = events.map(([at, text], i) => ({ at, text, end: events[i + 1]?.[0] ?? Infinity }))
          .filter(({ at, end }) => at < to && end > from).slice(-STRETCHES);
        const share = (time: number) => ((Math.min(Math.max(time, from), to) - from) / (to - from)) * 100;
        return (
          <div key={path}>
            <h3><Keys path={path} /></h3>
            <div class="trend-states" aria-hidden="true">
              {seen.filter(({ text }) => text !== null).map(({ at, text, end }) => (
                <span key={at} title={`${cut(text ?? "", 500)}, since ${moment(at * 1000)}`} dir="auto"
                  style={{ left: `${share(at)}%`, width: `${share(end) - share(at)}%`, borderColor: seriesColour(names.indexOf(text)) }}>
                  {cut(text ?? "", 40)}
                </span>
              ))}
            </div>
            <ol>
              {seen.slice(-8).reverse().map(({ at, text }) => (
                <li key={at}>
                  <time dateTime={new Date(at * 1000).toISOString()}>{moment(at * 1000)}</time> <bdi>{text === null ? "gone" : cut(text, 300)}</bdi>
                </li>
              ))}
            </ol>
          </div>
        );
      })}
      {happened.length > ROWS && <p class="quiet trend-note">{happened.length - ROWS} more texts are not shown.</p>}
    </div>
  );
}
