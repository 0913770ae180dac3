// `deno task fuzz [TARGET...] [--minutes N] [--seed S]`: fuzzes the targets of tests/fuzz, one after
// another, for so many minutes together, and keeps inputs that reach new code in tests/fuzz/corpus.
// `--replay FILE` tries one input on one target, `--base64 TEXT` one that a failed test printed.
import { parseArgs } from "@std/cli/parse-args";
import { startCounting } from "../tests/fuzz/coverage.ts";
import { keep, readCorpus } from "../tests/fuzz/corpus.ts";
import { fuzz, type FuzzResult, replay } from "../tests/fuzz/fuzzer.ts";
import type { Target } from "../tests/fuzz/target.ts";
import { Watchdog } from "../tests/fuzz/watchdog.ts";

await startCounting();
const { TARGETS } = await import("../tests/fuzz/targets.ts");

const MINUTE_MS = 60_000;

function refuse(sentence: string): never {
  console.error(sentence);
  Deno.exit(2);
}

const flags = parseArgs(Deno.args, {
  string: ["minutes", "seed", "replay", "base64", "_"],
  unknown: (arg) => arg.startsWith("-") ? refuse(`unknown option ${arg}`) : true,
});
const chosen = flags._.map((name) =>
  TARGETS.find((target) => target.name === name) ??
    refuse(`no target ${name}; there are ${TARGETS.map((target) => target.name).join(", ")}`)
);
const targets = chosen.length > 0 ? chosen : TARGETS;
const minutes = Number(flags.minutes ?? 1);
const seed = Number(flags.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]);
if (!(minutes > 0)) refuse("--minutes is not a number above 0");
if (!Number.isSafeInteger(seed)) refuse("--seed is not a whole number");

const given = typeof flags.replay === "string"
  ? Deno.readFileSync(flags.replay)
  : typeof flags.base64 === "string"
  ? Uint8Array.fromBase64(flags.base64)
  : undefined;
const failed = given === undefined ? await fuzzAll() : await replayOn(given);
Deno.exit(failed ? 1 : 0);

async function fuzzAll(): Promise<boolean> {
  console.log(`seed ${seed}`);
  let failed = false;
  using watchdog = new Watchdog();
  for (const target of targets) {
    await using _prepared = await target.prepare?.();
    const corpus = readCorpus(target.name);
    const end = Date.now() + minutes * MINUTE_MS / targets.length;
    const result = await fuzz(target, {
      seed,
      corpus,
      goOn: () => Date.now() < end,
      onInput: (input) => watchdog.onInput(target.name, input),
    });
    for (const input of result.found) keep(target.name, input);
    console.log(summary(target, corpus.length, result));
    if (result.failure) {
      const { input, error } = result.failure;
      const path = keep(target.name, input);
      console.error(error);
      console.error(`again: deno task fuzz ${target.name} --replay ${path}`);
      failed = true;
    }
  }
  return failed;
}

function summary({ name }: Target, before: number, { tried, blocks, found }: FuzzResult): string {
  return `${name}: ${tried} inputs; blocks ${blocks.seeds} by seeds, ${blocks.before} → ` +
    `${blocks.after}; corpus ${before} → ${before + found.length}`;
}

async function replayOn(input: Uint8Array): Promise<boolean> {
  if (chosen.length !== 1) refuse("name the one target that the input is for");
  const [target] = chosen as [Target];
  await using _prepared = await target.prepare?.();
  const failure = await replay(target, [input]);
  console.log(failure ? failure.error : `${target.name}: all holds`);
  return failure !== undefined;
}
