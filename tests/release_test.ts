/**
 * `deno task release` of docs/install.md: what it makes here, that it makes the same again, and that the bill of
 * materials names what is in the executable and nothing else.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Version } from "@cyclonedx/cyclonedx-library/Spec";
import { JsonStrictValidator } from "@cyclonedx/cyclonedx-library/Validation";
// The validator takes these if they are there.
import "ajv";
import "ajv-formats";
import "ajv-formats-draft2019";
import { Buffer } from "node:buffer";
import { PINNED_DENO, VERSION } from "../lib/version.ts";
import { packagesOf } from "../scripts/release/packages.ts";
import { sbom } from "../scripts/release/sbom.ts";
import { assertOk, type Ended, run, type RunOptions, tempFolder } from "./harness.ts";
import { releaseIn } from "./installed.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const SOURCE = `scistream-${VERSION}-source.tar.gz`;
/** A kind of machine that this one is not. */
const OTHER = Deno.build.target === "x86_64-apple-darwin"
  ? "aarch64-apple-darwin"
  : "x86_64-apple-darwin";
const BILL = `scistream-${VERSION}.cdx.json`;

function release(args: string[], options?: RunOptions): Promise<Ended> {
  const words = ["task", "--quiet", "--config", `${ROOT}deno.json`, "release", ...args];
  return run([Deno.execPath(), ...words], options);
}

Deno.test("release: sources, bill and checksums, the same whoever makes them and when", async () => {
  using one = tempFolder();
  using two = tempFolder();
  const only = ["--only", Deno.build.target];
  const { out, err } = assertOk(await release([...only, "--output", one.path]));
  const sums = Deno.readTextFileSync(`${one.path}/SHA256SUMS`);
  const named = sums.trim().split("\n").map((line) => line.split("  ")[1] as string);
  for (const name of [SOURCE, BILL]) assert(named.includes(name), name);
  const archive = `scistream-${VERSION}-${Deno.build.target}.tar.gz`;
  // Built, or said in a line why not.
  assertEquals(named.includes(archive), !err.includes(`left out: ${Deno.build.target}: `), err);
  assertMatch(out, new RegExp(`in ${one.path}: ${named.length} files and SHA256SUMS, of commit `));
  assertOk(await run(["sha256sum", "--check", "--strict", "SHA256SUMS"], { cwd: one.path }));
  assertEquals(
    [...Deno.readDirSync(one.path)].map(({ name }) => name).sort(),
    [...named, "SHA256SUMS"].sort(),
  );

  // Another umask, another zone, and something of an earlier release in the folder.
  Deno.writeTextFileSync(`${two.path}/scistream-0.0.1-source.tar.gz`, "");
  const again = `umask 077; exec "$0" "$@" --output '${two.path}'`;
  const words = ["task", "--quiet", "--config", `${ROOT}deno.json`, "release", ...only];
  assertOk(
    await run(["sh", "-c", again, Deno.execPath(), ...words], { env: { TZ: "Asia/Tokyo" } }),
  );
  for (const name of [SOURCE, BILL]) {
    assertEquals(
      Deno.readFileSync(`${one.path}/${name}`),
      Deno.readFileSync(`${two.path}/${name}`),
    );
  }
  assert(![...Deno.readDirSync(two.path)].some(({ name }) => name.includes("0.0.1")));

  // The sources are those of the commit.
  const listed = assertOk(await run(["tar", "-t", "-z", "-f", `${one.path}/${SOURCE}`])).out;
  const files = assertOk(await run(["git", "ls-tree", "-r", "--name-only", "HEAD"], { cwd: ROOT }));
  assertEquals(
    listed.trim().split("\n").filter((name) => !name.endsWith("/")).sort(),
    files.out.trim().split("\n").map((name) => `scistream-${VERSION}/${name}`).sort(),
  );
});

