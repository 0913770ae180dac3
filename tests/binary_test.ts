/**
 * The executable that ships, where it can be built: a release archive of this machine's kind,
 * installed, streams. Elsewhere a line says that it could not be built.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { VERSION } from "../lib/version.ts";
import { compile } from "../scripts/release/executable.ts";
import { assertOk, run, tempFolder } from "./harness.ts";
import { assertWorks, install } from "./installed.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const task = (...args: string[]) =>
  run([Deno.execPath(), "task", "--quiet", ...args], { cwd: ROOT, env: { NO_COLOR: "1" } });

/** Asserts that only the runtime was missing, and says so. */
function couldNot(why: string): void {
  assertMatch(why, /denort/, "deno compile failed for another reason");
  assertEquals(
    Deno.env.get("DENORT_BIN"),
    undefined,
    `DENORT_BIN is set, so it must build: ${why}`,
  );
  console.log(why);
}

Deno.test("deno task build: an executable with version and commit, or one line that says why not", async () => {
  const ended = await task("build");
  assertEquals(Deno.readTextFileSync(`${ROOT}lib/commit.json`), '{ "commit": "" }\n');
  if (ended.code !== 0) {
    assertMatch(ended.err, /^not built: /);
    return couldNot(ended.err.split("\n", 1)[0] as string);
  }
  const shown = assertOk(await run([`${ROOT}dist/scistream`, "--version"]));
  assertMatch(shown.out, /^scistream 0\.\d+\.\d+ \([0-9a-f]{12}, /);
});

Deno.test("the executable of a release, installed from its archive, streams; or a line says why not", async () => {
  using folder = tempFolder();
  const target = Deno.build.target;
  const { err } = assertOk(await task("release", "--only", target, "--output", folder.path));
  const left = err.split("\n").find((line) => line.startsWith("left out: "));
  if (left !== undefined) return couldNot(left);
  const prefix = `${folder.path}/local`;
  const archive = `${folder.path}/scistream-${VERSION}-${target}.tar.gz`;
  assertOk(await install("--from", archive, prefix));
  assert(Deno.statSync(`${prefix}/bin/scistream`).size > 1 << 20, "it is no script");
  await assertWorks(`${prefix}/bin`);
});

// Deno itself stands in for the runtime, which is not everywhere: what comes out does not run
// SciStream, but everything has been packed.
const DENORT = { DENORT_BIN: Deno.execPath() };

Deno.test("deno compile packs the program with all of its packages", async () => {
  using folder = tempFolder();
  const parts = ["cmd", "lib", "proto", "templates", "deno.json", "deno.lock"];
  assertOk(await run(["cp", "-R", ...parts, folder.path], { cwd: ROOT }));
  const output = `${folder.path}/scistream`;
  const before = Deno.env.get("DENORT_BIN");
  Deno.env.set("DENORT_BIN", DENORT.DENORT_BIN);
  try {
    assertEquals(compile({ tree: `${folder.path}/`, commit: "test", output }), undefined);
  } finally {
    if (before === undefined) Deno.env.delete("DENORT_BIN");
    else Deno.env.set("DENORT_BIN", before);
  }
  const added = Deno.statSync(output).size - Deno.statSync(Deno.execPath()).size;
  assert(added > 10 << 20, `${added} bytes were packed`);
  // A release is not taken in by it.
  const args = ["--only", Deno.build.target, "--output", folder.path];
  const { err } = await run([Deno.execPath(), "task", "--quiet", "release", ...args], {
    cwd: ROOT,
    env: DENORT,
  });
  assertMatch(err, /^left out: \S+: "--version" answers: deno /m);
});

Deno.test("deno compile still takes a file of bintrees for a program: without that, NOT_PACKED can go", async () => {
  using folder = tempFolder();
  Deno.writeTextFileSync(`${folder.path}/entry.ts`, 'import "npm:bintrees@1.0.2";\n');
  const words = ["compile", "--quiet", "--output", "entry", "entry.ts"];
  const ended = await run([Deno.execPath(), ...words], { cwd: folder.path, env: DENORT });
  assertMatch(ended.err, /overflow/);
});
