/**
 * Waiting that can be given up.
 * @module
 */
import { ScistreamError } from "../protocol/errors.ts";

/** Whether it did what it was asked is not known: it may do it yet. */
export class NoAnswer extends ScistreamError {
  /** @param what did not answer, with its words */
  constructor(what: string) {
    super("CONN_ERROR", what);
  }
}

/** Resolves once the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Resolves after a part of the time, at least half of it, so that not all try again at once; or when aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  const some = ms * (0.5 + Math.random() / 2);
  return aborted(AbortSignal.any([signal, AbortSignal.timeout(some)]));
}

/** The promise, or the error once the time is over. */
export async function within<T>(ms: number, promise: Promise<T>, late: () => Error): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), ms);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
