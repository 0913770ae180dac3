import type { ConnectionBudget } from "./channel.ts";

/** Descriptors kept back for listeners, the control socket, name look-ups and the runtime. */
const RESERVE = 24;

/**
 * How many connections this process can relay: two descriptors each, of those that its limit
 * leaves. A relay must never meet EMFILE: an accept loop of node:net that meets it in Deno stops
 * for good, without an error (seen on 2.9.3).
 */
export function descriptorBudget(): ConnectionBudget {
  return new Budget(limits());
}

class Budget implements ConnectionBudget {
  #left: number;
  constructor(limit: number) {
    this.#left = limit;
  }
  take(): boolean {
    if (this.#left <= 0) return false;
    this.#left--;
    return true;
  }
  give(): void {
    this.#left++;
  }
}

function limits(): number {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(Deno.readTextFileSync("/proc/self/limits"))?.[1];
    const used = [...Deno.readDirSync("/proc/self/fd")].length;
    if (soft) return Math.max(1, Math.floor((Number(soft) - used - RESERVE) / 2));
  } catch {
    // No /proc (macOS), or not readable: the usual limit there stands in.
  }
  return 4096;
}
