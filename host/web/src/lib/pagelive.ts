// What a page follows, as its browser has it: hidden, away, back.

import { get } from "./api.ts";
import { Live } from "./live.ts";
import { kept, Slots } from "./slots.ts";
import { forgot, pull } from "./stream.ts";

/** The page's one; it rests while the page is hidden, and is tried at once when the network is back. */
export function pageLive(): Live {
  const tick = Number(document.documentElement.dataset["tick"]) || 1000;
  const live = new Live({ get, pull, forgot, now: Date.now, tick, slots: new Slots(kept()) });
  // One that is opened behind another is told nothing until somebody looks.
  if (document.hidden) live.rest(true);
  live.retry();
  document.addEventListener("visibilitychange", () => live.rest(document.hidden));
  addEventListener("online", () => live.retry());
  // One that is come back to by the browser's way back is as it was left.
  addEventListener("pagehide", () => live.rest(true));
  addEventListener("pageshow", () => live.rest(document.hidden));
  return live;
}
