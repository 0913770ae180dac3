/**
 * A session whose container is to be there, as long as it is.
 * @module
 */
import type { Placed } from "../orchestrator.ts";
import type { Kept } from "./kept.ts";

/** Until a container that could not be made anew is tried again, at first. */
export const FIRST_RETRY_MS = 3_000;
/** And at last. */
export const LAST_RETRY_MS = 60_000;

/** What is known of it. */
export interface Held {
  placed: Placed;
  kept: Kept;
  /** What is wrong with it; empty if nothing is. */
  trouble: string;
  /** One change at a time. */
  turn: Promise<unknown>;
  ended: boolean;
  waitMs: number;
  /** When it is tried again, by performance.now(). */
  nextMs: number;
}

/** One that runs. */
export function hold(placed: Placed, kept: Kept): Held {
  return {
    ...{ placed, kept },
    trouble: "",
    turn: Promise.resolve(),
    ended: false,
    waitMs: FIRST_RETRY_MS,
    nextMs: 0,
  };
}
