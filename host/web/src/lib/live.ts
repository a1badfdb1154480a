// All that a page follows, by one stream: parts say which paths they show, and are told what changed.
//
// Begins with /get/, goes on by /pull/ from that tick, and heals: after a break all is asked for anew, so that nobody shows
// what is no more. While the page is hidden the stream rests; when it is seen again it goes on from where it was.

import { Failed, type Got, type Told, type Value, get, groups, isAbort, pull, said } from "./api.ts";
import { parent } from "./path.ts";

/** Something that happened at a moment (ms since 1970, this browser's clock). */
export interface Frame {
  tick: number;
  at: number;
  /** Leaves by their paths, and what folds by the path as it was asked for. */
  changes: Map<string, Value>;
  /** Not what changed, but what is: the first answer, and the one after a break. */
  whole: boolean;
  /** How long nothing was heard before it (ms); 0 but after a break. */
  gap: number;
  /** It may hold what changed in several ticks: the first of a stream. */
  spread: boolean;
}

export type State = "connecting" | "live" | "offline";
export type Listener = (frame: Frame) => void;

/** What is used of the daemon; tests have their own. */
export interface Source {
  get(paths: readonly string[], options: { signal?: AbortSignal | undefined; depth?: number }): Promise<Got>;
  pull: typeof pull;
  now(): number;
}

const WAIT_MIN = 250;
const WAIT_MAX = 8_000;
/** Changes of what is followed are gathered for so long (ms): scrolling is no reason to ask fifty times. */
const GATHER = 60;
/** Streams of a page at most: a browser holds six connections to a host, and other pages and requests want some. */
const STREAMS_MAX = 3;
/** A path at which there is nothing. */
const NOBODY = "%00";
/** A page that was hidden for so long (ms) is asked for anew: leaves that went meanwhile may be forgotten. */
const RESTED_MAX = 20_000;

export class Live {
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #states = new Set<() => void>();
  readonly #frames = new Set<() => void>();
  readonly #source: Source;
  #running: AbortController | null = null;
  #known = new Set<string>();
  #tick = 0;
  #heard = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #wait = WAIT_MIN;
  #resting = false;
  #rested = 0;
  state: State = "connecting";
  /** Why there is no connection; null while there is one. */
  error: string | null = null;

  constructor(source: Source = { get, pull, now: Date.now }) {
    this.#source = source;
  }

  /** Has `listener` told of a path: first what is, then what changes. Returns how to stop. */
  watch(path: string, listener: Listener): () => void {
    const there = this.#listeners.get(path);
    if (there) there.add(listener);
    else this.#listeners.set(path, new Set([listener]));
    // One who comes to a path that is known is told what is, too.
    this.#known.delete(path);
    this.#gather();
    return () => {
      const listeners = this.#listeners.get(path);
      listeners?.delete(listener);
      if (listeners?.size === 0) {
        this.#listeners.delete(path);
        this.#known.delete(path);
        this.#gather();
      }
    };
  }

  /** Calls back when the connection is lost or back. */
  onState(changed: () => void): () => void {
    this.#states.add(changed);
    return () => this.#states.delete(changed);
  }

  /** Calls back when all have been told what has come: it is time to draw. */
  onFrame(drawn: () => void): () => void {
    this.#frames.add(drawn);
    return () => this.#frames.delete(drawn);
  }

