// All of a chart's time as a low strip, with a window on what is seen above: its ends and itself can be drawn elsewhere, by
// mouse, finger and keys.

import { useMemo, useRef } from "preact/hooks";
import { Chart, type Series } from "../../parts/chart.tsx";
import { moment } from "../../lib/format.ts";
import { type Range, settling, SHORTEST } from "./gestures.ts";
import type { Stretch } from "./data.ts";

export interface StripProps {
  name: string;
  stretch: Stretch | null;
  colours: readonly string[];
  whole: Range;
  seen: Range;
  onShow: (range: Range, done: boolean) => void;
}

const BARE = { axes: [{ show: false }, { show: false }], cursor: { show: false }, padding: [3, 0, 3, 0] as [number, number, number, number] };
/** Lines in a strip: it is a sketch. */
const LINES = 6;
/** How near to an end a pointer takes it (CSS pixels). */
const NEAR = 14;

type Taken = { what: "from" | "to" | "both" | "new"; at: number; seen: Range; moved: boolean };

export function Strip({ name, stretch, colours, whole, seen, onShow }: StripProps) {
  const place = useRef<HTMLDivElement>(null);
  const taken = useRef<Taken | null>(null);
  /** What was shown last by what is under way. */
  const latest = useRef<Range>(seen);
  const series = useMemo<Series[]>(() => (stretch?.lines ?? []).filter(({ beside }) => !beside).slice(0, LINES)
    .map(({ label, values }, i) => ({ label, values, colour: colours[i] ?? "", width: 1, style: i === 0 ? "area" : "line" })), [stretch, colours]);
  const [first, last] = whole;
  const wide = last - first;
  const share = (time: number) => Math.min(Math.max((time - first) / wide, 0), 1);
  const timeAt = (x: number) => {
    const box = place.current?.getBoundingClientRect();
    return box ? first + Math.min(Math.max((x - box.left) / box.width, 0), 1) * wide : first;
  };
  const show = (range: Range, done: boolean) => {
    latest.current = range;
    if (taken.current) taken.current.moved = true;
    onShow(range, done);
  };
  const byKeys = useMemo(() => settling(onShow), [onShow]);

  const onDown = (event: PointerEvent) => {
    if (event.button !== 0 || !place.current) return;
    const box = place.current.getBoundingClientRect();
    const [left, right] = [box.left + share(seen[0]) * box.width, box.left + share(seen[1]) * box.width];
    const all = seen[1] - seen[0] >= wide * 0.999;
    const near = (x: number) => Math.abs(event.clientX - x);
    // Of a narrow window the middle third is still itself.
    const reach = (outside: boolean) => (outside ? NEAR : Math.min(NEAR, (right - left) / 3));
    const what = near(left) < reach(event.clientX < left) ? "from" : near(right) < reach(event.clientX > right) ? "to"
      : !all && event.clientX > left && event.clientX < right ? "both" : "new";
    taken.current = { what, at: timeAt(event.clientX), seen, moved: false };
    latest.current = seen;
    place.current.setPointerCapture(event.pointerId);
  };
  const onMove = (event: PointerEvent) => {
    if (!taken.current) return;
    const { what, at, seen: before } = taken.current;
    const now = timeAt(event.clientX);
    if (what === "from") show([Math.min(now, before[1] - SHORTEST), before[1]], false);
    else if (what === "to") show([before[0], Math.max(now, before[0] + SHORTEST)], false);
    else if (what === "both") {
      const by = Math.min(Math.max(now - at, first - before[0]), last - before[1]);
      show([before[0] + by, before[1] + by], false);
    } else if (Math.abs(now - at) > wide / 400) show(at < now ? [at, now] : [now, at], false);
  };
  const onUp = (event: PointerEvent) => {
    const was = taken.current;
    taken.current = null;
    if (!was) return;
    // A click beside the window has it come there.
    if (was.what === "new" && Math.abs(timeAt(event.clientX) - was.at) <= wide / 400) {
      const width = was.seen[1] - was.seen[0];
      if (width < wide * 0.999) show([was.at - width / 2, was.at + width / 2], true);
    } else if (was.moved) onShow(latest.current, true);
  };
  const onKey = (end: 0 | 1) => (event: KeyboardEvent) => {
    const by = { ArrowLeft: -0.01, ArrowRight: 0.01, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const next: Range = [...seen];
    next[end] = Math.min(Math.max(seen[end] + by * wide, first), last);
    if (end === 0) next[0] = Math.min(next[0], seen[1] - SHORTEST);
    else next[1] = Math.max(next[1], seen[0] + SHORTEST);
    byKeys(next);
  };
  const handle = (end: 0 | 1) => (
    <span
      class="strip-handle" role="slider" tabIndex={0} style={{ left: `${share(seen[end]) * 100}%` }} onKeyDown={onKey(end)}
      aria-label={`${end === 0 ? "Begin" : "End"} of what is shown of ${name}`} aria-valuemin={Math.round(first)} aria-valuemax={Math.round(last)}
      aria-valuenow={Math.round(seen[end])} aria-valuetext={moment(seen[end] * 1000)}
    />
  );

  return (
    <div class="strip" ref={place} onPointerDown={onDown} onPointerMove={onMove} onPointerUp={onUp} onPointerCancel={onUp}
      onDblClick={() => show([first, last], true)}>
      <Chart times={stretch?.times ?? []} series={series} height={44} range={whole} more={BARE} label={`All of ${name}`} />
      <div class="strip-veil" style={{ left: 0, width: `${share(seen[0]) * 100}%` }} />
      <div class="strip-veil" style={{ left: `${share(seen[1]) * 100}%`, right: 0 }} />
      <div class="strip-window" style={{ left: `${share(seen[0]) * 100}%`, width: `${(share(seen[1]) - share(seen[0])) * 100}%` }} />
      {handle(0)}
      {handle(1)}
    </div>
  );
}
