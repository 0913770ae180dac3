/**
 * How much one caller may ask for, so that none starves another.
 * @module
 */
import { Buckets } from "../buckets.ts";
import { ScistreamError } from "../protocol/errors.ts";
import type { Refusals } from "./refusals.ts";

/** Bounds of calls; 0 is no bound. A caller is an identity, or an address where callers are not known. */
export interface CallLimits {
  /** Calls a second of one caller; twice as many at once. */
  callRate: number;
  /** Calls a second of all callers; twice as many at once. */
  callRateInAll: number;
  /** Calls of one caller that wait for their answer: requests for their hello, hellos for their request. */
  pendingPerCaller: number;
  /** Calls of all callers that wait. */
  pending: number;
  /** Tokens a second that turn out bad, of one address; ten times as many at once. */
  badTokenRate: number;
}

/** What is enough for a gateway, and not for a flood. */
export const CALL_LIMITS: Readonly<CallLimits> = {
  callRate: 500,
  callRateInAll: 5000,
  pendingPerCaller: 256,
  pending: 4096,
  badTokenRate: 5,
};

/** Unknown tokens of one address that are being checked: each is a question to the provider. */
const CHECKS_PER_ADDRESS = 32;
/** The only key of what is counted for all. */
const ALL = "";

/** Lets calls in, or not. */
export class CallGuard {
  readonly #limits: CallLimits;
  readonly #refusals: Refusals;
  readonly #calls: Buckets;
  readonly #inAll: Buckets;
  readonly #badTokens: Buckets;
  readonly #pending = new Counts();
  readonly #checks = new Counts();

  /**
   * @param limits may change while it runs
   * @param now milliseconds of a clock that nobody sets back
   */
  constructor(limits: CallLimits, refusals: Refusals, now?: () => number) {
    this.#limits = limits;
    this.#refusals = refusals;
    this.#calls = new Buckets(() => ({ rate: limits.callRate, burst: 2 * limits.callRate }), now);
    this.#inAll = new Buckets(() => ({
      rate: limits.callRateInAll,
      burst: 2 * limits.callRateInAll,
    }), now);
    this.#badTokens = new Buckets(() => ({
      rate: limits.badTokenRate,
      burst: 10 * limits.badTokenRate,
    }), now);
  }

  /** Calls that wait for their answer. */
  get pending(): number {
    return this.#pending.sum;
  }

  /**
   * A token that is not known has come from this address, and is to be checked; answers what to do
   * with the outcome.
   * @throws {ScistreamError} RATE_LIMIT
   */
  checking(address: string): (isBad: boolean) => void {
    if (this.#badTokens.isEmpty(address)) {
      throw this.#refuse(
        "bad-token-rate",
        address,
        "too many bad tokens came from your address; try again in a minute with a good one",
      );
    }
    if (this.#checks.of(address) >= CHECKS_PER_ADDRESS) {
      throw this.#refuse(
        "token-checks",
        address,
        `${CHECKS_PER_ADDRESS} tokens from your address are being checked; try again in a moment`,
      );
    }
    const done = this.#checks.add(address);
    return (isBad) => {
      done();
      if (isBad) this.#badTokens.charge(address, 1);
    };
  }

  /**
   * A call from this address was not let in.
   * @throws {ScistreamError} RATE_LIMIT
   */
  refused(address: string): void {
    if (!this.#calls.take(address)) throw this.#tooMany(address);
  }

  /**
   * A call of this caller; answers what to do when it is answered.
   * @param who for the log
   * @throws {ScistreamError} RATE_LIMIT
   */
  admit(caller: string, who: string): () => void {
    const { callRateInAll, pendingPerCaller, pending } = this.#limits;
    // The caller's own bounds come first: what they keep out takes nothing from the others.
    if (!this.#calls.take(caller)) throw this.#tooMany(who);
    if (pendingPerCaller > 0 && this.#pending.of(caller) >= pendingPerCaller) {
      throw this.#refuse(
        "pending-per-caller",
        who,
        `${pendingPerCaller} of your calls wait for their answer; say their hellos, or cancel some`,
      );
    }
    if (pending > 0 && this.#pending.sum >= pending) {
      throw this.#refuse(
        "pending",
        who,
        `${pending} calls wait for their answer at this control server; try again later`,
      );
    }
    if (!this.#inAll.take(ALL)) {
      throw this.#refuse(
        "call-rate-in-all",
        who,
        `this control server answers ${callRateInAll} calls a second; try again in a moment`,
      );
    }
    return this.#pending.add(caller);
  }

  /**
   * One more message on a call that was let in.
   * @throws {ScistreamError} RATE_LIMIT
   */
  more(caller: string): void {
    if (!this.#calls.take(caller)) throw this.#tooMany(caller);
  }

  #tooMany(who: string): ScistreamError {
    return this.#refuse(
      "call-rate",
      who,
      `you make more than ${this.#limits.callRate} calls a second; wait a moment between calls`,
    );
  }

  #refuse(limit: string, who: string, sentence: string): ScistreamError {
    return new LimitError(sentence, this.#refusals.note(limit, who));
  }
}

/** A call that a limit kept out. */
export class LimitError extends ScistreamError {
  /** @param told whether the log tells of it; of most it does not */
  constructor(sentence: string, readonly told: boolean) {
    super("RATE_LIMIT", sentence);
  }
}

/** How many of each key there are now; keys with none are not kept. */
class Counts {
  readonly #counts = new Map<string, number>();
  sum = 0;

  of(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  /** One more; answers what takes it away. */
  add(key: string): () => void {
    this.#counts.set(key, this.of(key) + 1);
    this.sum++;
    return () => {
      const left = this.of(key) - 1;
      if (left > 0) this.#counts.set(key, left);
      else this.#counts.delete(key);
      this.sum--;
    };
  }
}
