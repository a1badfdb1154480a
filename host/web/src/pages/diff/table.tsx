// What differs, as a table that is sorted by a click at a column's head.

import { useMemo, useState } from "preact/hooks";
import { cut, exact, short } from "../../lib/format.ts";
import { Keys } from "../../parts/keys.tsx";
import { Empty } from "../../parts/states.tsx";
import { type Leaf, type Order, type Row, sorted } from "./rows.ts";

/** Rows that are drawn at a time. */
const PAGE = 200;

interface TableProps { rows: readonly Row[]; a: string; b: string }

function Cell({ leaf }: { leaf: Leaf | undefined }) {
  if (leaf === undefined) return <td class="number quiet">–</td>;
  if (typeof leaf === "number") return <td class="number" title={exact(leaf)}>{short(leaf)}</td>;
  return <td class="number diff-text" title={cut(String(leaf), 500)}><bdi>{cut(String(leaf), 60)}</bdi></td>;
}

/** A change in words: with its sign, and as a share of what was. */
function Change({ row }: { row: Row }) {
  const { a, b, change } = row;
  if (a === undefined) return <td class="number quiet">only in B</td>;
  if (b === undefined) return <td class="number quiet">only in A</td>;
  if (change === null) return <td class="number quiet">{a === b ? "same" : "differs"}</td>;
  if (change === 0) return <td class="number quiet">same</td>;
  const sign = change > 0 ? "+" : "−";
  const share = typeof a === "number" && a !== 0 ? Math.abs(change / a) * 100 : null;
  return (
    <td class="number" title={`${sign}${exact(Math.abs(change))}`}>
      {sign}{short(Math.abs(change))}
      {share !== null && <small class="quiet"> {sign}{share < 1000 ? `${short(Number(share.toPrecision(3)))} %` : `${short(share / 100)}×`}</small>}
    </td>
  );
}

function Bar({ row: { a, b, change, share: told } }: { row: Row }) {
  const alone = a === undefined || b === undefined;
  const share = change === null && !alone ? 0 : told;
  const wide = Math.max(Math.abs(share) * 50, share === 0 ? 0 : 0.5);
  return (
    <td class="diff-bar" aria-hidden="true">
      <div>
        <span class={`${share > 0 ? "more" : "less"}${alone ? " alone" : ""}`} style={{ width: `${wide}%`, left: share > 0 ? "50%" : `${50 - wide}%` }} />
      </div>
    </td>
  );
}

export function Table({ rows, a, b }: TableProps) {
  const [order, setOrder] = useState<Order>("share");
  const [turned, setTurned] = useState(false);
  const [all, setAll] = useState(false);
  const [text, setText] = useState("");
  const [most, setMost] = useState(PAGE);
  const differ = useMemo(() => rows.filter(({ share }) => share !== 0).length, [rows]);
  // Sorted once: what is typed only leaves some out.
  const ordered = useMemo(() => sorted(rows, order, turned), [rows, order, turned]);
  const shown = useMemo(() => {
    const wanted = text.trim().toLowerCase();
    return ordered.filter(({ share, label }) => (all || share !== 0) && (wanted === "" || label.toLowerCase().includes(wanted)));
  }, [ordered, all, text]);
  const onlyA = rows.filter((row) => row.b === undefined).length;
  const onlyB = rows.filter((row) => row.a === undefined).length;

  const head = (of: Order, name: string, title: string, looks = "number") => (
    <th scope="col" class={looks} aria-sort={order === of ? ((of === "path") !== turned ? "ascending" : "descending") : undefined}>
      <button type="button" class="plain diff-head" title={title} onClick={() => { setTurned(order === of && !turned); setOrder(of); }}>
        <bdi>{name}</bdi><span aria-hidden="true">{order !== of ? "" : (of === "path") !== turned ? " ↑" : " ↓"}</span>
      </button>
    </th>
  );

  return (
    <>
      <div class="diff-said">
        <p role="status">
          <b>{exact(differ)}</b> of {exact(rows.length)} {rows.length === 1 ? "value differs" : "values differ"}
          {onlyA > 0 && `, ${exact(onlyA)} only in A`}{onlyB > 0 && `, ${exact(onlyB)} only in B`}.
          {text.trim() !== "" && ` ${exact(shown.length)} of them shown.`}
        </p>
        <span class="bar-space" />
        <label class="unseen" for="diff-filter">Only keys with</label>
        <input id="diff-filter" type="search" placeholder="Only keys with…" value={text}
          onInput={(event) => { setText(event.currentTarget.value); setMost(PAGE); }} />
        <label class="diff-check">
          <input type="checkbox" checked={all} onChange={(event) => setAll(event.currentTarget.checked)} /> Also what is the same
        </label>
      </div>
      {shown.length === 0 ? (
        <Empty title={text.trim() !== "" ? "No key is like that." : "Nothing differs."}>
          {text.trim() === "" && a === b && <p>A and B are the same at the same time. Give one of them another time, such as <code>-1d</code>.</p>}
        </Empty>
      ) : (
        <div class="scrolls" tabIndex={0} role="region" aria-label="What differs">
          <table class="diff-table">
            <caption class="unseen">A: {cut(a, 200)}. B: {cut(b, 200)}.</caption>
            <thead>
              <tr>
                {head("path", "Key", "By name", "")}
                {head("a", "A", cut(a, 200))}
                {head("b", "B", cut(b, 200))}
                {head("change", "Change", "By the size of the change")}
                {head("share", "Share", "By the change as a share of the greater of both", "diff-middle")}
              </tr>
            </thead>
            <tbody>
              {shown.slice(0, most).map((row) => {
                const [keys = "", figure] = row.path.split("\n");
                return (
                  <tr key={row.path}>
                    <th scope="row" title={cut(row.label, 500)}>
                      {row.label === "" && "(its own value)"}
                      <Keys path={keys} most={90} />
                      {figure !== undefined && `${keys === "" ? "" : " · "}${figure}`}
                    </th>
                    <Cell leaf={row.a} /><Cell leaf={row.b} /><Change row={row} /><Bar row={row} />
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {shown.length > most && (
        <p><button type="button" onClick={() => setMost(most + 5 * PAGE)}>Show more of the {exact(shown.length - most)} left</button></p>
      )}
    </>
  );
}
