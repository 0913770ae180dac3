/**
 * How long a command takes that does nothing.
 * @module
 */
import { SCISTREAM } from "../demo/gateways.ts";
import { atMost } from "./goals.ts";
import { run } from "./process.ts";
import { type Context, median, percentile, type Result } from "./result.ts";

const ROUNDS = 20;
const GOAL_MS = 60;

/** `scistream --version` from source. */
export async function versionTime({ signal, tell, rounds = ROUNDS }: Context): Promise<Result> {
  const samples: number[] = [];
  tell("scistream --version");
  for (let round = 0; round <= rounds; round++) {
    const start = performance.now();
    await run([Deno.execPath(), ...SCISTREAM, "--version"], signal);
    // The first one may have to compile.
    if (round > 0) samples.push(performance.now() - start);
  }
  const ms = median(samples);
  return {
    name: "version",
    title: `scistream --version from source, ${rounds} times`,
    columns: ["", "median ms", "worst ms"],
    rows: [["wall time", ms, percentile(samples, 100)]],
    goals: [atMost("scistream --version from source", ms, GOAL_MS, "ms")],
  };
}
