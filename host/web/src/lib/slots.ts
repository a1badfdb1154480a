// How many streams the pages of one browser hold: of six connections to a host, two are left for whatever else is asked.
//
// Pages share no memory, but what the browser keeps for the host: each stream has one of four places there, as `ID TIME`, and says every
// few seconds that it is still there. One that was killed is forgotten soon. Of two that took the same at once the one that wrote last has
// it, and the other is told so when it looks. Where nothing is kept, a page has what it wants.

const PLACES = 4;
/** A page says so often (ms) that it holds its places. */
const EVERY = 2_000;
/** One that has not said so for so long (ms) is gone; a page in the background says it once a second at best, or once a minute and rests. */
const GONE = 7_000;
/** It looks after so long (ms) for the first time whether what it took is still its own. */
const SOON = 300;
const NAME = "graftd-stream-";

export interface Kept { getItem(name: string): string | null; setItem(name: string, value: string): void; removeItem(name: string): void }

export class Slots {
  readonly #kept: Kept | null;
  readonly #id: string;
  readonly #now: () => number;
  readonly #choose: () => number;
  #mine: number[] = [];
  #timer: ReturnType<typeof setInterval> | null = null;
  #soon: ReturnType<typeof setTimeout> | undefined;
  #lost: () => void = () => undefined;

  /** `choose` gives a number from 0 up to 1, as `Math.random` does. */
  constructor(kept: Kept | null, now: () => number = Date.now, choose: () => number = Math.random) {
    this.#choose = choose;
    this.#kept = kept;
    this.#now = now;
    this.#id = Math.random().toString(36).slice(2);
  }

  /** Takes places for `wanted` streams, in place of those it has; gives for how many. `lost` is called when somebody else has one of them. */
  take(wanted: number, lost: () => void = () => undefined): number {
    this.#lost = lost;
    if (this.#kept === null) return wanted;
    try {
      const mine: number[] = [];
      // Each begins elsewhere: pages that are opened at the same moment would all take the first, and those who lose it all the second.
      const first = Math.floor(this.#choose() * PLACES);
      const others = Array.from({ length: PLACES }, (_, n) => (first + n) % PLACES).filter((place) => !this.#mine.includes(place));
      for (const place of [...this.#mine, ...others]) {
        const [id, at] = (this.#kept.getItem(NAME + place) ?? "").split(" ");
        const free = id === this.#id || !(Math.abs(this.#now() - Number(at)) < GONE);
        if (free && mine.length < wanted) mine.push(place);
        else if (id === this.#id) this.#kept.removeItem(NAME + place);
      }
      this.#mine = mine;
      this.#stop();
      this.#say();
      if (mine.length > 0) {
        this.#soon = setTimeout(() => this.check(), SOON);
        this.#timer = setInterval(() => this.check(), EVERY);
      }
      return mine.length;
    } catch {
      // It is full, or not to be used.
      return wanted;
    }
  }

  /** Says that it is still there, where nobody else is. */
  check(): void {
    let mine = this.#mine;
    try {
      mine = mine.filter((place) => {
        const [id, at] = (this.#kept?.getItem(NAME + place) ?? "").split(" ");
        return id === this.#id || !(Math.abs(this.#now() - Number(at)) < GONE);
      });
    } catch {
      // Nobody knows.
    }
    const lost = mine.length < this.#mine.length;
    this.#mine = mine;
    this.#say();
    if (lost) this.#lost();
  }

  #say(): void {
    try {
      for (const place of this.#mine) this.#kept?.setItem(NAME + place, `${this.#id} ${this.#now()}`);
    } catch {
      // Others may take them: there is a stream more then.
    }
  }

  #stop(): void {
    clearTimeout(this.#soon);
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Gives back all that it has. */
  leave(): void {
    this.#stop();
    try {
      for (const place of this.#mine) if (this.#kept?.getItem(NAME + place)?.startsWith(`${this.#id} `)) this.#kept.removeItem(NAME + place);
    } catch {
      // They are forgotten by themselves.
    }
    this.#mine = [];
  }
}

/** The browser's own; nothing where it keeps nothing. */
export function kept(): Kept | null {
  try {
    return localStorage;
  } catch {
    return null;
  }
}
