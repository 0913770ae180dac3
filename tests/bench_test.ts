import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { missing } from "../scripts/setup.ts";
import { assertOk, leftOutIf, run, tempFolder } from "./harness.ts";

const CONFIG = new URL("../deno.json", import.meta.url).pathname;
const bench = (...flags: string[]) =>
  run([Deno.execPath(), "task", "--quiet", "--config", CONFIG, "bench", ...flags]);

// That the benchmarks run; what they measure is no test's business.
for (const [name, goals] of Object.entries({ auth: 2, connect: 1, version: 1 })) {
  Deno.test(`bench --only ${name} --json`, async () => {
    const { out } = assertOk(await bench("--only", name, "--rounds", "2", "--json"));
    const told = JSON.parse(out);
    assertEquals(told.results.map((result: { name: string }) => result.name), [name]);
    assertEquals(told.results[0].goals.length, goals);
  });
}

const PEERS = ["haproxy", "nginx", "libnginx-mod-stream", "socat", "stunnel4"];
const lacking = missing().filter((each) => PEERS.includes(each));
const { ignore, because } = leftOutIf(
  lacking.length > 0 ? `${lacking.join(", ")} not installed` : undefined,
);
Deno.test({ name: `bench beside its peers, with figures${because}`, ignore }, async () => {
  using folder = tempFolder();
  const file = `${folder.path}/figures.svg`;
  const flags = ["--only", "first-byte,version", "--rounds", "1", "--svg", file];
  const { out } = assertOk(await bench(...flags));
  assertMatch(out, /^machine \d+ × .*; haproxy \d.*; socat \d/);
  for (const name of ["direct", "S2DS", "haproxy default", "stunnel pair, default"]) {
    assertMatch(out, new RegExp(`^  ${name} +[0-9.]+ +[0-9.]+$`, "m"));
  }
  assertMatch(out, /^Goals: \d of 3 met$/m);
  assertMatch(out, /^ +S2DS, connect to first byte.* ≤ 1\.2× haproxy default .*(met|MISSED)$/m);
  const drawn = await Deno.readTextFile(file);
  assertStringIncludes(drawn, "Connect to first byte, p50");
});

Deno.test("bench --only with a name that is none", async () => {
  const ended = await bench("--only", "nothing");
  assertEquals([ended.code, ended.err], [2, "error: --only: there is no nothing\n"]);
});
