/**
 * What was seen over all sequences, so that a test that sees too little fails.
 * @module
 */
import type { Call } from "../model.ts";

/** Counts outcomes. */
export class Tally {
  sequences = 0;
  steps = 0;
  calls = 0;
  kills = 0;
  stops = 0;
  maims = 0;
  /** `call: outcome`. */
  readonly outcomes = new Map<string, number>();
  /** `call in state of its session`, where no other call was made at the same time. */
  readonly states = new Map<string, number>();

  /** A call has its outcome. */
  saw({ kind }: Call, label: string, state?: string): void {
    this.calls++;
    count(this.outcomes, `${kind}: ${label}`);
    if (state) count(this.states, `${kind} in ${state}`);
  }

  /** Of the expected outcomes, those that were never seen. */
  lacks(outcomes: string[], states: string[]): string[] {
    return [
      ...outcomes.filter((each) => !this.outcomes.has(each)),
      ...states.filter((each) => !this.states.has(each)),
    ];
  }

  toString(): string {
    const { sequences, steps, calls, kills, stops, maims } = this;
    const lines = [...this.outcomes].sort().map(([key, times]) => `  ${key} ${times}`);
    return [
      `${sequences} sequences of ${steps} steps and ${calls} calls; control servers killed ${kills} ` +
      `times and stopped ${stops} times, data servers killed ${maims} times`,
      ...lines,
    ].join("\n");
  }
}

function count(map: Map<string, number>, key: string): void {
  map.set(key, (map.get(key) ?? 0) + 1);
}
