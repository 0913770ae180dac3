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

/** A snapshot, and how many there have been with it. */
interface Taken extends Snapshot {
  n: number;
}

/** Takes snapshots while it is watched. */
export class Observer {
  readonly #take: () => Promise<SessionReport[]>;
  readonly #everyMs: number;
  #watchers = 0;
  #isLooking = false;
  #latest?: Taken;
  #taken = 0;
  /** The snapshot that is being taken, and the next one where somebody waits for that already. */
  #under: Promise<unknown> = Promise.resolve();
  #soon?: Promise<Taken>;
  #changed = Promise.withResolvers<void>();
  /** Ends the pause between two snapshots. */
  #wake = () => {};

  /** @param take answers every session; @param everyMs between one snapshot and the next */
  constructor(take: () => Promise<SessionReport[]>, everyMs = 1000) {
    this.#take = take;
    this.#everyMs = everyMs;
  }

  /**
   * How all sessions look now, and the snapshots that follow, until the signal. Whoever is slow misses
   * some.
   */
  async *watch(signal: AbortSignal): AsyncGenerator<Snapshot, void> {
    const wake = () => this.#tell();
    signal.addEventListener("abort", wake, { once: true });
    this.#watchers++;
    this.#look();
    try {
      // Whoever has just made a session finds it.
      let seen = await this.#fresh();
      if (!signal.aborted) yield seen;
      while (!signal.aborted) {
        if (this.#latest && this.#latest.n > seen.n) {
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
      this.#latest = await this.#fresh();
      this.#tell();
      if (this.#watchers > 0) await this.#pause();
    }
    this.#isLooking = false;
  }

  /** How all sessions look now; all who ask meanwhile share the answer. */
  now(): Promise<Snapshot> {
    return this.#fresh();
  }

  /** A snapshot that begins from now on. */
  #fresh(): Promise<Taken> {
    return this.#soon ??= this.#under.then(() => {
      this.#soon = undefined;
      const shot = this.#shot();
      this.#under = shot.catch(() => {});
      return shot;
    });
  }

  async #shot(): Promise<Taken> {
    const [n, atMs] = [++this.#taken, Date.now()];
    return { n, atMs, sessions: await this.#take() };
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
