// All that a page follows, by a few streams: parts say which paths they show, and are told what changed.
//
// Begins with /get/, goes on by /pull/ from that tick, and heals: after a break all is asked for anew, so that nobody shows
// what is no more, and each is told since when nothing was heard. What no stream takes is asked for again and again. While the page
// is hidden the streams rest; when it is seen again they go on from where they were.

import { Failed, groups, halving, isAbort, isTooLong, said } from "./api.ts";
import { type Frame, isList, shares } from "./frames.ts";
import type { Source, Told } from "./stream.ts";

export type { Frame } from "./frames.ts";

export type State = "connecting" | "live" | "offline";
export type Listener = (frame: Frame) => void;

const WAIT_MIN = 250;
const WAIT_MAX = 8_000;
/** Changes of what is followed are gathered for so long (ms): scrolling is no reason to ask fifty times. */
const GATHER = 60;
/** Streams of a page at most: a browser holds six connections to a host, and other pages and requests want some. */
const STREAMS_MAX = 3;
/** A path at which there is nothing. */
const NOBODY = "%00";
/** A page that was hidden, or told nothing true, for so long (ms) is asked for anew: it is history that knows what was meanwhile. */
const RESTED_MAX = 5_000;
/** What no stream takes is asked for so often (ms), or each tick where that is longer. */
const POLL = 1_000;
/** A page for whose streams there is no room looks for some so often (ms). */
const AGAIN = 30_000;
/** It is asked again after so many times as long as the answer took. */
const EASE = 10;
/** Leaves below a path in one event, from which on its figure is asked for: a stream tells all that hangs below it. */
const BELOW_MAX = 256;
/** What a stream was told lately was told so many ticks late at most. */
const LATE = 2;

/** Up to which tick something has been told and when that was (ms), and when it was heard of last. One for all paths of a stream. */
interface Mark { tick: number; at: number; heard: number }

export class Live {
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #states = new Set<() => void>();
  readonly #frames = new Set<() => void>();
  readonly #source: Source;
  #asking: AbortController | null = null;
  #running: AbortController | null = null;
  #known = new Map<string, Mark>();
  /** When paths were heard of before the break (ms). */
  #before = new Map<string, number>();
  /** Paths that the daemon does not take, and why. */
  readonly #refused = new Map<string, string>();
  /** Paths that no stream takes. */
  readonly #apart = new Set<string>();
  /** Paths that streams have told of by themselves, not of what is below them alone. */
  readonly #own = new Set<string>();
  /** All has to be asked for: nobody knows what is. */
  #broke = true;
  /** The page rested since the streams were opened. */
  #woke = false;
  /** The newest tick that was told, and when (ms). */
  #newest = { tick: 0, heard: 0 };
  #timer: ReturnType<typeof setTimeout> | null = null;
  #wait = WAIT_MIN;
  #resting = false;
  #rested = 0;
  state: State = "connecting";
  /** Why there is no connection; null while there is one. */
  error: string | null = null;

  constructor(source: Source) {
    this.#source = source;
  }

  /** Has `listener` told of a path: first what is, then what changes. Returns how to stop. */
  watch(path: string, listener: Listener): () => void {
    const there = this.#listeners.get(path);
    if (there) there.add(listener);
    else this.#listeners.set(path, new Set([listener]));
    // One who comes to a path that is known is told what is, too; where a break comes before that, since when it was for the others.
    const known = this.#known.get(path);
    if (known) this.#before.set(path, known.heard);
    this.#known.delete(path);
    this.#gather();
    return () => {
      const listeners = this.#listeners.get(path);
      listeners?.delete(listener);
      if (listeners?.size === 0) {
        this.#listeners.delete(path);
        this.#known.delete(path);
        this.#apart.delete(path);
        this.#own.delete(path);
        this.#refused.delete(path);
        this.#gather();
      }
    };
  }

