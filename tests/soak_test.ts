// That the soak runs and finds what is left; deno task soak is what looks for leaks.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { whyNoEngine } from "./engine.ts";
import { leftOutIf, run, Running } from "./harness.ts";

const CONFIG = new URL("../deno.json", import.meta.url).pathname;
const soak = (...flags: string[]) =>
  run([Deno.execPath(), "task", "--quiet", "--config", CONFIG, "soak", ...flags]);

// Where an engine runs, HAProxy is installed.
const { ignore, because } = leftOutIf(whyNoEngine());

Deno.test({ name: `soak: some seconds of two types${because}`, ignore }, async () => {
  const types = ["S2DS", "HaproxySubprocess"];
  const { code, out, err } = await soak("--minutes=0.15", `--types=${types}`, "--seed=3");
  assertEquals(code, 0, out + err);
  assertMatch(out, /^seed 3; S2DS, HaproxySubprocess\n/);
  assertMatch(out, /^soaked for 00:00:/m);
  for (const type of types) assertMatch(out, new RegExp(`^${type} +[1-9].* none$`, "m"));
  assertMatch(out, /\nnothing leaked, nothing was disturbed\n$/);
});

Deno.test("soak: a session that is forgotten is a leak, which is told", async () => {
  const { code, out, err } = await soak("--minutes=0.02", "--types=S2DS", "--leak");
  assertEquals(code, 1, out + err);
  const folder = /^ {2}logs: (\S+)$/m.exec(err)?.[1] as string;
  try {
    assertMatch(err, /^S2DS LEAKED:\n/);
    for (const side of ["prod", "cons"]) {
      assertMatch(err, new RegExp(`^ {2}${side}: ports: \\d+$`, "m"));
      assertMatch(err, new RegExp(`^ {2}${side}: sessions: [0-9a-f]{8}$`, "m"));
      assert(Deno.readTextFileSync(`${folder}/${side}.log`).includes("streaming"));
    }
    assertMatch(err, /the last actions before it:\n {4}[\d:.]+ /);
    assertMatch(out, /\nFAILED\n$/);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("soak: Ctrl-C ends it early, with all that it does at the end", async () => {
  const script = new URL("../scripts/soak.ts", import.meta.url).pathname;
  const flags = [
    "run",
    "--allow-all", // as the task has it: soak looks at /proc, which Deno shows to nobody else
    ...["--cached-only", "--quiet", "--config", CONFIG],
  ];
  const process = new Running([Deno.execPath(), ...flags, script, "--types=Mock"]);
  await process.line(/^seed \d+; Mock$/m);
  const { code, out, err } = await process.stop("SIGINT");
  assertEquals(code, 0, out + err);
  assertMatch(out, /^Mock +[1-9].* none$/m);
});

Deno.test("soak: an unknown type, and no time", async () => {
  const unknown = await soak("--types=nothing");
  assertEquals(unknown.code, 2);
  assertMatch(unknown.err, /^error: .*nothing.* is unknown/);
  assertEquals((await soak("--minutes=0")).code, 2);
});
