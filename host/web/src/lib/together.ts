// Several tracks over one row of times, for one chart.

import { after, type Track } from "./track.ts";

/**
 * What is seen of tracks from `from` to `to` (s): all times at which any was told, and the figures of each; a figure holds until there is
 * another. One more on either side is there as well, for the line comes from and goes on to it. Of one track all columns, of several the
 * first of each.
 */
export function together(tracks: readonly Track[], [from, to]: readonly [number, number]): { times: number[]; columns: Array<Array<number | null>> } {
  const parts = tracks.map(({ times }) => [Math.max(0, after(times, from) - 1), Math.min(times.length, after(times, to) + 1)] as const);
  const [first, part] = [tracks[0], parts[0]];
  if (!first || !part) return { times: [], columns: [] };
  if (tracks.length === 1) return { times: first.times.slice(...part), columns: first.columns.map((column) => column.slice(...part)) };
  const places = parts.map(([begin]) => begin);
  const times: number[] = [];
  const columns = tracks.map((): Array<number | null> => []);
  for (;;) {
    let time = Infinity;
    tracks.forEach((track, i) => {
      const place = places[i] ?? 0;
      if (place < (parts[i]?.[1] ?? 0)) time = Math.min(time, track.times[place] ?? Infinity);
    });
    if (time === Infinity) return { times, columns };
    times.push(time);
    tracks.forEach((track, i) => {
      let place = places[i] ?? 0;
      while (place < (parts[i]?.[1] ?? 0) && (track.times[place] ?? Infinity) <= time) place += 1;
      places[i] = place;
      columns[i]?.push(place === (parts[i]?.[0] ?? 0) ? null : track.columns[0]?.[place - 1] ?? null);
    });
  }
}
