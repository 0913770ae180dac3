import { assert, assertEquals } from "@std/assert";
import { startCounting } from "./coverage.ts";
import { fuzz, type FuzzOptions, mutants, replay } from "./fuzzer.ts";
import type { Target } from "./target.ts";
import { ladder, nested } from "./toys.ts";

await startCounting();

/** Code of the test's own. */
const counts = (url: string) => url.endsWith("/tests/fuzz/toys.ts");
const toy = (run: (bytes: Uint8Array) => unknown): Target => ({
  name: "toy",
  seeds: ["x"],
  run: (bytes) => void run(bytes),
});

function options(most: number): FuzzOptions {
  return { seed: 1, corpus: [], goOn: (tried) => tried < most, counts };
}

Deno.test("fuzzer: coverage leads to what chance does not", async () => {
  const most = 100_000;
  const guided = await fuzz(toy(nested), options(most));
  assertEquals(new TextDecoder().decode(guided.failure?.input), "FUZZ");
  assert(guided.tried < most, `${guided.tried} inputs`);
  assertEquals(await replay(toy(nested), mutants(toy(nested), [], 1, most)), undefined);
});

Deno.test("fuzzer: the same seed tries the same inputs", async () => {
  const [one, other] = [
    await fuzz(toy(nested), options(3_000)),
    await fuzz(toy(nested), options(3_000)),
  ];
  assertEquals(one, other);
  const inputs = (seed: number) =>
    [...mutants(toy(nested), [], seed, 100)].map((each) => each.toHex());
  assertEquals(inputs(7), inputs(7));
  assert(String(inputs(7)) !== String(inputs(8)));
});

Deno.test("fuzzer: an input that reaches new code is kept, short, and once only", async () => {
  const { found, blocks } = await fuzz(toy(ladder), options(4_000));
  assert(blocks.after > blocks.before, JSON.stringify(blocks));
  const texts = found.map((each) => ladder(each));
  assert(
    texts.some((text) => text.includes("long")) && texts.some((text) => text.includes("hash")),
  );
  assert(found.length <= 4 && found.every(({ length }) => length <= 36), String(texts));
  const again = await fuzz(toy(ladder), { ...options(4_000), corpus: found });
  assert(again.blocks.before > blocks.before, JSON.stringify([blocks, again.blocks]));
  assertEquals(again.found, []);
});
