// Wheel, pinch and drag over a plot: each says what is to be seen next. A drag with the mouse is uPlot's own.

export type Range = [number, number];

/** The shortest stretch that is shown (s). */
export const SHORTEST = 60;
/** A wheel that began elsewhere scrolls the page on for so long (ms), though a chart comes below it. */
const PASSING = 350;

let wheeledElsewhere = -Infinity;

/** A range that is no shorter than can be seen and lies within the whole; null where it is the whole. */
export function within([from, to]: Range, [first, last]: Range): Range | null {
  const width = Math.min(Math.max(to - from, SHORTEST), last - first);
  let begin = (from + to) / 2 - width / 2;
  begin = Math.min(Math.max(begin, first), last - width);
  return width >= (last - first) * 0.999 ? null : [begin, begin + width];
}

/** A range made longer (by more than 1) or shorter about a moment, which stays where it is. */
export function scaled([from, to]: Range, by: number, about: number): Range {
  return [about - (about - from) * by, about + (to - about) * by];
}

/** A range moved by a share of its width. */
export function moved([from, to]: Range, by: number): Range {
  const width = to - from;
  return [from + width * by, to + width * by];
}

/** So long (ms) after the last of many steps what they led to is where one may go back to. */
const SETTLED = 250;

/** Shows each of many steps (a held key's, a wheel's), and the last of them as done. */
export function settling(show: Gestures["show"]): (range: Range) => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return (range) => {
    show(range, false);
    clearTimeout(timer);
    timer = setTimeout(() => show(range, true), SETTLED);
  };
}

export interface Gestures {
  /** What is seen now. */
  seen: () => Range;
  whole: () => Range;
  /** Show this; `done` when no more is to come at once. */
  show: (range: Range, done: boolean) => void;
}

/** Listens until what is returned is called. `place` holds a plot. */
export function listen(place: HTMLElement, { seen, whole, show }: Gestures): () => void {
  const plot = () => place.querySelector<HTMLElement>(".u-over")?.getBoundingClientRect();
  let settle: ReturnType<typeof setTimeout> | undefined;

  const onWheel = (event: WheelEvent) => {
    const over = plot();
    if (!over || performance.now() - wheeledElsewhere < PASSING || event.clientX < over.left || event.clientX > over.right) return;
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 400;
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : event.shiftKey ? event.deltaY : 0;
    const now = seen();
    let next: Range;
    if (sideways !== 0) {
      next = moved(now, (sideways * lines) / over.width);
    } else {
      const out = event.deltaY > 0;
      const all = whole();
      // There is nothing beyond the whole: the page scrolls.
      if (out && now[0] <= all[0] && now[1] >= all[1] && !event.ctrlKey) return;
      // A pinch on a touchpad comes as a wheel with the control key, in small steps.
      const by = Math.exp(Math.max(-1, Math.min(1, event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0022))));
      next = scaled(now, by, now[0] + ((event.clientX - over.left) / over.width) * (now[1] - now[0]));
    }
    event.preventDefault();
    event.stopPropagation();
    show(next, false);
    clearTimeout(settle);
    settle = setTimeout(() => show(seen(), true), SETTLED);
  };

  // Fingers: one moves the picture, two draw it wider. A finger that goes up or down scrolls the page (`touch-action: pan-y`).
  const fingers = new Map<number, number>();
  let began: { range: Range; at: number[] } | null = null;
  const begin = () => { began = fingers.size === 0 ? null : { range: seen(), at: [...fingers.values()] }; };
  const onDown = (event: PointerEvent) => {
    if (event.pointerType !== "touch" || fingers.size >= 2) return;
    fingers.set(event.pointerId, event.clientX);
    begin();
  };
  const onMove = (event: PointerEvent) => {
    if (!fingers.has(event.pointerId) || !began) return;
    fingers.set(event.pointerId, event.clientX);
    const over = plot();
    if (!over) return;
    const { range, at } = began;
    const wide = range[1] - range[0];
    const timeOf = (x: number) => range[0] + ((x - over.left) / over.width) * wide;
    const now = [...fingers.values()];
    if (now.length === 1) {
      const by = ((at[0] ?? 0) - (now[0] ?? 0)) / over.width;
      if (Math.abs(by) * over.width > 4) show(moved(range, by), false);
    } else {
      const [a, b] = [timeOf(at[0] ?? 0), timeOf(at[1] ?? 0)];
      const apart = (now[1] ?? 0) - (now[0] ?? 0);
      if (Math.abs(apart) < 8 || a === b) return;
      const width = ((b - a) / apart) * over.width;
      if (width <= 0) return;
      const left = a - (((now[0] ?? 0) - over.left) / over.width) * width;
      show([left, left + width], false);
    }
  };
  const onUp = (event: PointerEvent) => {
    if (!fingers.delete(event.pointerId)) return;
    begin();
    if (fingers.size === 0) show(seen(), true);
  };

  place.addEventListener("wheel", onWheel, { passive: false });
  place.addEventListener("pointerdown", onDown);
  place.addEventListener("pointermove", onMove);
  place.addEventListener("pointerup", onUp);
  place.addEventListener("pointercancel", onUp);
  return () => {
    clearTimeout(settle);
    place.removeEventListener("wheel", onWheel);
    place.removeEventListener("pointerdown", onDown);
    place.removeEventListener("pointermove", onMove);
    place.removeEventListener("pointerup", onUp);
    place.removeEventListener("pointercancel", onUp);
  };
}

/** Notes wheels that no plot took: for the page, once. */
export function watchWheel(): () => void {
  const elsewhere = () => { wheeledElsewhere = performance.now(); };
  addEventListener("wheel", elsewhere, { passive: true });
  return () => removeEventListener("wheel", elsewhere);
}

/** What a key does to what is seen; undefined for a key that does nothing here. */
export function byKey(key: string, now: Range, all: Range): Range | undefined {
  const middle = (now[0] + now[1]) / 2;
  const width = now[1] - now[0];
  switch (key) {
    case "ArrowLeft": return moved(now, -0.2);
    case "ArrowRight": return moved(now, 0.2);
    case "PageUp": return moved(now, -0.9);
    case "PageDown": return moved(now, 0.9);
    case "Home": return [all[0], all[0] + width];
    case "End": return [all[1] - width, all[1]];
    case "+": case "=": return scaled(now, 0.5, middle);
    case "-": return scaled(now, 2, middle);
    case "0": case "Escape": return all;
    default: return undefined;
  }
}
