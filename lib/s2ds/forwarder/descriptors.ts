/**
 * File descriptors, which a forwarder must never run out of (see Channel).
 * @module
 */
import { Budget } from "./budget.ts";

/** Descriptors that the runtime, the control socket and name look-ups may hold. */
const RESERVE = 40;
/** Where the limit cannot be found out: the usual one of a login shell. */
const USUAL_LIMIT = 1024;

/** The descriptors that listeners and connections may hold, of what the process may have. */
export class DescriptorBudget extends Budget {
  /** @param limit of the process, as {@linkcode descriptorLimit} answers it */
  constructor(limit: number = USUAL_LIMIT) {
    super(Math.max(4, limit - RESERVE));
  }
}

/**
 * How many descriptors a child of this process may have. It takes the right to run `sh`: Deno shows
 * /proc/self only to those who may do everything.
 */
export async function descriptorLimit(): Promise<number | undefined> {
  try {
    const { stdout } = await new Deno.Command("sh", {
      args: ["-c", "ulimit -n"],
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin" },
    }).output();
    const text = new TextDecoder().decode(stdout).trim();
    if (text === "unlimited") return 1 << 20;
    return /^[0-9]{1,9}$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}
