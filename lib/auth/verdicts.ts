/**
 * What is known of tokens, for a short time: keyed by the tokens' hashes, never by themselves.
 * @module
 */
import { createHash } from "node:crypto";

/** As many as a gateway has callers, and then some. */
const MOST = 10_000;

/**
 * Remembers outcomes. Good ones and bad ones have room of their own, so that whoever tries many
 * tokens pushes out nobody's good one.
 */
export class Verdicts<Good, Bad> {
  readonly #good = new Map<string, { until: number; value: Good }>();
  readonly #bad = new Map<string, { until: number; value: Bad }>();
  readonly #pending = new Map<string, Promise<Good | Bad>>();
  readonly #now: () => number;

  /** @param now milliseconds of a clock that nobody sets back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** How many are being found out. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Whether a token is known to be good, or bad. */
  knows(token: string): boolean {
    const key = keyOf(token);
    const known = this.#good.get(key) ?? this.#bad.get(key);
    return (known?.until ?? 0) > this.#now();
  }

  /**
   * What is known, or found out by `find`: one at a time for one token. What it throws is not
   * remembered.
   * @param find answers the outcome, whether it is good, and for how many milliseconds it holds
   */
  async get(
    token: string,
    find: () => Promise<
      { value: Good; good: true; ms: number } | { value: Bad; good: false; ms: number }
    >,
  ): Promise<Good | Bad> {
    const key = keyOf(token);
    const known = this.#good.get(key) ?? this.#bad.get(key);
    if (known && known.until > this.#now()) return known.value;
    const pending = this.#pending.get(key);
    if (pending) return await pending;
    const finding = find().then((found) => {
      this.#good.delete(key);
      this.#bad.delete(key);
      const until = this.#now() + found.ms;
      if (found.good) keep(this.#good, key, { until, value: found.value });
      else keep(this.#bad, key, { until, value: found.value });
      return found.value;
    }).finally(() => this.#pending.delete(key));
    this.#pending.set(key, finding);
    return await finding;
  }
}

function keyOf(token: string): string {
  return createHash("sha256").update(token).digest("base64");
}

/** A Map keeps the order of insertion, so the first is the oldest. */
function keep<T>(map: Map<string, T>, key: string, value: T): void {
  if (map.size >= MOST) map.delete(map.keys().next().value as string);
  map.set(key, value);
}
