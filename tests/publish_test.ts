/**
 * What `deno publish` would publish: all that the library and the commands need, and nothing of the
 * tests; each export documented, no slow types. Nothing is asked of a registry.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { assertOk, run, tempFolder } from "./harness.ts";

const ROOT = new URL("..", import.meta.url).pathname;

/** The files of this repository that `deno publish --dry-run` names, which also looks for slow types. */
async function published(): Promise<Set<string>> {
  using folder = tempFolder();
  const copy = `git ls-files -co --exclude-standard -z | tar c --null -T - | tar x -C "$0"`;
  assertOk(await run(["sh", "-c", copy, folder.path], { cwd: ROOT }));
  // The one thing that it does not go without, and that is not ours to choose here.
  Deno.writeTextFileSync(`${folder.path}/LICENSE`, "a license\n");
  const command = [Deno.execPath(), "publish", "--dry-run", "--allow-dirty"];
  const { out, err } = assertOk(await run(command, { cwd: folder.path }));
  const files = [...`${out}${err}`.matchAll(/^ +file:\/\/(\S+) \(/gm)];
  return new Set(files.map(([, path]) => (path as string).replace(`${folder.path}/`, "")));
}

/** What this module imports, and what that imports, of this repository. */
async function needed(module: string): Promise<string[]> {
  const { out } = assertOk(await run([Deno.execPath(), "info", "--json", module], { cwd: ROOT }));
  const { modules } = JSON.parse(out) as { modules: { specifier: string; local?: string }[] };
  return modules.filter(({ specifier }) => specifier.startsWith(`file://${ROOT}`))
    .map(({ specifier }) => specifier.replace(`file://${ROOT}`, ""));
}

Deno.test("what is published has all that the library and the commands import, and no test", async () => {
  const files = await published();
  for (const module of ["mod.ts", "cmd/scistream.ts"]) {
    const all = await needed(module);
    assert(all.length > 50, `${module} imports ${all.length} files`);
    assertEquals(all.filter((path) => !files.has(path)), [], module);
  }
  // The forwarder finds out for itself what its runtime can do.
  const own = "lib/s2ds/forwarder/self_test.ts";
  const tests = [...files].filter((path) => /^(tests|scripts)\/|_test\.ts$|\/test_/.test(path));
  assertEquals(tests, [own]);
  const tops = new Set([...files].map((path) => path.split("/")[0]));
  assertEquals(
    [...tops].toSorted(),
    ["LICENSE", "README.md", "cmd", "deno.json", "docs", "lib", "mod.ts", "proto", "templates"],
  );
});

Deno.test("every export is documented, and so is all that it is made of", async () => {
  assertOk(await run([Deno.execPath(), "doc", "--lint", "mod.ts"], { cwd: ROOT }));
});
