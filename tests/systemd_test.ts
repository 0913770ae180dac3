/**
 * The systemd unit and its drop-ins: what systemd says to them, and that their options are ones of
 * s2cs. What they restrict is put on real control servers in unprivileged_test.ts.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Exit } from "../lib/cli/command.ts";
import { envName, parseCommandLine } from "../lib/cli/flags.ts";
import { s2csFlags } from "../lib/cli/s2cs_flags.ts";
import { assertOk, leftOutIf, run, tempFolder } from "./harness.ts";
import { UNIT, whyNot } from "./unprivileged.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const FOLDER = `${ROOT}scripts/systemd`;
const DROP_INS = ["authentication.conf", "docker.conf"];
/** systemd's own scale: 0 is best, 10 worst. */
const MOST_EXPOSED = 2.0;
const read = (name: string) => Deno.readTextFileSync(`${FOLDER}/${name}`);
const unit = Deno.readTextFileSync(ROOT + UNIT);
const setting = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(unit)?.[1] ?? "";
const { ignore, because } = leftOutIf(whyNot());

/** The unit where systemd finds it, with these drop-ins; for a program that is there. */
function installed(dropIns: readonly string[]): { unit: string } & Disposable {
  const folder = tempFolder();
  const path = `${folder.path}/scistream-s2cs.service`;
  Deno.writeTextFileSync(path, unit.replace("/usr/local/bin/s2cs", "/usr/bin/true"));
  Deno.mkdirSync(`${path}.d`);
  for (const name of dropIns) Deno.copyFileSync(`${FOLDER}/${name}`, `${path}.d/${name}`);
  return { unit: path, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

Deno.test("systemd has nothing to say against the unit, with each of its drop-ins and all", async () => {
  assertEquals(
    [...Deno.readDirSync(FOLDER)].map(({ name }) => name).sort(),
    [...DROP_INS, UNIT.split("/").at(-1)].sort(),
  );
  for (const dropIns of [[], ...DROP_INS.map((name) => [name]), DROP_INS]) {
    using there = installed(dropIns);
    const { out, err } = assertOk(await run(["systemd-analyze", "verify", there.unit]));
    assertEquals(out + err, "", dropIns.join(" "));
  }
  // That it would.
  using wrong = installed([]);
  Deno.writeTextFileSync(wrong.unit, `${unit}\n[Service]\nProtectSytem=strict\n`);
  assertMatch((await run(["systemd-analyze", "verify", wrong.unit])).err, /ProtectSytem/);
});

Deno.test("what the service could do to its machine is below 2.0 of 10 on systemd's own scale", async () => {
  using there = installed(["authentication.conf"]);
  const { out } = await run([
    "systemd-analyze",
    "security",
    "--no-pager",
    "--offline=true",
    there.unit,
  ]);
  const score = Number(/Overall exposure level for \S+: ([0-9.]+)/.exec(out)?.[1]);
  assert(score > 0 && score < MOST_EXPOSED, out);
});

Deno.test("its options and variables are s2cs's own", () => {
  const words = setting("ExecStart").split(" ");
  assertEquals(words.shift(), "/usr/local/bin/s2cs");
  const { options } = parseCommandLine(words, s2csFlags, []);
  assertEquals([options.keepSessions, options.config], [true, "/etc/scistream/s2cs.toml"]);
  const known = new Set(Object.entries(s2csFlags).map(([key, flag]) => envName(key, flag)));
  const named = [unit, ...DROP_INS.map(read)].flatMap((text) =>
    [...text.matchAll(/^Environment=(\w+)=/gm)].map((match) => match[1] as string)
  );
  assert(named.length >= 5);
  for (const name of named) assert(known.has(name), name);
});

Deno.test("a restart keeps streams, and a wrong command line is not tried again", () => {
  assertEquals(setting("KillMode"), "process");
  assertEquals(Number(setting("RestartPreventExitStatus")), Exit.USAGE);
  // Longer than s2cs takes to stop.
  assert(
    Number(setting("TimeoutStopSec")) * 1000 >
      2 * s2csFlags.drainTimeout.parse(s2csFlags.drainTimeout.default ?? ""),
  );
});

Deno.test({
  name: `the filter that tests put on control servers is the unit's, and bites${because}`,
  ignore,
  async fn() {
    const filtered = (code: string) =>
      run([
        "/usr/bin/python3",
        `${ROOT}tests/restrict.py`,
        ROOT + UNIT,
        "/usr/bin/python3",
        "-c",
        code,
      ]);
    const socket = (family: string) =>
      filtered(`import socket; socket.socket(socket.${family}, socket.SOCK_DGRAM)`);
    for (const family of ["AF_INET", "AF_INET6", "AF_UNIX"]) assertOk(await socket(family));
    for (const family of ["AF_NETLINK", "AF_PACKET"]) {
      assertMatch((await socket(family)).err, /Operation not permitted/);
    }
    const mount =
      "import ctypes, os; libc = ctypes.CDLL(None, use_errno=True); libc.mount(b'none', b'/mnt', b'tmpfs', 0, None); print(os.strerror(ctypes.get_errno()))";
    assertEquals((await filtered(mount)).out, "Operation not permitted\n");
  },
});
