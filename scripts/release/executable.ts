/**
 * Compiling the one executable, from a checkout or from an unpacked commit.
 *
 * The permissions and V8 flags are those of `deno task scistream`. One executable is for all
 * commands, so it is granted what any of them needs; each gives the rest up when it begins
 * (lib/cli/powers.ts). None of the six can be narrower here:
 *
 *     net    addresses come from flags, from the calls of users and from identity providers
 *     read   certificates, configurations and state are where flags, environment and $HOME say
 *     write  state, audit log, certificates and proxies' configurations likewise
 *     env    options have variables (SCISTREAM_…), and grpc-js fails where it may not read its own
 *     run    itself as data server; sh and the proxies; the application of `appctrl run`; $BROWSER
 *     ffi    ZeroMQ's library, which lies in the executable or in a package cache
 *
 * sys, import and prompts are never granted.
 *
 * @module
 */
import { packagesOf } from "./packages.ts";

/** What releases are built for. */
export const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "aarch64-apple-darwin",
  "x86_64-apple-darwin",
] as const;

/** What people are told who see that it was not built. */
export const ADVICE =
  "deno compile needs the runtime denort: it downloads it, or takes the one that DENORT_BIN names";

const ENTRY = "cmd/scistream.ts";

/**
 * A file of numbers without an ending, which deno compile 2.9.3 takes for a program: 100,000
 * subtractions, and a stack overflow. binary_test.ts tells when it no longer does.
 */
const NOT_PACKED = ["bintrees/test"];

/** What to compile. */
export interface Wanted {
  /** The folder of the sources, with `/` at its end. */
  tree: string;
  /** Goes into the executable's version. */
  commit: string;
  /** The file that it becomes. */
  output: string;
  /** This machine's own, if not given. */
  target?: string;
}

/** Compiles; answers why that was not possible, or undefined. */
export function compile({ tree, commit, output, target }: Wanted): string | undefined {
  const config = JSON.parse(Deno.readTextFileSync(`${tree}deno.json`));
  const flags = config.tasks.scistream.split(" ")
    .filter((word: string) => /^--(allow|v8)-/.test(word));
  const stamp = `${tree}lib/commit.json`;
  const unstamped = Deno.readTextFileSync(stamp);
  const env: Record<string, string> = { ...Deno.env.toObject(), NO_COLOR: "1" };
  // It is a runtime of this machine's kind, and deno compile would take it for any.
  if (target && target !== Deno.build.target) delete env.DENORT_BIN;
  let built: Deno.CommandOutput;
  try {
    write(stamp, JSON.stringify({ commit }) + "\n");
    built = new Deno.Command(Deno.execPath(), {
      args: [
        "compile",
        "--quiet",
        "--no-prompt",
        "--no-check", // tests/house_test.ts checks types
        ...flags,
        "--exclude-unused-npm",
        ...NOT_PACKED.flatMap((path) => ["--exclude", inCache(tree, path)]),
        ...target ? ["--target", target] : [],
        "--output",
        output,
        ENTRY,
      ],
      cwd: tree,
      clearEnv: true,
      env,
    }).outputSync();
  } finally {
    write(stamp, unstamped);
  }
  if (built.success) return undefined;
  const text = new TextDecoder().decode(built.stderr);
  const why = text.split("\n").map((line) => line.trim())
    .filter((line) => /error|download|denort/i.test(line));
  return why.join(" ") || text.trim();
}

/** Written beside and renamed: others may be running from these sources. */
function write(path: string, text: string): void {
  Deno.writeTextFileSync(`${path}.new`, text);
  Deno.renameSync(`${path}.new`, path);
}

/** Where a folder of a package is: `NAME/FOLDER`. */
function inCache(tree: string, path: string): string {
  const [name, folder] = path.split("/");
  const found = packagesOf(tree, ENTRY).all.find((each) => each.name === name);
  if (!found) throw new Error(`${name} is no package of the executable any more`);
  return `${found.folder}/${folder}`;
}
