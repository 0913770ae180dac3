/** How much of a second's bytes may pass at once. */
const BURST = 0.02;
/** Bytes that may pass at once however low the rate. */
const LEAST = 2 << 10;
const MOST = 1 << 20;
/** A connection that was let read and has nothing to read keeps others waiting so long, in ms. */
const IDLE_MS = 5;

/** Time, as a limit needs it; in milliseconds. */
export interface Clock {
  now(): number;
  /** Calls back after so long, unless what it answers is called before. */
  after(ms: number, then: () => void): () => void;
}

const CLOCK: Clock = {
  now: () => performance.now(),
  after(ms, then) {
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  },
};

/**
 * Holds one direction of a session to its rate: a token bucket over all its connections. A read may
 * overdraw it; then nobody reads until that is made up for.
 */
export class Limit {
  /** Bytes per second; 0 is no limit. */
  #rate = 0;
  #tokens = 0;
  #at = 0;
  #stop: () => void = () => {};
  readonly #waiting: (() => void)[] = [];
  readonly #clock: Clock;

  constructor(bytesPerSecond: number, clock = CLOCK) {
    this.#clock = clock;
    this.rate = bytesPerSecond;
  }

  set rate(bytesPerSecond: number) {
    this.#refill();
    this.#rate = bytesPerSecond;
    // What a higher rate overdrew is not made up for at a lower one.
    this.#tokens = Math.max(this.#tokens, -this.most);
    if (bytesPerSecond === 0) { for (const then of this.#waiting.splice(0)) then(); }
    this.#wakeLater();
  }

  /** Whether there is room. */
  get open(): boolean {
    this.#refill();
    return this.#rate === 0 || this.#tokens >= 0;
  }

  /** Most bytes that are to be read at once. */
  get most(): number {
    return this.#rate === 0 ? MOST : Math.min(MOST, Math.max(LEAST, this.#rate * BURST));
  }

  /**
   * Takes bytes that were read. Answers false when they were more than there was room for: `then` is
   * called once there is room again.
   */
  spend(bytes: number, then: () => void): boolean {
    if (this.#rate === 0) return true;
    this.#refill();
    this.#tokens -= bytes;
    const room = this.#tokens >= 0;
    if (!room) this.#waiting.push(then);
    this.#wakeLater();
    return room;
  }

  /** Lets nobody wait any more. */
  close(): void {
    this.#stop();
    this.#waiting.length = 0;
  }

  #refill(): void {
    const now = this.#clock.now();
    const most = Math.max(LEAST, this.#rate * BURST);
    this.#tokens = Math.min(most, this.#tokens + (now - this.#at) / 1000 * this.#rate);
    this.#at = now;
  }

  /** One at a time: if all read at once, all would overdraw. */
  #wakeLater(): void {
    this.#stop();
    if (this.#waiting.length === 0) return;
    const ms = this.#tokens < 0 ? -this.#tokens / this.#rate * 1000 : IDLE_MS;
    this.#stop = this.#clock.after(Math.min(Math.ceil(ms), 0x7fffffff), () => {
      this.#refill();
      if (this.#tokens >= 0) this.#waiting.shift()?.();
      this.#wakeLater();
    });
  }
}
