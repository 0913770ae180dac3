/**
 * When somebody has waited for long enough.
 * @module
 */

/** A timer that is so late tells that this process, or its machine, stood still. */
const LATE_MS = 1_000;
/** Then what came meanwhile is read first. */
const GRACE_MS = 3_000;

/**
 * Acts after this time, by a clock that nobody sets. Whoever came in time is not too late because
 * this process stood still: then it acts a moment later, for what came meanwhile has not been read.
 * @returns calls it off
 */
export function after(ms: number, act: () => void): () => void {
  const due = performance.now() + ms;
  let timer = setTimeout(() => {
    if (performance.now() - due < LATE_MS) act();
    else timer = setTimeout(act, GRACE_MS);
  }, ms);
  return () => clearTimeout(timer);
}
