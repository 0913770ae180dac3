/**
 * File descriptors, which a forwarder must never run out of (see Channel).
 * @module
 */

/** Descriptors that the runtime, the control socket and name look-ups may hold. */
const RESERVE = 40;
/** Where the limit cannot be found out: the usual one of a login shell. */
const USUAL_LIMIT = 1024;

/** Counts the descriptors that listeners and connections hold against what the process may have. */
export class DescriptorBudget {
  #left: number;
  readonly #waiting: { count: number; resume: () => void }[] = [];

  /** @param limit of the process, as {@linkcode descriptorLimit} answers it */
  constructor(limit: number = USUAL_LIMIT) {
    this.#left = Math.max(4, limit - RESERVE);
  }

  /** Takes so many, or none and answers false. */
  take(count: number): boolean {
    if (this.#left < count) return false;
    this.#left -= count;
    return true;
  }

  give(count: number): void {
    this.#left += count;
    while (this.#waiting[0] && this.#left >= this.#waiting[0].count) {
      this.#waiting.shift()?.resume();
    }
  }

  /** Calls `resume` once so many can be taken. */
  onFree(count: number, resume: () => void): void {
    this.#waiting.push({ count, resume });
  }
}

/**
 * How many descriptors a child of this process may have. It takes the right to run `sh`: Deno shows
 * /proc/self only to those who may do everything.
 */
export async function descriptorLimit(): Promise<number | undefined> {
  try {
    const { stdout } = await new Deno.Command("sh", { args: ["-c", "ulimit -n"] }).output();
    const text = new TextDecoder().decode(stdout).trim();
    if (text === "unlimited") return 1 << 20;
    return /^[0-9]{1,9}$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}
