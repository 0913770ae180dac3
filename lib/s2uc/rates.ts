/**
 * How fast channels are, from one update of a watch to the next.
 * @module
 */
import type { Channel, SessionStatus, WatchUpdate } from "../../proto/messages.ts";

/** Bits per second in both directions, oldest first; the last is now. */
export interface Rates {
  toTarget: number[];
  fromTarget: number[];
}

/** A session, and the rates of its channels. */
export interface Seen {
  status: SessionStatus;
  /** In channel order. */
  rates: Rates[];
}

/** Rates of one channel that are kept: more than any line shows. */
const MOST = 120;

/** The sessions of one control server, and what they were before. */
export class History {
  #atMs = 0;
  #before = new Map<string, Seen>();

  /**
   * The next update. What was carried since the one before is what iperf3 measures too; for the first
   * update of a session the gateway's own figure stands in, of the last second.
   */
  take({ at_ms, sessions }: WatchUpdate): Seen[] {
    const ms = at_ms - this.#atMs;
    this.#atMs = at_ms;
    const seen = sessions.map((status): Seen => {
      const before = this.#before.get(nameOf(status));
      const rates = status.channels.map((channel, i) =>
        next(channel, ms, before?.status.channels[i], before?.rates[i])
      );
      return { status, rates };
    });
    this.#before = new Map(seen.map((each) => [nameOf(each.status), each]));
    return seen;
  }
}

/** Two sessions may have the same public id, at different times. */
function nameOf({ session, created_ms }: SessionStatus): string {
  return `${session} ${created_ms}`;
}

function next(now: Channel, ms: number, before?: Channel, rates?: Rates): Rates {
  const perSecond = (key: "bytes_to_target" | "bytes_from_target", speed: number) => {
    // The control server's clock was set back, or nothing is known of before.
    if (!before || ms <= 0) return speed * 8;
    // A data server that was started anew counts anew.
    const bytes = now[key] < before[key] ? now[key] : now[key] - before[key];
    return bytes * 8000 / ms;
  };
  const add = (past: readonly number[] = [], rate: number) => [...past, rate].slice(-MOST);
  return {
    toTarget: add(rates?.toTarget, perSecond("bytes_to_target", now.speed_to_target)),
    fromTarget: add(rates?.fromTarget, perSecond("bytes_from_target", now.speed_from_target)),
  };
}

/** The rates of all channels together. */
export function sumOf(rates: readonly Rates[]): Rates {
  const add = (key: keyof Rates) => {
    const length = Math.max(0, ...rates.map((each) => each[key].length));
    return Array.from(
      { length },
      (_, i) => rates.reduce((sum, each) => sum + (each[key].at(i - length) ?? 0), 0),
    );
  };
  return { toTarget: add("toTarget"), fromTarget: add("fromTarget") };
}

/** 9412345678 as "9.41 Gbit/s", at most 11 characters. */
export function humanRate(bits: number): string {
  const units = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"];
  let unit = 0;
  // What would be written as 1000 is 1 of the next.
  while (bits >= 999.5 && unit < units.length - 1) {
    bits /= 1000;
    unit++;
  }
  const digits = unit === 0 || bits >= 99.95 ? 0 : bits >= 9.995 ? 1 : 2;
  return `${bits.toFixed(digits)} ${units[unit]}`;
}

const BARS = "▁▂▃▄▅▆▇█";

/**
 * The last values as bars, of which `top` is the highest; spaces where there are none yet.
 *
 * ```ts
 * import { sparkline } from "./rates.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(sparkline([0, 5, 10], 4, 10), " ▁▅█");
 * ```
 */
export function sparkline(values: readonly number[], width: number, top: number): string {
  const bars = values.slice(-width).map((value) => {
    const height = top > 0 ? Math.round(value / top * (BARS.length - 1)) : 0;
    // What moves at all is seen to.
    return BARS[Math.max(height, value > 0 ? 1 : 0)] ?? BARS.at(-1);
  });
  return bars.join("").padStart(width);
}
