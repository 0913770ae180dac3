/**
 * What the simulation is about: nodes of several kinds, and sessions as users ask for them. The same
 * seed gives the same ones.
 * @module
 */
import type { Rate, Role } from "../../lib/protocol/values.ts";
import type { GatewayNode } from "../../lib/s2ds/data_server.ts";

/** Data ports of every node. */
export const PORTS = "10000-19999";
/** Kilobytes per second of a third of the nodes each: not told, 100 and 1 Gbit/s. */
const CAPACITIES: readonly Rate[] = [0, 12_500_000, 125_000];
/** What sessions ask for: as much as there is, 10 Mbit/s, 100 Mbit/s, 1 Gbit/s. */
const RATES: readonly Rate[] = [0, 1_250, 12_500, 125_000];
export const GREATEST_RATE = Math.max(...RATES);
const MOST_CHANNELS = 4;
/** Who asks for sessions, in turn. */
const USERS = 200;

/** So many nodes, `n0000` and so on. */
export function gatewayNodes(count: number): GatewayNode[] {
  return Array.from({ length: count }, (_, i) => {
    const [high, low] = [i >> 8, i & 255];
    return {
      name: `n${String(i).padStart(4, "0")}`,
      PROD: { told: `10.1.${high}.${low}`, bound: `10.1.${high}.${low}` },
      CONS: { told: `10.2.${high}.${low}`, bound: `10.2.${high}.${low}` },
      capacity: CAPACITIES[i % CAPACITIES.length] ?? 0,
    };
  });
}

/** What a user asks for. */
export interface Wish {
  role: Role;
  channels: number;
  rate: Rate;
  user: string;
}

/** Decisions, the same for the same seed (xorshift32). */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed || 1;
  }

  /** A whole number from 0 to this, without it. */
  below(most: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % most;
  }

  /** One of these. */
  of<T>(some: readonly T[]): T {
    return some[this.below(some.length)] as T;
  }

  /** Kilobytes per second. */
  rate(): Rate {
    return this.of(RATES);
  }

  /** What the next user asks for. */
  wish(): Wish {
    return {
      role: this.below(2) === 0 ? "PROD" : "CONS",
      channels: 1 + this.below(MOST_CHANNELS),
      rate: this.rate(),
      user: `user-${this.below(USERS)}`,
    };
  }
}
