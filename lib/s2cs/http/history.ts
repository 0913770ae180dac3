/**
 * How fast bytes went during the last minutes, for a page that is opened now.
 * @module
 */
import type { SessionReport } from "../gateway.ts";
import type { Snapshot } from "../observer.ts";

/** Snapshots that are kept: five minutes. */
const MOST = 300;
/** Owners that are kept apart; of more, only the sum of all is. */
const MOST_OWNERS = 1_000;

/** Bytes per second at some moments; all of one length, oldest first. */
export interface Past {
  /** Milliseconds since 1970 UTC. */
  at: number[];
  to: number[];
  from: number[];
}

/** Of whom. */
export type Whose = "all" | `owner:${string}` | `session:${string}`;

/** A ring of speeds for all sessions together, for each owner's and for each session. */
export class History {
  readonly #at = new Float64Array(MOST);
  #count = 0;
  /** To and from in turn; 2.4 kB each. */
  readonly #rings = new Map<Whose, { speeds: Float32Array; last: number }>();

  /** Adds what is seen now. */
  add({ atMs, sessions }: Snapshot): void {
    const slot = this.#count % MOST;
    this.#at[slot] = atMs;
    for (const { speeds } of this.#rings.values()) speeds.fill(0, 2 * slot, 2 * slot + 2);
    this.#ring("all");
    for (const report of sessions) {
      const { owner, uid } = report.session;
      const { to, from } = speedOf(report);
      const whose: Whose[] = ["all", `session:${uid.hash}`];
      if (owner) whose.push(`owner:${owner.id}`);
      for (const each of whose) {
        const speeds = this.#ring(each);
        if (!speeds) continue;
        speeds[2 * slot] = (speeds[2 * slot] as number) + to;
        speeds[2 * slot + 1] = (speeds[2 * slot + 1] as number) + from;
      }
    }
    for (const [whose, { last }] of this.#rings) {
      const patience = whose.startsWith("session:") ? 1 : MOST;
      if (this.#count - last >= patience) this.#rings.delete(whose);
    }
    this.#count++;
  }

  /** What is known; nothing of whom nobody knows. */
  past(whose: Whose): Past {
    const past: Past = { at: [], to: [], from: [] };
    const speeds = this.#rings.get(whose)?.speeds;
    for (let i = Math.max(0, this.#count - MOST); i < this.#count; i++) {
      const slot = i % MOST;
      past.at.push(this.#at[slot] as number);
      past.to.push(Math.round(speeds?.[2 * slot] ?? 0));
      past.from.push(Math.round(speeds?.[2 * slot + 1] ?? 0));
    }
    return past;
  }

  #ring(whose: Whose): Float32Array | undefined {
    let ring = this.#rings.get(whose);
    if (!ring) {
      const owners = whose.startsWith("owner:") && this.#rings.size >= MOST_OWNERS &&
        [...this.#rings.keys()].filter((each) => each.startsWith("owner:")).length >= MOST_OWNERS;
      if (owners) return undefined;
      ring = { speeds: new Float32Array(2 * MOST), last: 0 };
      this.#rings.set(whose, ring);
    }
    ring.last = this.#count;
    return ring.speeds;
  }
}

/** Bytes per second of all channels together. */
export function speedOf({ channels }: SessionReport): { to: number; from: number } {
  const speed = { to: 0, from: 0 };
  for (const { speedToTarget, speedFromTarget } of channels) {
    speed.to += speedToTarget;
    speed.from += speedFromTarget;
  }
  return speed;
}