  /** Holds the stream while nobody looks. */
  rest(resting: boolean): void {
    if (resting === this.#resting) return;
    this.#resting = resting;
    if (resting) {
      this.#rested = this.#source.now();
      return this.stop();
    }
    if (this.#source.now() - this.#rested > RESTED_MAX) this.#known.clear();
    this.#begin(0);
  }

  /** Ends all that is under way. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#running?.abort();
    this.#running = null;
  }

  /** Tries again now, not when the wait is over. */
  retry(): void {
    if (this.state !== "live") this.#begin(0);
  }

  #gather(): void {
    if (!this.#resting && this.state !== "offline") this.#begin(GATHER);
  }

  #begin(after: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#run();
    }, after);
  }

  #is(state: State, error: string | null): void {
    if (state === this.state && error === this.error) return;
    this.state = state;
    this.error = error;
    this.#states.forEach((changed) => changed());
  }

  async #run(): Promise<void> {
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    const { signal } = running;
    const followed = [...this.#listeners.keys()];
    // Who follows nothing yet wants to know as well whether there is a connection.
    const paths = followed.length === 0 ? [NOBODY] : followed;
    try {
      const broke = this.#known.size === 0;
      // What is new is asked for; after a break, all.
      const asked = broke ? paths : paths.filter((path) => !this.#known.has(path));
      let since = this.#tick;
      if (asked.length > 0) {
        // The figure alone: what hangs below it may be a million nodes.
        const got = await this.#source.get(asked, { signal, depth: 0 });
        const gap = broke && this.#heard > 0 ? this.#source.now() - this.#heard : 0;
        asked.forEach((path) => this.#known.add(path));
        // From the older of the two: what was known is told from where it was, and nothing of what is new is missed.
        since = broke ? got.tick : Math.min(got.tick, this.#tick);
        this.#tick = since;
        this.#whole(asked, got, gap);
      }
      if (signal.aborted) return;
      const opened = () => {
        this.#wait = WAIT_MIN;
        this.#is("live", null);
      };
      const parts = groups(paths).slice(0, STREAMS_MAX).map((group) => {
        let spread = true;
        return this.#source.pull(group, since, signal, opened, (tick, told) => {
          if (!signal.aborted) this.#told(tick, told, spread);
          spread = false;
        });
      });
      // The first that ends takes the others with it.
      await Promise.race(parts);
      throw new Failed("The connection broke.", 0);
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      running.abort();
      this.#known.clear();
      this.#is("offline", said(error));
      this.#begin(this.#wait);
      this.#wait = Math.min(this.#wait * 2, WAIT_MAX);
    }
  }

  #whole(asked: readonly string[], got: Got, gap: number): void {
    const at = this.#source.now();
    this.#heard = at;
    asked.forEach((path, i) => {
      const changes = new Map(Object.entries(got.found[i] ?? {}));
      const frame: Frame = { tick: got.tick, at, changes, whole: true, gap, spread: false };
      this.#listeners.get(path)?.forEach((listener) => listener(frame));
    });
    this.#frames.forEach((drawn) => drawn());
  }

  #told(tick: number, told: Told, spread: boolean): void {
    const at = this.#source.now();
    this.#heard = at;
    this.#tick = Math.max(this.#tick, tick);
    const parts = new Map<string, Map<string, Value>>();
    const give = (to: string, path: string, value: Value) => {
      if (!this.#listeners.has(to)) return;
      const part = parts.get(to);
      if (part) part.set(path, value);
      else parts.set(to, new Map([[path, value]]));
    };
    const lists = [...this.#listeners.keys()].filter((path) => path.split(",").includes("*"));
    for (const one of told) {
      for (const [path, value] of Object.entries(one)) {
        // Who follows it, and who follows what is above it.
        for (let above: string | null = path; above !== null; above = parent(above)) give(above, path, value);
        for (const list of lists) if (listed(path, list)) give(list, path, value);
      }
    }
    for (const [to, changes] of parts) {
      const frame: Frame = { tick, at, changes, whole: false, gap: 0, spread };
      this.#listeners.get(to)?.forEach((listener) => listener(frame));
    }
    this.#frames.forEach((drawn) => drawn());
  }
}

/** Whether a path is one that a path with `*` lists. */
function listed(path: string, list: string): boolean {
  const [found, wanted] = [path.split(","), list.split(",")];
  return found.length === wanted.length && wanted.every((step, i) => step === "*" || step === found[i]);
}

/** The page's one stream; it rests while the page is hidden, and is tried at once when the network is back. */
export function pageLive(): Live {
  const live = new Live();
  live.retry();
  document.addEventListener("visibilitychange", () => live.rest(document.hidden));
  addEventListener("online", () => live.retry());
  addEventListener("pagehide", () => live.stop());
  return live;
}
