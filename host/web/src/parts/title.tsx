// A panel's heading: its path, whose keys fold and unfold by a click, and what can be done with it.

import { useRef } from "preact/hooks";
import { cut } from "../lib/format.ts";
import { keyArgument, outOfPath, shownStep, shown, steps } from "../lib/path.ts";
import type { Resolved } from "../lib/resolve.ts";

interface TitleProps { path: string; resolved: Resolved | null; onReplace: (path: string) => void; onRemove: () => void; onUp?: (() => void) | null | undefined }

export function Title({ path, resolved, onReplace, onRemove, onUp }: TitleProps) {
  // What was folded here is unfolded to what it was.
  const were = useRef<string[]>([]);
  const keys = steps(path);
  keys.forEach((key, i) => { if (key !== "" && key !== "*") were.current[i] = key; });
  const turn = (i: number) => {
    const key = keys[i] ?? "";
    const next = key === "" || key === "*" ? were.current[i] ?? "*" : "";
    onReplace(keys.map((one, at) => (at === i ? next : one)).join(","));
  };
  const list = () => onReplace(keys.map((key) => (key === "" ? "*" : key)).join(","));
  const sum = () => onReplace(keys.map((key) => (key === "*" ? "" : key)).join(","));
  const title = typeof resolved?.meta.title === "string" ? resolved.meta.title : "";
  const told = [title, resolved?.meta.description].filter((text) => typeof text === "string" && text !== "").join(": ");
  return (
    <header class="panel-head">
      <h2 title={told || shown(path, 400)}>
        {keys.map((key, i) => {
          const folds = key === "" || key === "*";
          const name = cut(outOfPath(key), 48);
          return (
            <span key={i}>
              {i > 0 && <span class="sep" aria-hidden="true">›</span>}
              {i === 0 ? <bdi>{folds ? shownStep(key) : name}</bdi> : (
                <button type="button" class={folds ? "step folds" : "step"} aria-pressed={folds}
                  title={folds ? `All keys of this level; click for ${were.current[i] === undefined ? "each" : cut(outOfPath(were.current[i] ?? ""), 48)}` : `Fold this level: all keys, not only ${name}`} onClick={() => turn(i)}>
                  <bdi>{folds ? (key === "*" ? "each" : "all") : name}</bdi>
                </button>
              )}
            </span>
          );
        })}
      </h2>
      <div class="panel-does">
        {keys.includes("") && <button type="button" class="plain" onClick={list} title="A line for each key in place of one for all">Each</button>}
        {keys.includes("*") && <button type="button" class="plain" onClick={sum} title="One line for all keys">All</button>}
        {resolved?.kind === "branch" && (
          <>
            <button type="button" class="plain" onClick={() => onReplace(`${path},*`)} title="A line for each child">Lines</button>
            <button type="button" class="plain" onClick={() => onReplace(`${path},`)} title="What its children fold to">Fold</button>
          </>
        )}
        <a class="button plain" href={`/trend/view/?${keyArgument(path)}`} title="Its history">Trend</a>
        {onUp !== undefined && <button type="button" class="plain panel-up" onClick={() => onUp?.()} aria-disabled={onUp === null} aria-label={`Move ${shown(path, 80)} up`} title="Move up">↑</button>}
        <button type="button" class="plain" onClick={onRemove} aria-label={`Remove ${shown(path, 80)}`} title="Remove">×</button>
      </div>
    </header>
  );
}
