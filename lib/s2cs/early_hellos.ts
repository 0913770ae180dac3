import { ScistreamError } from "../protocol/errors.ts";
import type { Uid } from "../protocol/uid.ts";
import { after } from "./expiry.ts";

/** A hello that waits, and whose session it may have. */
interface Waiting<T> extends PromiseWithResolvers<T> {
  mayHave: (session: T) => boolean;
}

/** How many may wait, and for how many milliseconds. */
interface EarlyBounds {
  earlyHellos: number;
  earlyTimeoutMs: number;
  /** Told of a hello that is one too many. */
  onTooManyHellos?: (uid: Uid) => void;
}

/** Hellos that arrived before their req, each waiting for it within bounds (contract section 3, beyond). */
export class EarlyHellos<T> {
  readonly #waiting = new Map<string, Set<Waiting<T>>>();
  readonly #bounds: EarlyBounds;
  #count = 0;

  /** @param bounds may change while hellos wait */
  constructor(bounds: EarlyBounds) {
    this.#bounds = bounds;
  }

  /** How many wait. */
  get size(): number {
    return this.#count;
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
    const { earlyHellos: most, earlyTimeoutMs } = this.#bounds;
    if (this.#count >= most) {
      this.#bounds.onTooManyHellos?.(uid);
      throw new ScistreamError(
        "RATE_LIMIT",
        `${most} hellos already wait for their req; say hello again after the req`,
      );
    }
    const arrival = { ...Promise.withResolvers<T>(), mayHave };
    const queue = this.#waiting.get(uid.hash) ?? new Set();
    this.#waiting.set(uid.hash, queue.add(arrival));
    this.#count++;
    const callOff = after(earlyTimeoutMs, () => arrival.reject(late));
    const cancel = () => arrival.reject(signal.reason);
    signal.addEventListener("abort", cancel, { once: true });
    try {
      return await arrival.promise;
    } finally {
      callOff();
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
