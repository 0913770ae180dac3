/**
 * How all sessions look, once an interval, for everybody who looks on: the data servers are asked once
 * for all of them, and not at all while nobody looks.
 * @module
 */
import type { SessionReport } from "./gateway.ts";

/** All sessions at one moment, oldest first. */
export interface Snapshot {
  /** Milliseconds since 1970 UTC. */
  atMs: number;
  sessions: SessionReport[];
}

/** Takes snapshots while it is watched. */
export class Observer {
  readonly #take: () => Promise<SessionReport[]>;
  readonly #everyMs: number;
  #watchers = 0;
  #isLooking = false;
  #latest?: Snapshot;
  #changed = Promise.withResolvers<void>();
  /** Ends the pause between two snapshots. */
  #wake = () => {};

  /** @param take answers every session; @param everyMs between one snapshot and the next */
  constructor(take: () => Promise<SessionReport[]>, everyMs = 1000) {
    this.#take = take;
    this.#everyMs = everyMs;
  }

  /**
   * The latest snapshot and those that follow, until the signal. Whoever is slow misses some.
   */
  async *watch(signal: AbortSignal): AsyncGenerator<Snapshot, void> {
    const wake = () => this.#tell();
    signal.addEventListener("abort", wake, { once: true });
    this.#watchers++;
    this.#look();
    let seen: Snapshot | undefined;
    try {
      while (!signal.aborted) {
        if (this.#latest && this.#latest !== seen) {
          seen = this.#latest;
          yield seen;
        } else {
          await this.#changed.promise;
        }
      }
    } finally {
      signal.removeEventListener("abort", wake);
      if (--this.#watchers === 0) {
        this.#latest = undefined;
        this.#wake();
      }
    }
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    while (this.#watchers > 0) {
      const atMs = Date.now();
      const sessions = await this.#take();
      this.#latest = { atMs, sessions };
      this.#tell();
      if (this.#watchers > 0) await this.#pause();
    }
    this.#isLooking = false;
  }

  /** Has everybody look again. */
  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#everyMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
