import { ScistreamError } from "../protocol/errors.ts";
import type { Uid } from "../protocol/uid.ts";

/** A hello that waits, and whose session it may have. */
interface Waiting<T> extends PromiseWithResolvers<T> {
  mayHave: (session: T) => boolean;
}

/** Hellos that arrived before their req, each waiting for it within bounds (contract section 3, beyond). */
export class EarlyHellos<T> {
  readonly #waiting = new Map<string, Set<Waiting<T>>>();
  readonly #most: number;
  readonly #timeoutMs: number;
  #count = 0;

  constructor(most: number, timeoutMs: number) {
    this.#most = most;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Resolves when the session's req has its listeners.
   * @param mayHave whether this hello is one for that session
   * @param late what to answer after the time-out
   * @throws {ScistreamError} `late`, or RATE_LIMIT when too many wait
   */
  async wait(
    uid: Uid,
    signal: AbortSignal,
    mayHave: (session: T) => boolean,
    late: ScistreamError,
  ): Promise<T> {
    signal.throwIfAborted();
    if (this.#count >= this.#most) {
      throw new ScistreamError(
        "RATE_LIMIT",
        `${this.#most} hellos already wait for their req; say hello again after the req`,
      );
    }
    const arrival = { ...Promise.withResolvers<T>(), mayHave };
    const queue = this.#waiting.get(uid.hash) ?? new Set();
    this.#waiting.set(uid.hash, queue.add(arrival));
    this.#count++;
    const timer = setTimeout(() => arrival.reject(late), this.#timeoutMs);
    const cancel = () => arrival.reject(signal.reason);
    signal.addEventListener("abort", cancel, { once: true });
    try {
      return await arrival.promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", cancel);
      this.#count--;
      queue.delete(arrival);
      if (queue.size === 0 && this.#waiting.get(uid.hash) === queue) this.#waiting.delete(uid.hash);
    }
  }

  /** The session's req is here. */
  arrived(uid: Uid, session: T): void {
    for (const arrival of this.#waiting.get(uid.hash) ?? []) {
      if (arrival.mayHave(session)) arrival.resolve(session);
    }
  }

  rejectAll(error: Error): void {
    for (const queue of this.#waiting.values()) for (const arrival of queue) arrival.reject(error);
  }
}
