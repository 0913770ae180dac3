// `deno task release`: what is handed out, of the latest commit, in dist/release/VERSION. The same
// commit gives the same source archive, bill of materials and checksums, wherever it is made.
import { createHash } from "node:crypto";
import { parseArgs } from "@std/cli/parse-args";
import { PINNED_DENO } from "../lib/version.ts";
import { bundle, gzip } from "./release/bundle.ts";
import { ADVICE, compile, TARGETS } from "./release/executable.ts";
import { archive, git } from "./release/git.ts";
import { packagesOf } from "./release/packages.ts";
import { sbom } from "./release/sbom.ts";

const USAGE = `deno task release [--only TARGET …] [--output FOLDER] [--strict]

Makes, of the latest commit, in dist/release/VERSION or FOLDER:
  scistream-VERSION-TARGET.tar.gz  the executable, its units of systemd, and install.sh
  scistream-VERSION-source.tar.gz  the sources
  scistream-VERSION.cdx.json       what is in the executable (CycloneDX 1.5)
  SHA256SUMS                       of all of them: sha256sum -c SHA256SUMS

  --only TARGET  this one instead of all: ${TARGETS.join(", ")}
  --strict       fail where an executable cannot be built; else a line says so`;

const unknown: string[] = [];
const flags = parseArgs(Deno.args, {
  string: ["only", "output"],
  boolean: ["strict", "help"],
  collect: ["only"],
  alias: { help: "h" },
  unknown: (word: string) => {
    unknown.push(word);
    return false;
  },
});
if (flags.help) {
  console.log(USAGE);
  Deno.exit(0);
}
const only = flags.only as string[];
const isTarget = (word: string) => (TARGETS as readonly string[]).includes(word);
const wrong = unknown[0] ?? only.find((word) => !isTarget(word));
if (wrong !== undefined) {
  console.error(`release: cannot do anything with "${wrong}"\n\n${USAGE}`);
  Deno.exit(2);
}

const root = new URL("..", import.meta.url).pathname;
const commit = git(root, "rev-parse", "HEAD");
if (commit === undefined) {
  console.error("release: this is no checkout of Git, so there is no commit to release");
  Deno.exit(1);
}
const time = Number(git(root, "log", "-1", "--format=%ct", commit));
if (git(root, "status", "--porcelain") !== "") {
  console.error(`release: what is not committed is left out: this is ${commit.slice(0, 12)}`);
}

/** What an executable is asked, and what is in its answer. */
const SMOKE: [args: string[], wanted: string][] = [
  [["--version"], `(${commit.slice(0, 12)}, `],
  [["help", "s2uc", "connect"], "Usage: scistream s2uc connect"],
];

// From here on only the commit counts, and nothing else that lies in the checkout.
const work = Deno.makeTempDirSync({ prefix: "scistream-release-" });
try {
  release(`${work}/source/`);
} finally {
  Deno.removeSync(work, { recursive: true });
}

function release(tree: string): void {
  unpack(archive(root, commit as string, "source/"));
  const { version } = JSON.parse(Deno.readTextFileSync(`${tree}deno.json`));
  const output: string = flags.output as string || `${root}dist/release/${version}`;
  clear(output);
  const made: string[] = [];
  const put = (name: string, bytes: Uint8Array) => {
    Deno.writeFileSync(`${output}/${name}`, bytes);
    made.push(name);
    console.log(`${name}  ${Math.ceil(bytes.length / 1000)} kB`);
  };

  put(
    `scistream-${version}-source.tar.gz`,
    gzip(archive(root, commit as string, `scistream-${version}/`)),
  );
  const packages = packagesOf(tree, "cmd/scistream.ts");
  const bill = sbom({ version, commit: commit as string, time, deno: PINNED_DENO }, packages);
  put(`scistream-${version}.cdx.json`, new TextEncoder().encode(bill));

  const targets = only.length > 0 ? only : TARGETS;
  const failed: string[] = [];
  for (const target of targets) {
    const executable = `${work}/${target}`;
    const stamp = (commit as string).slice(0, 12);
    const why = compile({ tree, commit: stamp, output: executable, target }) ??
      (target === Deno.build.target ? fault(executable) : undefined);
    if (why !== undefined) {
      failed.push(target);
      console.error(`left out: ${target}: ${why}`);
      continue;
    }
    const name = `scistream-${version}-${target}`;
    put(`${name}.tar.gz`, bundle(tree, Deno.readFileSync(executable), name, time));
  }
  const sums = made.sort().map((name) => `${sha256(`${output}/${name}`)}  ${name}\n`);
  Deno.writeTextFileSync(`${output}/SHA256SUMS`, sums.join(""));
  console.log(`in ${output}: ${made.length} files and SHA256SUMS, of commit ${commit}`);
  if (failed.length > 0) {
    console.error(ADVICE);
    if (flags.strict) Deno.exitCode = 1;
  }
}

/** What is wrong with an executable for this machine: it is started before it is handed out. */
function fault(executable: string): string | undefined {
  for (const [args, wanted] of SMOKE) {
    const { success, stdout, stderr } = new Deno.Command(executable, { args }).outputSync();
    const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
    if (!success || !out?.includes(wanted)) return `"${args.join(" ")}" answers: ${out} ${err}`;
  }
}

function unpack(bytes: Uint8Array): void {
  Deno.writeFileSync(`${work}/source.tar`, bytes);
  const { success, stderr } = new Deno.Command("tar", {
    args: ["-x", "-f", "source.tar"],
    cwd: work,
  })
    .outputSync();
  if (!success) throw new Error(`tar: ${new TextDecoder().decode(stderr).trim()}`);
}

/** Makes the folder, without what an earlier release left there. */
function clear(output: string): void {
  Deno.mkdirSync(output, { recursive: true });
  for (const { name } of Deno.readDirSync(output)) {
    if (/^scistream-.*\.(tar\.gz|json)$|^SHA256SUMS$/.test(name)) {
      Deno.removeSync(`${output}/${name}`);
    }
  }
}

function sha256(path: string): string {
  return createHash("sha256").update(Deno.readFileSync(path)).digest("hex");
}
