/**
 * `scistream init` of docs/user-guide.md: what it writes runs as it is, and what it does not get it asks for.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { readConfig } from "../lib/cli/config.ts";
import { flagName, parseCommandLine } from "../lib/cli/flags.ts";
import { s2csFlags } from "../lib/cli/s2cs_flags.ts";
import { doctor } from "./doctor.ts";
import { echoes, EchoServer } from "./echo.ts";
import {
  assertOk,
  type Ended,
  freePort,
  Gateway,
  leftOutIf,
  portRange,
  run,
  Running,
  SCISTREAM,
  scistream,
  tempFolder,
} from "./harness.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const FILES = ["s2cs.toml", "server.crt", "server.key"];
const names = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
const mode = (path: string) => (Deno.statSync(path).mode ?? 0) & 0o7777;

/** `scistream init` at a terminal: waits for each text, and types. */
function atTerminal(args: readonly string[], steps: readonly [string, string][]): Promise<Ended> {
  const python = ["/usr/bin/python3", `${ROOT}tests/terminal.py`, JSON.stringify(steps)];
  return run([...python, ...SCISTREAM, "init", ...args]);
}

Deno.test("what init writes is private, and a gateway that streams, as it is", async () => {
  using folder = tempFolder();
  // A path that has to be quoted, in TOML and in a shell.
  const dir = `${folder.path}/a "gate" way/deep`;
  const [port, range] = [freePort(), portRange(20)];
  const flags = [
    "--yes",
    ...["--listener-ip=127.0.0.1", `--port=${port}`, `--port-range=${range.text}`],
    `--dir=${dir}`,
  ];
  const { out } = assertOk(await scistream(["init", ...flags]));
  assertEquals(names(dir), FILES);
  assertEquals(mode(dir), 0o700);
  assertEquals(FILES.map((name) => mode(`${dir}/${name}`)), [0o600, 0o644, 0o600]);

  // What it tells to type next is typed, but for what becomes root or goes to other hosts.
  const told = [...out.matchAll(/^ {4}(s2cs|scistream doctor) (.*)$/gm)]
    .map(([, name, rest]) => [name as string, (rest as string).replaceAll("server.crt", "$0")]);
  assertEquals(told.map(([name]) => name), ["scistream doctor", "s2cs", "scistream doctor"]);
  const words = async (rest = "") => {
    const script = `printf '%s\\n' ${rest}`;
    const { out } = assertOk(await run(["sh", "-c", script, `${dir}/server.crt`]));
    return out.trim().split("\n");
  };
  const [here, start, there] = await Promise.all(told.map(([, rest]) => words(rest)));
  const env = { SCISTREAM_STATE_DIR: `${folder.path}/state` };
  assertEquals((await doctor(here as string[], { env })).problems, []);
  const s2cs = new Running([...SCISTREAM, "s2cs", ...start as string[]], { env });
  try {
    await s2cs.line(new RegExp(`^Secure gRPC Server started on 127.0.0.1:${port}$`, "m"));
    assertEquals((await doctor(there as string[])).problems, []);
    await using echo = new EchoServer();
    const { host, port: target } = echo.endpoint;
    // The other gateway of the session.
    await using cons = await Gateway.start();
    const request = assertOk(
      await scistream([
        ...["s2uc", "connect", `--prod-s2cs=127.0.0.1:${port}`, `--cons-s2cs=${cons.address}`],
        ...[`--server-cert=${dir}/server.crt`, `--cons-server-cert=${cons.cert}`],
        ...["--num-conn=1", `--remote-ip=${host}`, `--receiver-ports=${target}`],
      ]),
    );
    const listener = /^listeners: "(.*)"$/m.exec(request.out)?.[1] as string;
    assert(await echoes(listener, "through what init wrote"));
  } finally {
    await s2cs.stop();
  }
});

