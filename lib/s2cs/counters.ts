/**
 * What a control server counts about itself; cheap, and always on.
 * @module
 */

/** Counts by labels, which are few: names of methods, codes, limits. */
export class Counter {
  readonly #counts = new Map<string, number>();

  /** @param known labels that are told from the beginning, with 0: a first count is an increase */
  constructor(...known: string[]) {
    for (const label of known) this.#counts.set(label, 0);
  }

  add(...labels: string[]): void {
    const key = labels.join("\0");
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  /** Each combination of labels that was counted, and how often. */
  entries(): { labels: string[]; count: number }[] {
    return [...this.#counts].map(([key, count]) => ({ labels: key.split("\0"), count }));
  }
}

/** What of one label was observed. */
export interface Observed {
  label: string;
  /** How many were at most the bound of the same index. */
  upTo: number[];
  count: number;
  /** Of all that was observed. */
  sum: number;
}

/** Times by a label, as Prometheus' histograms have them; in seconds. */
export class Histogram {
  /** Upper bounds, ascending. */
  readonly bounds: readonly number[];
  readonly #observed: Map<string, Observed>;

  constructor(bounds: readonly number[], ...labels: string[]) {
    this.bounds = bounds;
    this.#observed = new Map(labels.map((label) => [label, this.#nothing(label)]));
  }

  observe(label: string, seconds: number): void {
    const observed = this.#observed.get(label) ?? this.#nothing(label);
    this.#observed.set(label, observed);
    observed.count++;
    observed.sum += seconds;
    this.bounds.forEach((bound, i) => {
      if (seconds <= bound) observed.upTo[i] = (observed.upTo[i] ?? 0) + 1;
    });
  }

  /** What was observed of each label. */
  entries(): Observed[] {
    return [...this.#observed.values()];
  }

  #nothing(label: string): Observed {
    return { label, upTo: this.bounds.map(() => 0), count: 0, sum: 0 };
  }
}

/** The steps of a session's set-up, each from the end of the one before; `total` is all of them. */
export const SETUP_STEPS = ["reserve", "listen", "hello", "update", "total"] as const;
/** One of them. */
export type SetupStep = typeof SETUP_STEPS[number];

/** From a data server in this process to a user who starts the application by hand; seconds. */
const SETUP_SECONDS = [
  ...[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5],
  ...[1, 2.5, 5, 10, 30, 60, 180],
];
/** From keys that are here already to a provider that is given up on; seconds. */
const CHECK_SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** A control server's counts since it started. */
export class Counters {
  /** By method and outcome: `OK`, or a code of contract section 4. */
  readonly calls = new Counter();
  /** Calls and connections that a limit kept out, by the limit. */
  readonly refusals = new Counter();
  /** Sessions that were taken up from an earlier control server, or lost, by outcome. */
  readonly recovered = new Counter("resumed", "over");
  /** Sessions that ended, by the state that they ended in. */
  readonly ended = new Counter("released", "expired", "failed");
  /** How long the steps of set-ups took. */
  readonly setup = new Histogram(SETUP_SECONDS, ...SETUP_STEPS);
  /** Callers that were let in or not, by outcome, and whether that was known without asking. */
  readonly authentications = new Counter();
  /** How long it took to find out about tokens that were not known. */
  readonly checks = new Histogram(CHECK_SECONDS, "");
  /** What could not be done beside the calls: writes to the store and to the audit log. */
  readonly writeErrors = new Counter("store", "audit");
  /** Data servers that ended by themselves. */
  readonly restarts = new Counter("");
}
