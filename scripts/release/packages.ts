/**
 * The npm packages that a program runs with: those that its modules import when they run, and what
 * these depend on. Packages that only tests, tasks or types import are none of them.
 * @module
 */

/** A package in Deno's cache. */
export interface Package {
  /** `NAME@VERSION`, with those of its peers behind it if there are any. */
  id: string;
  name: string;
  version: string;
  /** As in deno.lock: `sha512-BASE64`. */
  integrity: string;
  /** Ids. */
  dependencies: string[];
  /** What its package.json calls its licence. */
  license: string | undefined;
  /** The folder that it is unpacked in. */
  folder: string;
}

/** A program's packages, sorted by id. */
export interface Packages {
  /** Ids of those that its own modules import. */
  roots: string[];
  all: Package[];
}

/** `deno info --json`, as much of it as is read here. */
interface Graph {
  roots: string[];
  modules: {
    specifier: string;
    npmPackage?: string;
    dependencies?: { code?: { specifier?: string } }[];
  }[];
  redirects: Record<string, string>;
  npmPackages: Record<
    string,
    { name: string; version: string; dependencies: string[]; localPath: string }
  >;
}

/**
 * The packages of the program `entry` in the sources `tree`.
 * @throws {Error} where one is in no cache, or not in deno.lock
 */
export function packagesOf(tree: string, entry: string): Packages {
  const graph = graphOf(tree, entry);
  const lock: Record<string, { integrity?: string }> =
    JSON.parse(Deno.readTextFileSync(`${tree}/deno.lock`)).npm;
  const roots = imported(graph);
  const ids = new Set(roots);
  // A set that grows meanwhile is gone through to its new end.
  for (const id of ids) for (const next of graph.npmPackages[id]?.dependencies ?? []) ids.add(next);
  const all = [...ids].sort().map((id) => {
    const found = graph.npmPackages[id];
    const integrity = lock[id]?.integrity;
    if (!found || !integrity) throw new Error(`${id} is not in deno.lock`);
    const { name, version, dependencies, localPath: folder } = found;
    const { license } = JSON.parse(Deno.readTextFileSync(`${folder}/package.json`));
    return {
      id,
      name,
      version,
      integrity,
      dependencies: [...dependencies].sort(),
      license: typeof license === "string" ? license : license?.type,
      folder,
    };
  });
  return { roots, all };
}

function graphOf(tree: string, entry: string): Graph {
  const args = ["info", "--json", entry];
  const { success, stdout, stderr } = new Deno.Command(Deno.execPath(), { args, cwd: tree })
    .outputSync();
  const text = new TextDecoder();
  if (!success) throw new Error(`deno info: ${text.decode(stderr).trim()}`);
  return JSON.parse(text.decode(stdout));
}

/** Packages that the program's own modules import when they run. */
function imported({ roots, modules, redirects }: Graph): string[] {
  const bySpecifier = new Map(modules.map((module) => [module.specifier, module]));
  const seen = new Set(roots);
  const packages = new Set<string>();
  for (const specifier of seen) {
    const module = bySpecifier.get(redirects[specifier] ?? specifier);
    if (module?.npmPackage) packages.add(module.npmPackage);
    for (const { code } of module?.dependencies ?? []) {
      if (code?.specifier) seen.add(code.specifier);
    }
  }
  return [...packages].sort();
}