Deno.test("every option of s2cs is in the file, and every comment can be one", async () => {
  using folder = tempFolder();
  assertOk(
    await scistream([
      "init",
      "--yes",
      "--listener-ip=::1",
      "--dns=gate.example",
      `--dir=${folder.path}`,
    ]),
  );
  const text = Deno.readTextFileSync(`${folder.path}/s2cs.toml`);
  const read = (source: string) => readConfig("s2cs.toml", source, { start: s2csFlags }, "start");
  assertEquals(Object.keys(read(text).file).sort(), ["listenerIp", "serverCrt", "serverKey"]);
  const all = text.replaceAll(/^#([a-z])/gm, "$1");
  const { file } = read(all);
  const expected = Object.keys(s2csFlags)
    .filter((key) => !["config", "version", "clientSecret"].includes(key));
  assertEquals(Object.keys(file).sort(), expected.sort());
  parseCommandLine([], s2csFlags, [], { file });
  // Those that show a default show the real one.
  for (const [key, flag] of Object.entries(s2csFlags)) {
    if (flag.default === undefined || !text.includes(`#${flagName(key)} = `)) continue;
    assertEquals(flag.parse(file[key] as string), flag.parse(flag.default), key);
  }
  const commented = assertOk(
    await run([
      "openssl",
      "x509",
      "-noout",
      "-ext",
      "subjectAltName",
      "-in",
      `${folder.path}/server.crt`,
    ]),
  );
  assertMatch(commented.out, /IP Address:0:0:0:0:0:0:0:1, DNS:gate\.example/);
});

Deno.test("nothing that is there is replaced unasked, and what fails leaves nothing", async () => {
  using folder = tempFolder();
  const dir = `${folder.path}/g`;
  const flags = ["init", "--yes", "--listener-ip=127.0.0.1"];
  Deno.mkdirSync(dir);
  Deno.writeTextFileSync(`${dir}/server.key`, "mine");
  const refused = await scistream([...flags, `--dir=${dir}`]);
  assertEquals(refused.code, 2);
  assertMatch(
    refused.err,
    /^error: .*\/g has server\.key already; --force replaces it, --dir .*\n$/,
  );
  assertEquals(names(dir), ["server.key"]);
  assertEquals(Deno.readTextFileSync(`${dir}/server.key`), "mine");

  const forced = assertOk(await scistream([...flags, `--dir=${dir}`, "--force", "--json"]));
  const made = JSON.parse(forced.out);
  assertEquals([made.v, made.kind, made.config], [1, "init", `${dir}/s2cs.toml`]);
  assertEquals(
    made.written,
    ["key", "crt"].map((end) => `${dir}/server.${end}`).concat(made.config),
  );
  assertEquals(names(dir), FILES);
  assertEquals(mode(`${dir}/server.key`), 0o600);

  Deno.removeSync(`${dir}/s2cs.toml`);
  Deno.mkdirSync(`${dir}/s2cs.toml`);
  const key = Deno.readTextFileSync(`${dir}/server.key`);
  const folderThere = await scistream([...flags, `--dir=${dir}`, "--force"]);
  assertEquals(folderThere.code, 2);
  assertEquals(Deno.readTextFileSync(`${dir}/server.key`), key);

  Deno.chmodSync(folder.path, 0o777);
  const shared = await scistream([...flags, `--dir=${folder.path}`]);
  assertEquals(shared.code, 2);
  assertMatch(shared.err, /can be written to by other users/);
  const beneath = await scistream([...flags, `--dir=${folder.path}/new/folder`]);
  assertEquals(beneath.code, 2);
  assertMatch(beneath.err, /is not safe/);
  Deno.chmodSync(folder.path, 0o700);
  const file = await scistream([...flags, `--dir=${dir}/server.crt/a`]);
  assertEquals(file.code, 2);
  assertMatch(file.err, /^error: cannot write into .*; --dir chooses another folder\n$/);
  assertEquals(names(folder.path), ["g"]);
});

Deno.test("without a terminal it names the flags that are missing", async () => {
  using folder = tempFolder();
  const cases: [flags: string[], err: RegExp][] = [
    [
      [],
      /nobody can be asked here: give --listener-ip IP, and --yes for the defaults of --port, --/,
    ],
    [["--yes"], /give --listener-ip IP\n/],
    [["--listener-ip=::1", "--port=1"], /: give --yes for the defaults of --type, --port-range\n/],
    [["--yes", "--listener-ip=::1", "--client-id=a"], /--client-id needs --client-secret-file/],
    [["--yes", "--listener-ip=::1", "--issuer=https://a"], /--client-id is missing/],
    [["--yes", "--listener-ip=::1", "--dir=a\nb"], /--dir ".*a\\nb" is no name for a folder/],
    [["--yes", "--listener-ip=::1", "--type=bogus"], /data server type "bogus" is unknown/],
  ];
  for (const [flags, err] of cases) {
    const ended = await scistream(["init", `--dir=${folder.path}`, ...flags], { stdin: "" });
    assertEquals([ended.code, ended.out], [2, ""], ended.err);
    assertMatch(ended.err, err);
  }
  assertEquals(names(folder.path), []);
});

const { ignore, because } = leftOutIf(
  Deno.build.os === "linux" ? undefined : "of Linux's terminals",
);
Deno.test(
  { name: `at a terminal it asks, and a secret is not shown${because}`, ignore },
  async () => {
    using folder = tempFolder();
    const dir = `${folder.path}/gateway`;
    const { code, out } = await atTerminal([], [
      ["clients of this gateway use", "300.1.1.1\n"],
      ["clients of this gateway use", "127.0.0.1\n"],
      ["other gateways reach", "\n"],
      ["Port of", "6001\n"],
      ["Data server type", "bogus\n"],
      ["Data server type", "\n"],
      ["Ports for data", "\n"],
      ["known by", "oidc\n"],
      ["Issuer", "http://login.example.org\n"],
      ["Issuer", "https://login.example.org\n"],
      ["client id", "gateway-1\n"],
      ["secret (not shown", "open sesamX\x7fe\r"],
      ["Folder", `${dir}\n`],
    ]);
    assertEquals(code, 0, out);
    assert(!out.includes("sesam"), out);
    assertMatch(out, /"300\.1\.1\.1" is neither an IP address nor a host name/);
    assertMatch(out, /data server type "bogus" is unknown/);
    assertEquals(names(dir), ["client-secret", ...FILES]);
    assertEquals(mode(`${dir}/client-secret`), 0o600);
    assertEquals(Deno.readTextFileSync(`${dir}/client-secret`), "open sesame\n");
    const { file } = readConfig(
      "s2cs.toml",
      Deno.readTextFileSync(`${dir}/s2cs.toml`),
      { start: s2csFlags },
      "start",
    );
    assertEquals(file, {
      listenerIp: "127.0.0.1",
      port: "6001",
      portRange: "5100-5200",
      type: "S2DS",
      issuer: "https://login.example.org",
      clientId: "gateway-1",
      clientSecretFile: `${dir}/client-secret`,
      serverCrt: `${dir}/server.crt`,
      serverKey: `${dir}/server.key`,
    });
  },
);

Deno.test({ name: `Ctrl-C and the end of input leave nothing${because}`, ignore }, async () => {
  using folder = tempFolder();
  const dir = `${folder.path}/gateway`;
  const given = ["--listener-ip=127.0.0.1", "--wan-ip=127.0.0.1", "--port=1", "--type=S2DS"];
  const flags = [...given, "--port-range=5100", `--dir=${dir}`, "--client-id=a"];
  const stopped = await atTerminal(flags, [["secret (not shown", "ses\x03"]]);
  assertEquals(stopped.code, 130, stopped.out);
  assertMatch(stopped.out, /interrupted/);
  const asked = await atTerminal(given, [["Ports for data", "\x04"]]);
  assertEquals(asked.code, 2, asked.out);
  assertMatch(asked.out, /the input ended before all was answered/);
  assertEquals(names(folder.path), []);
});
