import { assertEquals } from "@std/assert";
import { assertOk, run } from "./harness.ts";

const CONFIG = new URL("../deno.json", import.meta.url).pathname;
const bench = (...flags: string[]) =>
  run([Deno.execPath(), "task", "--quiet", "--config", CONFIG, "bench", ...flags]);

// That the benchmarks run; what they measure is no test's business.
for (const name of ["connect", "version"]) {
  Deno.test(`bench --only ${name} --json`, async () => {
    const { out } = assertOk(await bench("--only", name, "--json"));
    const told = JSON.parse(out);
    assertEquals(told.results.map((result: { name: string }) => result.name), [name]);
    assertEquals(told.results[0].goals.length, 1);
  });
}

Deno.test("bench --only with a name that is none", async () => {
  const ended = await bench("--only", "nothing");
  assertEquals([ended.code, ended.err], [2, "error: --only: there is no nothing\n"]);
});
