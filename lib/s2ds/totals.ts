/**
 * What a data server has carried in all its sessions, those that have ended among them.
 * @module
 */
import type { ChannelStatus } from "./data_server.ts";

/** Counts that only grow, while the process lives that counts. */
export interface Totals {
  bytesToTarget: number;
  bytesFromTarget: number;
  connectionsTotal: number;
  connectionsFailed: number;
  connectionsRefused: number;
  datagramsDropped: number;
}

/** What everything has carried together, and the connections that are open now. */
export interface Traffic {
  totals: Totals;
  connectionsOpen: number;
}

/** Totals of nothing. */
export function noTotals(): Totals {
  return {
    bytesToTarget: 0,
    bytesFromTarget: 0,
    connectionsTotal: 0,
    connectionsFailed: 0,
    connectionsRefused: 0,
    datagramsDropped: 0,
  };
}

/** The names of the counts. */
export const TOTALS = Object.keys(noTotals()) as readonly (keyof Totals)[];

/** Adds counts to others. */
export function add(sum: Totals, more: Totals): void {
  for (const name of TOTALS) sum[name] += more[name];
}

/** The channels together. */
export function trafficOf(channels: readonly ChannelStatus[]): Traffic {
  const totals = noTotals();
  for (const channel of channels) add(totals, channel);
  const connectionsOpen = channels.reduce((sum, channel) => sum + channel.connectionsOpen, 0);
  return { totals, connectionsOpen };
}

/**
 * Adds up what processes count that may end, and begin again at zero: the sum only grows. What one
 * counted after it was last read, and then ended, is lost.
 */
export class Tally {
  readonly #ended = noTotals();
  readonly #latest = new Map<string, Traffic>();

  /** What this process counts now. */
  read(process: string, now: Traffic): void {
    const before = this.#latest.get(process);
    if (before && TOTALS.some((name) => now.totals[name] < before.totals[name])) this.end(process);
    this.#latest.set(process, now);
  }

  /** The process is over; what it counted stays. */
  end(process: string): void {
    const last = this.#latest.get(process);
    if (last) add(this.#ended, last.totals);
    this.#latest.delete(process);
  }

  /** All processes but these are over. */
  keep(processes: ReadonlySet<string | undefined>): void {
    for (const process of [...this.#latest.keys()]) {
      if (!processes.has(process)) this.end(process);
    }
  }

  /** All of it. */
  get traffic(): Traffic {
    const sum = { totals: { ...this.#ended }, connectionsOpen: 0 };
    for (const { totals, connectionsOpen } of this.#latest.values()) {
      add(sum.totals, totals);
      sum.connectionsOpen += connectionsOpen;
    }
    return sum;
  }
}
