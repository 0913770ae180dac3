import type { SetupStep } from "./counters.ts";

/** Told how long a step took. */
export type OnSetup = (step: SetupStep, ms: number) => void;

/** Times a session's set-up: each step from the end of the one before. */
export class SetUp {
  readonly #start = performance.now();
  #last = this.#start;
  readonly #tell: OnSetup;

  constructor(tell: OnSetup) {
    this.#tell = tell;
  }

  /** This step is done; with `update` all of them are. */
  done(step: Exclude<SetupStep, "total">): void {
    const now = performance.now();
    this.#tell(step, now - this.#last);
    if (step === "update") this.#tell("total", now - this.#start);
    this.#last = now;
  }
}
