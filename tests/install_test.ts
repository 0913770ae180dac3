/**
 * scripts/install.sh, for real, into folders of the tests' own; and that an upgrade disturbs nobody.
 * @module
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { PINNED_DENO, VERSION } from "../lib/version.ts";
import { missing } from "../scripts/setup.ts";
import { echoes, EchoServer } from "./echo.ts";
import { assertOk, eventually, Gateway, leftOutIf, run, SCISTREAM, tempFolder } from "./harness.ts";
import { assertWorks, install, installedPair, releaseIn } from "./installed.ts";
import { Pair } from "./pair.ts";

const ROOT = new URL("..", import.meta.url).pathname;

const { ignore, because } = leftOutIf(
  missing().includes("shellcheck") ? "shellcheck is not installed" : undefined,
);
Deno.test(
  { name: `shellcheck has nothing to say against the scripts${because}`, ignore },
  async () => {
    const scripts = [...Deno.readDirSync(`${ROOT}scripts`)].map(({ name }) => `scripts/${name}`)
      .filter((name) => name.endsWith(".sh"));
    assert(scripts.length >= 4);
    assertOk(await run(["shellcheck", "--external-sources", ...scripts], { cwd: ROOT }));
  },
);

Deno.test("the page on installing names this version", () => {
  const named = [
    ...Deno.readTextFileSync(`${ROOT}docs/install.md`).matchAll(
      /(?<![.\d])\d+\.\d+\.\d+(?!\.?\d)/g,
    ),
  ]
    .map(([version]) => version).filter((version) => version !== PINNED_DENO);
  assert(named.length > 5);
  assertEquals(new Set(named), new Set([VERSION]));
});

Deno.test("install.sh: a checkout's commands work, also installed twice, and all of it goes", async () => {
  using folder = tempFolder();
  const prefix = `${folder.path}/with space/local`;
  for (const _ of [1, 2]) assertOk(await install(prefix));
  await assertWorks(`${prefix}/bin`);
  assertOk(await install("--uninstall", prefix));
  assertEquals([...Deno.readDirSync(folder.path)], []);
  const again = await install("--uninstall", prefix);
  assertEquals(again.code, 1);
  assertMatch(again.err, /nothing in .* was installed by this script/);
});

Deno.test("install.sh: what others have in the same folders stays", async () => {
  using folder = tempFolder();
  Deno.mkdirSync(`${folder.path}/bin`);
  const env = { PREFIX: folder.path };
  assertOk(await run([`${ROOT}scripts/install.sh`], { env }));
  Deno.mkdirSync(`${folder.path}/share/other`);
  assertOk(await run([`${ROOT}scripts/install.sh`, "--uninstall"], { env }));
  assertEquals(
    assertOk(await run(["find", ".", "-mindepth", "1"], { cwd: folder.path })).out.split("\n")
      .sort(),
    [
      "",
      "./bin",
      "./share",
      "./share/other",
    ],
  );
});

Deno.test("install.sh --from: only an archive that is what SHA256SUMS says, and that runs here", async () => {
  using folder = tempFolder();
  const archive = releaseIn(folder.path);
  const prefix = `${folder.path}/local`;
  const refused = async (pattern: RegExp, ...args: string[]) => {
    const ended = await install(...args, prefix);
    assertEquals([ended.code, ended.out], [1, ""]);
    assertMatch(ended.err, pattern);
  };
  const sums = `${folder.path}/SHA256SUMS`;
  const right = Deno.readTextFileSync(sums);
  await refused(/there is no file \/nonexistent/, "--from", "/nonexistent");
  Deno.writeTextFileSync(sums, right.replace(/^./, (digit) => digit === "0" ? "1" : "0"));
  await refused(/is not the file that SHA256SUMS names/, "--from", archive);
  Deno.writeTextFileSync(sums, right.replace("scistream-", "other-"));
  await refused(/SHA256SUMS does not name scistream-/, "--from", archive);
  Deno.removeSync(sums);
  await refused(/SHA256SUMS is not there/, "--from", archive);
  assertEquals((await install("--bogus")).code, 2);
  assertEquals((await install(prefix, "more")).code, 2);

  // Of a machine of another kind: unpacked, so without sums.
  assertOk(await run(["tar", "-x", "-z", "-f", archive, "-C", folder.path]));
  const unpacked = archive.replace(".tar.gz", "");
  const executable = Deno.readFileSync(`${unpacked}/scistream`);
  Deno.writeTextFileSync(`${unpacked}/scistream`, "#!/nonexistent/loader\n");
  const other = await run([`${unpacked}/install.sh`, prefix]);
  assertEquals(other.code, 1);
  assertMatch(other.err, /does not run on this machine/);
  assert(![...Deno.readDirSync(folder.path)].some(({ name }) => name === "local"));
  Deno.writeFileSync(`${unpacked}/scistream`, executable);
  assertOk(await run([`${unpacked}/install.sh`, prefix]));
  assertMatch(assertOk(await run([`${prefix}/bin/s2cs`, "--version"])).out, /^s2cs, version: /);
});

Deno.test("install.sh --from: an upgrade leaves what runs alone, and works itself", async () => {
  using folder = tempFolder();
  const archive = releaseIn(folder.path);
  const prefix = `${folder.path}/local`;
  const { out } = assertOk(await install("--from", archive, prefix));
  assertStringIncludes(out, `installed scistream, s2cs, s2uc, appctrl and s2ds in ${prefix}/bin\n`);
  await using echo = new EchoServer();
  await using pair = await installedPair(`${prefix}/bin`);
  const before = await pair.connect(echo.endpoint);
  assertOk(await install("--from", archive, prefix));
  assert(await echoes(before.cons[0] as string, "made before"));
  const after = await pair.connect(echo.endpoint);
  assert(await echoes(after.cons[0] as string, "made after"));
  await assertWorks(`${prefix}/bin`);
  assertOk(await install("--uninstall", prefix));
  assert(await echoes(before.cons[0] as string, "and without the files"));
  await assertGone(prefix);
});

Deno.test("a control server whose executable is replaced goes on starting data servers", async () => {
  using folder = tempFolder();
  const executable = `${folder.path}/deno`;
  Deno.copyFileSync(Deno.execPath(), executable);
  /** Runs on a file that an upgrade replaces, as the compiled executable does. */
  class Replaced extends Gateway {
    override async launch(port: number, ...flags: string[]): Promise<void> {
      await this.run([executable, ...SCISTREAM.slice(1), ...this.s2cs(port, flags)], {});
    }
  }
  const replaced = new Replaced();
  await replaced.certify();
  await replaced.launch(0);
  await using echo = new EchoServer();
  await using pair = Pair.of(replaced, await Gateway.start());
  const stream = await pair.connect(echo.endpoint);
  Deno.copyFileSync(Deno.execPath(), `${executable}.new`);
  Deno.renameSync(`${executable}.new`, executable);
  const first = replaced.dataServers();
  for (const pid of first) Deno.kill(pid, "SIGKILL");
  await eventually("others have taken their place", () => {
    const now = replaced.dataServers();
    return now.length === first.length && !now.some((pid) => first.includes(pid));
  });
  await eventually("they stream", () => echoes(stream.cons[0] as string).catch(() => false));
});

async function assertGone(path: string): Promise<void> {
  assertEquals((await run(["test", "-e", path])).code, 1, path);
}
