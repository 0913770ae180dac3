// Every parser of the project with its whole corpus and with fresh inputs; `deno task fuzz` looks for
// inputs that are worth keeping.
import { assert, assertEquals } from "@std/assert";
import { startCounting } from "./fuzz/coverage.ts";
import { corpusNames, readCorpus } from "./fuzz/corpus.ts";
import { blocksOf, mutants, replay, seedsOf } from "./fuzz/fuzzer.ts";

await startCounting();
const { TARGETS } = await import("./fuzz/targets.ts");

/** Fresh inputs for a target that says nothing else. */
const FRESH = 1_500;
/** Another one each time; a failure tells it. */
const SEED = crypto.getRandomValues(new Uint32Array(1))[0] as number;

for (const target of TARGETS) {
  Deno.test(`fuzz: ${target.name}`, async () => {
    await using _prepared = await target.prepare?.();
    const corpus = readCorpus(target.name);
    const fresh = mutants(target, corpus, SEED, target.fresh ?? FRESH);
    for (const inputs of [seedsOf(target), corpus, fresh]) {
      const failure = await replay(target, inputs);
      if (!failure) continue;
      const why = failure.error instanceof Error ? failure.error.stack : String(failure.error);
      const again = `deno task fuzz ${target.name} --base64 '${failure.input.toBase64()}'`;
      throw new Error(`${target.name}, seed ${SEED}: ${why}\nagain: ${again}`);
    }
  });
}

Deno.test("fuzz: every folder of the corpus is a target's, and together they are small", () => {
  const names: readonly string[] = TARGETS.map(({ name }) => name);
  assertEquals(new Set(names).size, names.length);
  assertEquals(corpusNames().filter((name) => !names.includes(name)), []);
  const inputs = names.flatMap(readCorpus);
  const size = inputs.reduce((sum, { length }) => sum + length, 0);
  assert(inputs.length > 100 && size < 300_000, `${inputs.length} inputs of ${size} bytes`);
});

for (const name of ["http", "config", "session_store"]) {
  Deno.test(`fuzz: the corpus of ${name} runs code that its seeds do not`, async () => {
    const target = TARGETS.find((each) => each.name === name);
    assert(target);
    await using _prepared = await target.prepare?.();
    const seeds = seedsOf(target);
    const before = await blocksOf(target, seeds);
    const after = await blocksOf(target, [...seeds, ...readCorpus(name)]);
    assert(after > before && before > 0, `${before} blocks, and ${after}`);
  });
}
