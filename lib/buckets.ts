/**
 * Token buckets by key: how much each caller, address or whatever the keys are may still do.
 * @module
 */

/** What one key may have: `rate` a second in the long run, `burst` at once. */
export interface Allowance {
  readonly rate: number;
  readonly burst: number;
}

interface Bucket {
  level: number;
  atMs: number;
}

/** Whoever comes with ever new keys makes the oldest forgotten, and nothing grow. */
const MOST = 10_000;

/** One bucket a key; a key that has not been seen has a full one. */
export class Buckets {
  readonly #buckets = new Map<string, Bucket>();
  readonly #allowance: () => Allowance;
  readonly #now: () => number;

  /**
   * @param allowance asked each time, for settings may change; a rate of 0 is no bound
   * @param now milliseconds of a clock that nobody sets back
   */
  constructor(allowance: () => Allowance, now: () => number = () => performance.now()) {
    this.#allowance = allowance;
    this.#now = now;
  }

  /** Takes this much, if there is as much; answers whether there was. */
  take(key: string, amount = 1): boolean {
    if (this.#allowance().rate === 0) return true;
    const bucket = this.#fill(key);
    if (bucket.level < amount) return false;
    bucket.level -= amount;
    return true;
  }

  /** Takes this much whether it is there or not, at most down to minus a burst: a debt has to be waited off. */
  charge(key: string, amount: number): void {
    const { rate, burst } = this.#allowance();
    if (rate === 0) return;
    const bucket = this.#fill(key);
    bucket.level = Math.max(-burst, bucket.level - amount);
  }

  /** Gives back, at most up to a full bucket. */
  give(key: string, amount: number): void {
    const bucket = this.#fill(key);
    bucket.level = Math.min(this.#allowance().burst, bucket.level + amount);
  }

  /** Whether nothing is left. */
  isEmpty(key: string): boolean {
    return this.#allowance().rate > 0 && this.#fill(key).level <= 0;
  }

  #fill(key: string): Bucket {
    const { rate, burst } = this.#allowance();
    const nowMs = this.#now();
    const known = this.#buckets.get(key);
    const bucket = known ?? { level: burst, atMs: nowMs };
    bucket.level = Math.min(burst, bucket.level + (nowMs - bucket.atMs) / 1000 * rate);
    bucket.atMs = nowMs;
    // The latest seen is the last: a Map keeps the order of insertion.
    if (known) this.#buckets.delete(key);
    else if (this.#buckets.size >= MOST) {
      this.#buckets.delete(this.#buckets.keys().next().value ?? "");
    }
    this.#buckets.set(key, bucket);
    return bucket;
  }
}
