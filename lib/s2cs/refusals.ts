/**
 * Whom the limits kept out: counted each, told seldom, so that a flood fills neither log nor disk.
 * @module
 */
import type { Log } from "../log.ts";

/** Between two lines about one limit. */
const QUIET_MS = 10_000;

/** Counts by the limit's name. */
export class Refusals {
  readonly #told = new Map<string, { atMs: number; since: number }>();
  readonly #log: Log;
  readonly #count: (limit: string) => void;
  readonly #now: () => number;

  /**
   * @param count called for each
   * @param now milliseconds of a clock that nobody sets back
   */
  constructor(
    log: Log,
    count: (limit: string) => void,
    now: () => number = () => performance.now(),
  ) {
    this.#log = log;
    this.#count = count;
    this.#now = now;
  }

  /** Somebody was kept out; answers whether that was told. */
  note(limit: string, who: string): boolean {
    this.#count(limit);
    const nowMs = this.#now();
    const told = this.#told.get(limit);
    if (told && nowMs - told.atMs < QUIET_MS) {
      told.since++;
      return false;
    }
    const more = told && told.since > 0 ? `, and ${told.since} more since the last line` : "";
    this.#log("warn", `limit ${limit}: ${who} was kept out${more}`);
    this.#told.set(limit, { atMs: nowMs, since: 0 });
    return true;
  }
}
