/**
 * The sources as they run without a network: for container images where no executable can be built.
 *
 *     sources.ts TREE FOLDER     makes FOLDER/src, and FOLDER/cache for DENO_DIR
 *
 * @module
 */
import { dirname } from "node:path";
import { packagesOf } from "./packages.ts";

const ENTRY = "cmd/scistream.ts";

/** Copies the program's sources, and those packages that it runs with, out of the cache of this machine. */
function copySources(tree: string, to: string): void {
  const { all } = packagesOf(tree, ENTRY);
  for (const { folder } of all) {
    copy(folder, `${to}/cache${folder.slice(folder.lastIndexOf("/npm/"))}`);
  }
  for (const name of ["cmd", "lib", "proto", "templates", "deno.lock"]) {
    copy(`${tree}/${name}`, `${to}/src/${name}`);
  }
  const config = JSON.parse(Deno.readTextFileSync(`${tree}/deno.json`));
  const packages = new Set(all.map(({ name }) => name));
  // Deno wants every package that is named here, also those that only tests import.
  config.imports = Object.fromEntries(
    Object.entries<string>(config.imports).filter(([name, from]) =>
      !from.startsWith("npm:") || packages.has(name)
    ),
  );
  Deno.writeTextFileSync(`${to}/src/deno.json`, JSON.stringify(config, null, 2) + "\n");
  // Takes the others out of deno.lock as well: once the folder is read-only Deno could not.
  must("deno", Deno.execPath(), [
    "run",
    "--cached-only",
    "--no-prompt",
    "--allow-env",
    ENTRY,
    "--version",
  ], {
    cwd: `${to}/src`,
    env: { DENO_DIR: `${to}/cache` },
  });
  for (const { name, isFile } of Deno.readDirSync(`${to}/cache`)) {
    if (isFile) Deno.removeSync(`${to}/cache/${name}`);
  }
  // What it has transpiled is known by the paths of this machine.
  Deno.removeSync(`${to}/cache/gen`, { recursive: true });
}

function copy(from: string, to: string): void {
  Deno.mkdirSync(dirname(to), { recursive: true });
  must("cp", "cp", ["-R", from, to]);
}

function must(what: string, program: string, args: string[], options?: Deno.CommandOptions): void {
  const { success, stderr } = new Deno.Command(program, { ...options, args }).outputSync();
  if (!success) throw new Error(`${what}: ${new TextDecoder().decode(stderr).trim()}`);
}

if (import.meta.main) {
  const [tree = "", to = ""] = Deno.args;
  copySources(tree, to);
}
