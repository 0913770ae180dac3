/**
 * What a control server counts about itself; cheap, and always on.
 * @module
 */

/** Counts by labels, which are few: names of methods, codes, limits. */
export class Counter {
  readonly #counts = new Map<string, number>();

  add(...labels: string[]): void {
    const key = labels.join("\0");
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  /** Each combination of labels that was counted, and how often. */
  entries(): { labels: string[]; count: number }[] {
    return [...this.#counts].map(([key, count]) => ({ labels: key.split("\0"), count }));
  }
}

/** A control server's counts since it started. */
export class Counters {
  /** By method and outcome: `OK`, or a code of contract section 4. */
  readonly calls = new Counter();
  /** Calls and connections that a limit kept out, by the limit. */
  readonly refusals = new Counter();
  /** Sessions that were taken up from an earlier control server, or lost, by outcome. */
  readonly recovered = new Counter();
}
