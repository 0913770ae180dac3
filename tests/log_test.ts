// The log of real control servers: what a log shipper, logrotate and a full disk make of it.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { LEVELS, type LogEntry, MODULES } from "../lib/log.ts";
import { Uid } from "../lib/protocol/uid.ts";
import { echoes, EchoServer } from "./echo.ts";
import { Disk } from "./faults.ts";
import { eventually, Gateway, scistream, tempFolder } from "./harness.ts";
import { authenticated, call, GATEWAY, refusal, session } from "./oauth/gateway.ts";

const entries = (text: string): LogEntry[] =>
  text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
const modules = (text: string) => new Set(entries(text).map(({ module }) => module));
const list = (gateway: Gateway) => call(gateway, undefined, "list");

Deno.test("JSON: every line of a session's whole life is an object, and none holds a secret", async () => {
  await using echo = new EchoServer();
  await using facility = await authenticated([
    ...["--wan=plain", "--log-format=json", "--verbose", "--drain-timeout=0"],
  ]);
  const { oauth, gateway } = facility;
  const token = await oauth.token({ user: "alice@anl.gov", server: GATEWAY.id });
  const unknown = "AgpqQoBo1VvvYkz8yYxyQgkgrW7nobYmG6dno8q8rgKG9";
  const [uid, left] = [Uid.random(), Uid.random()];
  const app = String(echo.endpoint);
  assert(await echoes(await session(gateway, token, uid.reveal(), { app })));
  await session(gateway, token, left.reveal(), { app });
  await refusal(call(gateway, unknown, "release", { uid: uid.reveal() }));
  await refusal(call(gateway, token, "release", { uid: `${uid.reveal()}!` }));
  await call(gateway, token, "release", { uid: uid.reveal() });
  gateway.process.child.kill("SIGHUP");
  await gateway.process.line(/SIGHUP: certificate and settings were read again/, "err");
  for (const pid of gateway.dataServers()) Deno.kill(pid, "SIGKILL");
  await gateway.process.line(/the data server is back/, "err");
  const { code, err } = await gateway.process.stop();
  assertEquals(code, 0);

  const all = entries(err);
  for (const { time, level, module, message, session, ...more } of all) {
    assertMatch(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert(LEVELS.includes(level) && MODULES.includes(module) && message !== "");
    if (session !== undefined) assertMatch(session, /^[0-9a-f]{8}$/);
    assertEquals(more, {});
  }
  assertEquals(modules(err), new Set(["s2cs", "protocol", "auth", "s2ds"]));
  const of = ({ session }: Uid) => all.filter((each) => each.session === session);
  const steps = of(uid).filter(({ level }) => level === "info").map(({ message }) => message);
  for (const step of ["reserved → waiting", "ready → streaming", "streaming → draining"]) {
    assert(steps.some((message) => message.endsWith(step)), step);
  }
  const calls = of(uid).filter(({ level }) => level === "debug");
  for (const method of ["req", "hello", "update", "release"]) {
    const told = calls.filter(({ message }) => message.includes(`: ${method} from alice@anl.gov,`));
    assertEquals(told.map(({ module }) => module), ["protocol"], method);
  }
  for (const secret of [uid.reveal(), left.reveal(), token, unknown, GATEWAY.secret]) {
    assertEquals(err.includes(secret), false);
  }
});

Deno.test("JSON: warnings of the start are objects too", async () => {
  await using gateway = await Gateway.start("--type=Mock", "--ssl=False", "--log-format=json");
  await gateway.process.line(/callers are not authenticated/, "err");
  const [first] = entries(gateway.process.err);
  assertMatch(first?.message ?? "", /^WARNING: --ssl=False/);
  assertEquals(first?.level, "warn");
});

Deno.test("levels: each module has its own, and a reload changes them", async () => {
  using folder = tempFolder();
  const config = `${folder.path}/s2cs.toml`;
  const write = (levels: string) => Deno.writeTextFileSync(config, `log-level = "${levels}"\n`);
  write("error,protocol=debug");
  await using gateway = await Gateway.start(
    ...["--type=Mock", "--log-format=json", `--config=${config}`],
  );
  const { process } = gateway;
  await session(gateway, undefined, Uid.random().reveal());
  await process.line(/: update from /, "err");
  assertEquals(modules(process.err), new Set(["protocol"]));
  write("error,protocol=info,s2cs=info");
  await process.line(/were read again: --log-level/, "err");
  process.err = "";
  await session(gateway, undefined, Uid.random().reveal());
  await process.line(/ready → streaming/, "err");
  assertEquals(modules(process.err), new Set(["s2cs"]));
  write("info,s2dx=debug");
  await process.line(/nothing is changed: .*\\"s2dx\\" is no module; there are s2cs, /, "err");
});

Deno.test("a level or module that is none keeps it from starting, and is named", async () => {
  const ended = await scistream(["s2cs", "--log-level=info,s2dx=debug"]);
  assertEquals([ended.code, ended.err], [
    2,
    'error: --log-level: "s2dx" is no module; there are s2cs, protocol, auth, s2ds, docker\n',
  ]);
});

Deno.test("a log file: for the owner alone, rotated by size, and opened again after a rename", async () => {
  using folder = tempFolder();
  const path = `${folder.path}/s2cs.log`;
  const read = (name = path) => Deno.readTextFileSync(name);
  // What an earlier control server left; the next lines do not fit in the megabyte.
  Deno.writeTextFileSync(path, `${"x".repeat(999_900)}\n`, { mode: 0o600 });
  await using gateway = await Gateway.start(
    ...["--type=Mock", "--verbose", `--log-file=${path}`, "--log-file-size=1", "--log-files=2"],
  );
  for (let i = 0; i < 3; i++) await list(gateway);
  assertMatch(read(`${path}.1`), /^x{999900}\n/);
  assertMatch(read(), /DEBUG list from 127\.0\.0\.1:\d+: OK in \d+ ms\n$/);
  assertEquals((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
  assertEquals(gateway.process.err, "");

  Deno.renameSync(path, `${path}-moved`);
  await list(gateway);
  assertMatch(read(`${path}-moved`), /(list from .*\n[^]*){3}$/);
  gateway.process.child.kill("SIGHUP");
  await eventually("a new file", () => {
    try {
      return /SIGHUP: certificate and settings were read again/.test(read());
    } catch {
      return false;
    }
  });
  const before = read(`${path}-moved`);
  await list(gateway);
  assertMatch(read(), /list from [^]*$/);
  assertEquals(read(`${path}-moved`), before);
  assertEquals((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
});

Deno.test("a full disk: the log goes to stderr and the server on; then to the file again", async () => {
  await using disk = await Disk.inMemory();
  const path = `${disk.path}/s2cs.log`;
  await using gateway = await Gateway.start("--type=Mock", "--verbose", `--log-file=${path}`);
  await list(gateway);
  assertEquals(gateway.process.err, "");
  disk.fill();
  // Until the last block of the file is full.
  await eventually("the log goes to stderr", async () => {
    await list(gateway);
    return gateway.process.err !== "";
  });
  await list(gateway);
  await gateway.process.line(/(list from .*\n[^]*){2}/, "err");
  const told = gateway.process.err.match(/cannot write .*s2cs\.log: No space left .*stderr/g);
  assertEquals(told?.length, 1);
  disk.free();
  await list(gateway);
  assertMatch(Deno.readTextFileSync(path), /list from .*\n$/);
  for (const line of Deno.readTextFileSync(path).trimEnd().split("\n")) {
    assertMatch(line, /^\d{4}-\S+Z (DEBUG|INFO |WARN ) /);
  }
});
