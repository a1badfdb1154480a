// What keys do to the stretch that charts show.

export type Range = [number, number];

/** The shortest stretch that is shown (s). */
const SHORTEST = 2;

/** What a key shows in place of `seen`, within `whole` (s); null where it goes on live, undefined where the key does nothing. */
export function byKey(key: string, seen: Range, whole: Range): Range | null | undefined {
  const [from, to] = seen;
  const [width, middle] = [to - from, (from + to) / 2];
  const show = (length: number, about: number): Range => {
    const long = Math.min(Math.max(length, SHORTEST), whole[1] - whole[0]);
    const begin = Math.min(Math.max(about - long / 2, whole[0]), whole[1] - long);
    return [begin, begin + long];
  };
  switch (key) {
    case "ArrowLeft": return show(width, middle - width * 0.2);
    case "ArrowRight": return show(width, middle + width * 0.2);
    case "+": case "=": return show(width / 2, middle);
    case "-": return show(width * 2, middle);
    case "0": case "Escape": return null;
    default: return undefined;
  }
}
