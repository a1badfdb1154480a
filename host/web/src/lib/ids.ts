// Panels keep what they are while their paths change: each has a number of its own.

export class Ids {
  readonly #all = new Map<string, number>();
  #next = 1;

  /** The number of the panel of a path. */
  of(path: string): number {
    let id = this.#all.get(path);
    if (id === undefined) this.#all.set(path, id = this.#next++);
    return id;
  }

  /** A panel has another path; where there is one of that path, that stays and this one goes. */
  move(from: string, to: string): void {
    const id = this.#all.get(from);
    if (id === undefined || from === to) return;
    this.#all.delete(from);
    if (!this.#all.has(to)) this.#all.set(to, id);
  }

  /** A panel is gone. */
  drop(path: string): void {
    this.#all.delete(path);
  }
}