Deno.test("release: what it cannot do is said, and with --strict fails", async () => {
  for (const args of [["--only", "riscv64-plan9"], ["everything"], ["--stict"]]) {
    const ended = await release(args);
    assertEquals(ended.code, 2, ended.err);
    assertMatch(ended.err, /release: cannot do anything with "/);
  }
  using folder = tempFolder();
  const strict = ["--strict", "--only", OTHER, "--output", folder.path];
  // A runtime of this machine's kind is none for another.
  const { code, err } = await release(strict, { env: { DENORT_BIN: "/nonexistent/denort" } });
  assert(!err.includes("/nonexistent"), err);
  const left = err.split("\n").filter((line) => line.startsWith("left out: "));
  assertEquals(code, left.length, err);
  if (left.length > 0) {
    assertMatch(left[0] as string, /^left out: \S+-darwin: .*denort/);
  } else assert([...Deno.readDirSync(folder.path)].some(({ name }) => /darwin.*gz$/.test(name)));
});

Deno.test("an archive holds what is installed, root's and in order, with the commit's time", async () => {
  using folder = tempFolder();
  const archive = releaseIn(folder.path);
  const bytes = Deno.readFileSync(archive);
  releaseIn(folder.path);
  assertEquals(Deno.readFileSync(archive), bytes);
  const { out } = assertOk(
    await run(["tar", "-t", "-v", "-z", "--numeric-owner", "--utc", "-f", archive]),
  );
  const top = `scistream-${VERSION}-${Deno.build.target}/`;
  const lines = out.trim().split("\n").map((line) => {
    const [mode, owner, , day, time, name] = line.split(/ +/);
    assertEquals([owner, day, time], ["0/0", "2023-11-14", "22:13"]);
    assert(name?.startsWith(top));
    return `${mode} ${name?.slice(top.length)}`;
  });
  const names = lines.map((line) => line.split(" ")[1] as string);
  assertEquals(names, [...names].sort());
  for (const line of ["-rwxr-xr-x scistream", "-rwxr-xr-x install.sh", "-rw-r--r-- README.md"]) {
    assert(lines.includes(line), line);
  }
  assert(names.includes("systemd/scistream-s2cs.service"));
});

Deno.test("the bill is valid CycloneDX 1.5, of exactly what the executable imports", async () => {
  const packages = packagesOf(ROOT, "cmd/scistream.ts");
  const commit = "0123456789abcdef0123456789abcdef01234567";
  const text = sbom({ version: VERSION, commit, time: 1_700_000_000, deno: PINNED_DENO }, packages);
  const validator = new JsonStrictValidator(Version.v1dot5);
  assertEquals(await validator.validate(text), null);
  // That it would complain.
  assert(await validator.validate(text.replaceAll('"MIT"', '"MITT"')) !== null);

  const bill = JSON.parse(text);
  assertEquals(bill.metadata.timestamp, "2023-11-14T22:13:20.000Z");
  type Component = {
    group?: string;
    name: string;
    version: string;
    licenses?: unknown;
    hashes?: { content: string }[];
    purl: string;
  };
  const [runtime, ...libraries]: Component[] = bill.components;
  assertEquals([runtime?.name, runtime?.version], ["deno", PINNED_DENO]);
  const nameOf = ({ group, name }: Component) => group ? `${group}/${name}` : name;
  const names = new Set(libraries.map(nameOf));

  // Whatever a source file of the executable names, by Deno's own account.
  const info = assertOk(
    await run([Deno.execPath(), "info", "--json", "cmd/scistream.ts"], { cwd: ROOT }),
  );
  const graph: { modules: { npmPackage?: string }[] } = JSON.parse(info.out);
  const used = graph.modules.flatMap(({ npmPackage }) => npmPackage?.replace(/(?!^)@.*/, "") ?? []);
  assert(used.length >= 10);
  for (const name of used) assert(names.has(name), name);
  for (const name of ["long", "yargs", "node-addon-api", "@js-sdsl/ordered-map"]) {
    assert(names.has(name), `${name} is needed by another`);
  }
  for (const name of ["playwright-core", "fast-check", "oidc-provider", "koa", "ajv"]) {
    assert(!names.has(name), `${name} is for tests`);
  }

  type Locked = Record<string, { integrity: string }>;
  const locked: Locked = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.lock`)).npm;
  // Of a package with peers they are named behind it.
  const lock = Object.entries(locked);
  for (const library of libraries) {
    const { version, hashes, licenses } = library;
    const content = Buffer.from(hashes?.[0]?.content ?? "", "hex").toString("base64");
    const id = `${nameOf(library)}@${version}`;
    const [, found] = lock.find(([key]) => key === id || key.startsWith(`${id}_`)) ?? [];
    assertEquals(found?.integrity, `sha512-${content}`, id);
    assert(licenses, `${library.purl} has no licence`);
  }
  // Each is reached from the executable.
  const edges = new Map<string, string[]>(
    bill.dependencies.map((
      each: { ref: string; dependsOn: string[] },
    ) => [each.ref, each.dependsOn]),
  );
  const reached = new Set<string>([bill.metadata.component["bom-ref"]]);
  for (const ref of reached) for (const next of edges.get(ref) ?? []) reached.add(next);
  for (const { purl } of bill.components) assert(reached.delete(purl), purl);
  assertEquals(reached.size, 1);
});
