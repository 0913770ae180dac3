/** A second in steps. */
const STEPS = 4;
/** Milliseconds between two calls of {@linkcode Meter.tick}. */
export const TICK_MS = 1000 / STEPS;

/** Bytes per second over the last second, of a count that only grows. */
export class Meter {
  readonly #past: { at: number; count: number }[] = [];
  perSecond = 0;

  /** Takes the present count. */
  tick(count: number, now: number): void {
    this.#past.push({ at: now, count });
    if (this.#past.length > STEPS + 1) this.#past.shift();
    const first = this.#past[0];
    if (first && now > first.at) this.perSecond = (count - first.count) * 1000 / (now - first.at);
  }
}