  /** Why a path is not followed; null where it is. */
  refusal(path: string): string | null {
    return isTooLong(path) ? "Its name is too long to be followed." : this.#refused.get(path) ?? null;
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

  /** Holds the streams while nobody looks. */
  rest(resting: boolean): void {
    if (resting === this.#resting) return;
    this.#resting = resting;
    if (resting) {
      this.#rested = this.#source.now();
      return this.stop();
    }
    const rested = this.#source.now() - this.#rested;
    if (rested > RESTED_MAX || rested < 0) this.#break();
    this.#woke = true;
    this.#begin(0);
  }

  /** Ends all that is under way. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#asking?.abort();
    this.#running?.abort();
    this.#running = null;
    this.#source.slots?.leave();
    if (this.state === "live") this.#is("connecting", null);
  }

  /** Tries again now, not when the wait is over. */
  retry(): void {
    if (this.state !== "live" && !this.#resting) this.#begin(0);
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

  /** Nothing that is known counts any more, but when it was heard of. */
  #break(): void {
    this.#broke = true;
    for (const [path, { heard }] of this.#known) this.#before.set(path, heard);
    this.#known.clear();
    this.#refused.clear();
  }

  async #run(): Promise<void> {
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    const { signal } = asking;
    try {
      if (this.#woke && !this.#broke && this.#known.size > 0 && await this.#source.forgot(this.#since(this.#known.keys()), signal)) this.#break();
      signal.throwIfAborted();
      if (this.#broke) {
        this.#running?.abort();
        if (this.state === "live") this.#is("connecting", null);
      }
      // The streams there are go on meanwhile.
      await this.#ask(signal);
      if (signal.aborted) return;
      this.#broke = false;
      this.#before.clear();
      await this.#follow();
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      this.#running?.abort();
      asking.abort();
      this.#break();
      this.#is("offline", said(error));
      this.#begin(this.#wait);
      this.#wait = Math.min(this.#wait * 2, WAIT_MAX);
    }
  }

  /** The paths that are followed. Who follows nothing yet wants to know as well whether there is a connection. */
  #paths(): string[] {
    const paths = [...this.#listeners.keys()].filter((path) => this.refusal(path) === null);
    return paths.length === 0 ? [NOBODY] : paths;
  }

  #since(paths: Iterable<string>): number {
    let since = Infinity;
    for (const path of paths) since = Math.min(since, this.#known.get(path)?.tick ?? since);
    return Number.isFinite(since) ? since : 0;
  }

  /** Asks for what is of the paths of which that is not known. */
  async #ask(signal: AbortSignal): Promise<void> {
    const paths = this.#paths().filter((path) => !this.#known.has(path));
    for (const group of groups(paths)) {
      await halving(group, async (some) => {
        // The figure alone: below it may be a million nodes.
        const got = await this.#source.get(some, { signal, depth: 0 });
        if (signal.aborted) return;
        const at = this.#source.now();
        const after = Math.max(0, got.tick - LATE);
        this.#newest = { tick: got.tick, heard: at };
        some.forEach((path, i) => {
          const heard = this.#before.get(path);
          const gap = this.#broke && heard !== undefined ? Math.max(1, at - heard) : 0;
          this.#known.set(path, { tick: got.tick, at, heard: at });
          this.#give(path, { tick: got.tick, at, changes: new Map(Object.entries(got.found[i] ?? {})), whole: true, gap, after, every: 0 });
        });
        this.#frames.forEach((drawn) => drawn());
      }, (path, why) => this.#refuse(path, why));
    }
  }

  #refuse(path: string, why: Failed): void {
    this.#refused.set(path, said(why));
    this.#known.delete(path);
    this.#states.forEach((changed) => changed());
  }

  /** Opens streams in place of those there are, and waits until one ends. */
  async #follow(): Promise<void> {
    const running = new AbortController();
    const { signal } = running;
    const { now, tick } = this.#source;
    // What there was up to now was told, but for the last ticks; after a rest it was not.
    const ticks = Math.floor((now() - this.#newest.heard) / tick);
    const told = this.#running !== null && !this.#woke ? this.#newest.tick + ticks - LATE : 0;
    this.#running?.abort();
    this.#running = running;
    this.#woke = false;
    const paths = this.#paths();
    const all = groups(paths.filter((path) => !this.#apart.has(path)));
    const wanted = Math.min(all.length, STREAMS_MAX);
    const room = this.#source.slots?.take(wanted, () => this.#begin(0)) ?? wanted;
    // Others may have gone by then.
    const again = room < wanted ? setTimeout(() => this.#begin(0), AGAIN) : undefined;
    signal.addEventListener("abort", () => clearTimeout(again));
    const streams = all.slice(0, room);
    const rest = [...all.slice(room).flat(), ...paths.filter((path) => this.#apart.has(path))];
    const live = () => { this.#wait = WAIT_MIN; this.#is("live", null); };
    const parts = streams.map((group) => this.#stream(group, told, signal, live));
    if (rest.length > 0) parts.push(this.#poll(rest, signal, live));
    // The first that ends takes the others with it.
    await Promise.race(parts);
    if (!signal.aborted) throw new Failed("The connection broke.", 0);
  }

  async #stream(group: string[], told: number, signal: AbortSignal, live: () => void): Promise<void> {
    const since = this.#since(group);
    const marks = group.flatMap((path) => this.#known.get(path) ?? []);
    const mark: Mark = {
      tick: since, at: Math.max(...marks.filter(({ tick }) => tick === since).map(({ at }) => at)), heard: Math.min(...marks.map(({ heard }) => heard)),
    };
    let opened = 0;
    let first = true;
    try {
      await this.#source.pull(group, since, signal, {
        opened: () => {
          if (signal.aborted) return;
          // One that somebody else has come to follow meanwhile is not known until it is asked for.
          group.forEach((path) => { if (this.#known.has(path)) this.#known.set(path, mark); });
          mark.heard = opened = this.#source.now();
          live();
        },
        heard: () => {
          const now = this.#source.now();
          if (now < mark.heard - RESTED_MAX) throw new Failed("The clock was put back.", 0);
          mark.heard = now;
        },
        told: (tick, changes) => {
          if (signal.aborted) return;
          this.#stood(mark, tick);
          // The first may hold what changed before there was this stream; what comes later is of its tick.
          const missed = first && this.#source.now() - opened < this.#source.tick * LATE;
          first = false;
          this.#told(mark, tick, changes, Math.min(tick - 1, missed ? Math.max(since, told) : tick - 1));
        },
      });
    } catch (error) {
      if (signal.aborted || !(error instanceof Failed) || !error.refused) throw error;
      // It is no stream that the daemon takes: what it has is asked for, and each by itself where need be.
      group.forEach((path) => this.#apart.add(path));
      this.#begin(0);
      await new Promise((_, gone) => signal.addEventListener("abort", () => gone(signal.reason as Error)));
    }
  }

  /**
   * Throws where what is told now is no more of its tick: too few ticks went by for the time that did. The daemon stood still, or its words
   * were held up on their way. One whose ticks are but slow is not meant.
   */
  #stood({ tick: before, at }: Mark, tick: number): void {
    const now = this.#source.now();
    const late = now - at - (tick - before) * this.#source.tick;
    if (late <= Math.max(RESTED_MAX, LATE * this.#source.tick, (now - at) / 2)) return;
    // Whatever was heard meanwhile was said too late as well.
    for (const mark of this.#known.values()) mark.heard = Math.min(mark.heard, now - late);
    throw new Failed("The connection stood still.", 0);
  }

  /** Asks for paths again and again. */
  async #poll(paths: string[], signal: AbortSignal, live: () => void): Promise<void> {
    const last = new Map<string, string>();
    const pause = (took: number) => Math.max(POLL, this.#source.tick, took * EASE);
    for (;;) {
      const began = this.#source.now();
      for (const group of groups(paths)) {
        await halving(group, async (some) => {
          const got = await this.#source.get(some, { signal, depth: 0 });
          signal.throwIfAborted();
          const at = this.#source.now();
          for (const path of some) {
            const mark = this.#known.get(path);
            if (mark) this.#stood(mark, got.tick);
          }
          const every = pause(at - began) + at - began;
          some.forEach((path, i) => {
            const changes = new Map(Object.entries(got.found[i] ?? {}));
            const is = JSON.stringify([...changes]);
            const before = this.#known.get(path);
            if (before) this.#known.set(path, { tick: got.tick, at, heard: at });
            if (last.get(path) === is) return;
            last.set(path, is);
            // An answer is of a moment, and not of the end of a tick.
            const ticks = Math.max(1, (at - (before?.heard ?? at)) / this.#source.tick);
            this.#give(path, { tick: got.tick, at, changes, whole: false, gap: 0, after: got.tick - ticks, every });
          });
        }, (path, why) => {
          this.#refuse(path, why);
          paths = paths.filter((one) => one !== path);
        });
        live();
      }
      this.#frames.forEach((drawn) => drawn());
      const asked = this.#source.now();
      const wait = pause(asked - began);
      await new Promise((go) => setTimeout(go, wait));
      signal.throwIfAborted();
      const waited = this.#source.now() - asked;
      // The machine slept, or its clock was put elsewhere.
      if (waited > wait + RESTED_MAX || waited < 0) throw new Failed("The connection stood still.", 0);
    }
  }

  #give(path: string, frame: Frame): void {
    this.#listeners.get(path)?.forEach((listener) => listener(frame));
  }

  #told(mark: Mark, tick: number, told: Told, after: number): void {
    const at = this.#source.now();
    mark.heard = mark.at = at;
    mark.tick = Math.max(mark.tick, tick);
    if (tick >= this.#newest.tick) this.#newest = { tick, heard: at };
    for (const [to, changes] of shares(told, this.#listeners)) {
      this.#give(to, { tick, at, changes, whole: false, gap: 0, after, every: 0 });
      if (changes.has(to)) this.#own.add(to);
      // Of a branch a stream tells what is below it, and not what that folds to.
      if ((changes.size > BELOW_MAX || !this.#own.has(to)) && !isList(to) && !this.#apart.has(to)) {
        this.#apart.add(to);
        this.#gather();
      }
    }
    this.#frames.forEach((drawn) => drawn());
  }
}
