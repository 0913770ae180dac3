/**
 * Turns at what all share: many at once, or one alone.
 * @module
 */

/** Lets in any number together, and one that wants to be alone when nobody is there. */
export class Turns {
  readonly #inside = new Set<Promise<unknown>>();
  #alone?: Promise<void>;

  /** Beside others. */
  async together<T>(work: () => Promise<T>): Promise<T> {
    while (this.#alone) await this.#alone;
    return await this.#enter(work);
  }

  /** After all who are there, and before all who come then. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#alone;
    const turn = (async () => {
      await before;
      await Promise.all(this.#inside);
      return await work();
    })();
    const over = turn.then(() => {}, () => {});
    this.#alone = over;
    over.then(() => {
      if (this.#alone === over) this.#alone = undefined;
    });
    return await turn;
  }

  async #enter<T>(work: () => Promise<T>): Promise<T> {
    const working = work();
    const over = working.then(() => {}, () => {});
    this.#inside.add(over);
    over.then(() => this.#inside.delete(over));
    return await working;
  }
}
