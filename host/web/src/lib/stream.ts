// A stream of what changes, and how its events are read.

import { ANSWER_MAX, ask, Failed, type Got, send, type Value } from "./api.ts";
import { keyArgument } from "./path.ts";

/** What changed at a tick: leaves by their paths. */
export type Told = Array<{ [path: string]: Value }>;

/** Reads the lines of an event stream. */
export class Events {
  /** What has come of a line that is not whole yet. */
  #rest: string[] = [];
  #id = "";
  #data: string[] = [];
  readonly #told: (id: string, data: string) => void;

  constructor(told: (id: string, data: string) => void) {
    this.#told = told;
  }

  /** Takes what has come. */
  feed(text: string): void {
    const end = text.lastIndexOf("\n");
    // A long line comes in many pieces: it is looked at once, when all is there.
    if (end === -1) return void this.#rest.push(text);
    const lines = (this.#rest.join("") + text.slice(0, end)).split("\n");
    this.#rest = [text.slice(end + 1)];
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0) this.#told(this.#id, this.#data.join("\n"));
        this.#data = [];
      } else if (line.startsWith("data: ")) {
        this.#data.push(line.slice(6));
      } else if (line.startsWith("id: ")) {
        this.#id = line.slice(4);
      }
    }
  }
}

/**
 * A stream is silent for so long at most (ms) before it is taken for dead; the daemon says something every 15 s. One that goes on after
 * such a silence stood still, as its daemon or this machine did: what it says next does not tell of that time.
 */
const SILENT_MAX = 25_000;

/** What a stream calls back. */
export interface Follower {
  /** It is there. */
  opened(): void;
  /** A tick's changes. */
  told(tick: number, changes: Told): void;
  /** Anything came, were it but that nothing is new. */
  heard(): void;
}

/** Follows paths by one stream until it ends, breaks or is given up. `now` is a clock that goes on while the machine sleeps (ms). */
export async function pull(paths: readonly string[], since: number, signal: AbortSignal, follower: Follower, now = Date.now): Promise<void> {
  const silent = new AbortController();
  let timer = setTimeout(() => silent.abort(), ANSWER_MAX);
  let heard = 0;
  const wait = () => {
    clearTimeout(timer);
    heard = now();
    timer = setTimeout(() => silent.abort(), SILENT_MAX);
  };
  const url = `/pull/?${paths.map(keyArgument).join("&")}&since=${since}`;
  try {
    const response = await send(url, { signal: AbortSignal.any([signal, silent.signal]), accept: "text/event-stream", most: Infinity });
    const reader = response.body?.getReader();
    if (!reader) return;
    wait();
    follower.opened();
    const text = new TextDecoder();
    const events = new Events((id, data) => follower.told(Number(id), JSON.parse(data) as Told));
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      // Timers slept, too.
      if (now() - heard > SILENT_MAX) throw new Failed("The connection stood still.", 0);
      wait();
      follower.heard();
      events.feed(text.decode(value, { stream: true }));
    }
  } catch (error) {
    if (signal.aborted || error instanceof Failed) throw error;
    throw new Failed("The connection broke.", 0);
  } finally {
    clearTimeout(timer);
    // What is left of it is nobody's.
    silent.abort();
  }
}

/** Whether leaves went after a tick of which nobody can tell any more, or it is one of an earlier life of the daemon. */
export async function forgot(since: number, signal?: AbortSignal): Promise<boolean> {
  return (await ask(`/pull/?key-%2500&since=${since}&wait=0s`, { signal })).forgot;
}

/** What is used of the daemon; tests have their own. */
export interface Source {
  get(paths: readonly string[], options: { signal?: AbortSignal | undefined; depth?: number }): Promise<Got>;
  pull(paths: readonly string[], since: number, signal: AbortSignal, follower: Follower): Promise<void>;
  forgot(since: number, signal?: AbortSignal): Promise<boolean>;
  now(): number;
  /** How long a tick is (ms). */
  tick: number;
  /** Room for streams, which all pages of a browser share. */
  slots?: { take(wanted: number, lost: () => void): number; leave(): void };
}
