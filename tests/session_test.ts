import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ControlClient } from "../lib/protocol/client.ts";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { Uid } from "../lib/protocol/uid.ts";
import { releaseSession, requestSession, sayHello, updateSession } from "../lib/s2uc/requests.ts";
import { dial, echoes, EchoServer, readExactly, writeAll } from "./echo.ts";
import {
  assertOk,
  type Ended,
  eventually,
  freePort,
  Gateway,
  portRange,
  processes,
  Running,
  SCISTREAM,
  scistream,
  tempFolder,
} from "./harness.ts";

/** Sets a session up towards an echo server; answers its uid and listeners. */
async function inbound(
  gateway: Gateway,
  echo: EchoServer,
  numConn = 1,
): Promise<{ uid: string; listeners: string[] }> {
  const { host, port } = echo.endpoint;
  const ended = assertOk(
    await scistream([
      "s2uc",
      "inbound-request",
      ...gateway.flags,
      `--num_conn=${numConn}`,
      `--remote_ip=${host}`,
      `--receiver_ports=${port}`,
    ]),
  );
  return {
    uid: ended.out.split("\n")[1]?.split(" ")[0] as string,
    listeners: [...ended.out.matchAll(/^listeners: "(.*)"$/gm)].map((match) => match[1] as string),
  };
}

/** `s2uc connect` over two gateways. */
function connectBoth(prod: Gateway, cons: Gateway, flags: string[]): Promise<Ended> {
  return scistream([
    ...["s2uc", "connect", `--prod-s2cs=${prod.address}`, `--cons-s2cs=${cons.address}`],
    ...[`--server-cert=${prod.cert}`, `--cons-server-cert=${cons.cert}`],
    ...flags,
  ]);
}

async function sessions(gateway: Gateway): Promise<{ state: string; session: string }[]> {
  const ended = assertOk(await scistream(["s2uc", "list", "--json", ...gateway.flags]));
  return JSON.parse(ended.out).sessions;
}

async function refused(address: string): Promise<boolean> {
  try {
    (await dial(address)).close();
    return false;
  } catch (error) {
    return error instanceof Deno.errors.ConnectionRefused;
  }
}

Deno.test("connect: one command, both gateways, bytes flow, release at both frees all", async () => {
  await using prod = await Gateway.start();
  await using cons = await Gateway.start();
  await using echo = new EchoServer();
  const both = `${prod.folder.path}/both.crt`;
  Deno.writeTextFileSync(both, Deno.readTextFileSync(prod.cert) + Deno.readTextFileSync(cons.cert));
  const ended = assertOk(
    await connectBoth(prod, cons, [
      "--remote_ip=127.0.0.1",
      `--receiver_ports=${echo.endpoint.port},${echo.endpoint.port}`,
    ]),
  );
  const [uid, ...lines] = ended.out.trim().split("\n");
  const listeners = lines.map((line) => /^listeners: "(.*)"$/.exec(line)?.[1] as string);
  assertEquals(listeners.length, 2);
  for (const listener of listeners) assert(await echoes(listener, "through two gateways"));
  const servers = ["--s2cs", prod.address, "--s2cs", cons.address, "--server-cert", both];
  const status = assertOk(await scistream(["s2uc", "check-status", uid as string, ...servers]));
  assertMatch(status.out, /streaming, PROD, S2DS/);
  assertMatch(status.out, /streaming, CONS, S2DS/);
  assertMatch(status.out, /connections 0 open, 1 total {2}20 B (\(.*\) )?to target, 20 B /);
  assertEquals(
    assertOk(await scistream(["s2uc", "release", uid as string, ...servers])).out,
    "Release completed\n",
  );
  for (const listener of listeners) assert(await refused(listener));
  assertEquals([await sessions(prod), await sessions(cons)], [[], []]);
});

Deno.test("connect undoes everything when one side fails", async () => {
  await using prod = await Gateway.start();
  const ended = await scistream([
    "s2uc",
    "connect",
    `--prod-s2cs=${prod.address}`,
    `--cons-s2cs=127.0.0.1:${freePort()}`,
    `--server-cert=${prod.cert}`,
  ]);
  assertEquals(ended.code, 3);
  assertMatch(
    ended.err,
    /error: \[CONN_ERROR\] could not reach the control server at 127.0.0.1:\d+: the connection was refused/,
  );
  await eventually(
    "the producer's session is gone",
    async () => (await sessions(prod)).length === 0,
  );
});

Deno.test("connect does not release a session that is not its own", async () => {
  await using prod = await Gateway.start();
  await using cons = await Gateway.start();
  const mine = new Running([
    ...SCISTREAM,
    "s2uc",
    "cons-req",
    ...cons.flags,
    "4f8583bc-a4d3-11ee-9fd6-034d1fcbd7c3",
    "127.0.0.1:1",
  ]);
  await eventually(
    "the consumer's session is there",
    async () => (await sessions(cons)).length === 1,
  );
  const ended = await connectBoth(prod, cons, ["--mock"]);
  assertEquals(ended.code, 1);
  assertMatch(ended.err, /\[INVALID_UID\] session [0-9a-f]{8} exists already/);
  assertEquals((await sessions(cons)).length, 1);
  await eventually(
    "the producer's side is undone",
    async () => (await sessions(prod)).length === 0,
  );
  await mine.stop();
});

Deno.test("appctrl before its req, and after it", async () => {
  await using gateway = await Gateway.start("--type=mock");
  const mock = "4f8583bc-a4d3-11ee-9fd6-034d1fcbd7c3";
  const hello = [
    "appctrl",
    "mock",
    mock,
    gateway.address,
    "INVALID_TOKEN",
    "PROD",
    "10.9.9.9",
    "--server-cert",
    gateway.cert,
  ];
  for (const early of [true, false]) {
    const req = [...SCISTREAM, "s2uc", "prod-req", ...gateway.flags, "--mock", "True"];
    const first = early ? new Running([...SCISTREAM, ...hello]) : new Running(req);
    if (early) await gateway.process.line(/hello is early/, "err");
    else await gateway.process.line(/reserved → waiting[\s\S]*reserved → waiting/, "err");
    const second = early ? new Running(req) : new Running([...SCISTREAM, ...hello]);
    const [request, app] = early
      ? [await second.ended, await first.ended]
      : [await first.ended, await second.ended];
    assertEquals(assertOk(app).out, "Sending Prod listeners...\n");
    assertMatch(assertOk(request).out, /prod_listeners: "10.9.9.9:47000"\n\nSending updated/);
    assertOk(await scistream(["s2uc", "release", mock, ...gateway.flags]));
  }
});

for (const signal of ["SIGKILL", "SIGINT"] as const) {
  Deno.test(`a client that ends by ${signal} while its req is pending frees everything`, async () => {
    await using gateway = await Gateway.start();
    const client = new Running([...SCISTREAM, "s2uc", "prod-req", ...gateway.flags]);
    await gateway.process.line(/reserved → waiting/, "err");
    const [listed] = await sessions(gateway);
    assertEquals(listed?.state, "waiting");
    const ended = await client.stop(signal);
    if (signal === "SIGINT") assertEquals([ended.code, ended.err], [130, "interrupted\n"]);
    await gateway.process.line(/waiting → failed: the client went away/, "err");
    await eventually("the session is gone", async () => (await sessions(gateway)).length === 0);
  });
}

Deno.test("a session whose hello does not come expires; its client is told, its ports are free", async () => {
  const range = portRange(2);
  await using gateway = await Gateway.start("--hello-timeout=0.3", `--port-range=${range.text}`);
  for (let i = 0; i < 2; i++) {
    const ended = await scistream(["s2uc", "prod-req", "--num_conn=2", ...gateway.flags]);
    assertEquals(ended.code, 1);
    assertMatch(
      ended.err,
      /^error: \[TIMEOUT\] no hello arrived within 0.3 s; everything reserved for session [0-9a-f]{8} is released\n$/,
    );
  }
});

Deno.test("a port of a stranger is skipped", async () => {
  const range = portRange(3);
  using stranger = Deno.listen({ hostname: "127.0.0.1", port: range.first + 1 });
  await using gateway = await Gateway.start(`--port-range=${range.text}`);
  await using echo = new EchoServer();
  const { uid, listeners } = await inbound(gateway, echo, 2);
  assertEquals(listeners, [`127.0.0.1:${range.first}`, `127.0.0.1:${range.first + 2}`]);
  const none = await scistream(["s2uc", "prod-req", ...gateway.flags, "--num_conn=1"]);
  assertEquals(none.code, 1);
  assertMatch(none.err, /\[NO_RESOURCE\] 1 ports asked for, .* 1 of them used by other programs/);
  assertOk(await scistream(["s2uc", "release", uid, ...gateway.flags]));
  assertEquals(stranger.addr.port, range.first + 1);
});

Deno.test("a second update sends new connections elsewhere and leaves established ones alone", async () => {
  await using gateway = await Gateway.start("--wan=plain");
  await using echo = new EchoServer();
  const { uid, listeners } = await inbound(gateway, echo, 2);
  using old = await dial(listeners[0] as string);
  await writeAll(old, new Uint8Array([1]));
  await readExactly(old, 1);
  using other = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const client = new ControlClient({
    address: Endpoint.parse(gateway.address),
    roots: Deno.readFileSync(gateway.cert),
  });
  const target = `127.0.0.1:${other.addr.port}`;
  const answer = await client.call("update", { uid, role: "PROD", remote_listeners: [target] });
  client.close();
  assertEquals(answer, { listeners, prod_listeners: [target, target] });
  using near = await dial(listeners[0] as string);
  using far = await other.accept();
  await writeAll(far, new Uint8Array([9]));
  assertEquals(await readExactly(near, 1), new Uint8Array([9]));
  await writeAll(old, new Uint8Array([2]));
  assertEquals(await readExactly(old, 1), new Uint8Array([2]));
});

Deno.test("a release lets what is established finish, and refuses what is new", async () => {
  await using gateway = await Gateway.start("--wan=plain", "--drain-timeout=20");
  await using echo = new EchoServer();
  const { uid, listeners } = await inbound(gateway, echo);
  using conn = await dial(listeners[0] as string);
  await writeAll(conn, new Uint8Array([1, 2, 3]));
  await readExactly(conn, 3);
  const release = new Running([...SCISTREAM, "s2uc", "release", uid, ...gateway.flags]);
  await gateway.process.line(/streaming → draining/, "err");
  await eventually("new connections are refused", () => refused(listeners[0] as string));
  await writeAll(conn, new Uint8Array([4, 5]));
  assertEquals(await readExactly(conn, 2), new Uint8Array([4, 5]));
  await conn.closeWrite();
  assertEquals(await conn.read(new Uint8Array(1)), null);
  assertOk(await release.ended);
});

Deno.test("release --force does not wait", async () => {
  await using gateway = await Gateway.start("--wan=plain", "--drain-timeout=600");
  await using echo = new EchoServer();
  const { uid, listeners } = await inbound(gateway, echo);
  using conn = await dial(listeners[0] as string);
  await writeAll(conn, new Uint8Array([1]));
  await readExactly(conn, 1);
  assertOk(await scistream(["s2uc", "release", uid, "--force", ...gateway.flags]));
  await assertRejects(() => conn.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
});

Deno.test("kill -9 of the data server: it is back, with every session's listeners and targets", async () => {
  await using gateway = await Gateway.start("--wan=plain", "--workers=1");
  await using echo = new EchoServer();
  const { uid, listeners } = await inbound(gateway, echo, 2);
  using cut = await dial(listeners[0] as string);
  await writeAll(cut, new Uint8Array([1]));
  await readExactly(cut, 1);
  const [pid] = gateway.dataServers();
  Deno.kill(pid as number, "SIGKILL");
  await gateway.process.line(/data server is gone .*starting another for 1 sessions/, "err");
  await assertRejects(() => readExactly(cut, 1), Error);
  await gateway.process.line(/the data server is back/, "err");
  for (const listener of listeners) assert(await echoes(listener));
  assertOk(await scistream(["s2uc", "release", uid, ...gateway.flags]));
  assert(await refused(listeners[0] as string));
});

Deno.test("calls that meet a dying data server wait for the next one", async () => {
  await using gateway = await Gateway.start("--wan=plain", "--workers=2");
  const client = new ControlClient({
    address: Endpoint.parse(gateway.address),
    roots: Deno.readFileSync(gateway.cert),
  });
  for (let round = 0; round < 5; round++) {
    const uid = Uid.random();
    for (const pid of gateway.dataServers()) Deno.kill(pid, "SIGKILL");
    const [, { listeners }] = await Promise.all([
      sayHello(client, uid, "PROD", [new Endpoint("127.0.0.1", 9)]),
      requestSession(client, { uid, role: "PROD", numConn: 2, rate: 0 }),
    ]);
    for (const pid of gateway.dataServers()) Deno.kill(pid, "SIGKILL");
    await updateSession(client, uid, "PROD", ["127.0.0.1:9"]);
    assertEquals(listeners.length, 2);
    await releaseSession(client, uid);
  }
  client.close();
});

Deno.test("kill -9 of one of several data servers: what the others carry goes on, and it is back", async () => {
  await using gateway = await Gateway.start("--wan=plain", "--workers=3");
  await using echo = new EchoServer();
  const { listeners } = await inbound(gateway, echo);
  const conns = await Promise.all(
    Array.from({ length: 48 }, () => dial(listeners[0] as string)),
  );
  using stack = new DisposableStack();
  for (const conn of conns) stack.use(conn);
  // Whether it echoes still.
  const alive = async (conn: Deno.TcpConn, byte: number) => {
    try {
      await writeAll(conn, new Uint8Array([byte]));
      return (await readExactly(conn, 1))[0] === byte;
    } catch {
      return false;
    }
  };
  const count = async (byte: number) =>
    (await Promise.all(conns.map((conn) => alive(conn, byte)))).filter(Boolean).length;
  assertEquals(await count(1), conns.length);
  const before = gateway.dataServers();
  assertEquals(before.length, 3);
  Deno.kill(before[1] as number, "SIGKILL");
  await gateway.process.line(/the data server is back/, "err");
  const left = await count(2);
  // 48 connections over three: none of them has all or nothing, but once in 10^8.
  assert(left > 0 && left < conns.length, `${left} of ${conns.length} are left`);
  for (let i = 0; i < 20; i++) assert(await echoes(listeners[0] as string));
  assertEquals(gateway.dataServers().length, 3);
});

Deno.test("fewer data servers than before: those that are too many are ended", async () => {
  await using gateway = await Gateway.start("--workers=3");
  await using echo = new EchoServer();
  await inbound(gateway, echo);
  await gateway.process.stop("SIGKILL");
  assertEquals(gateway.dataServers().length, 3);
  await gateway.launch(Number(gateway.address.split(":")[1]), "--workers=1");
  await eventually("one is left", () => gateway.dataServers().length === 1);
});

Deno.test("a port that is lost while the data server is down fails the session, with the reason", async () => {
  await using gateway = await Gateway.start("--wan=plain", "--workers=1");
  await using echo = new EchoServer();
  const { uid, listeners } = await inbound(gateway, echo);
  const port = Number(listeners[0]?.split(":")[1]);
  const [pid] = gateway.dataServers();
  Deno.kill(pid as number, "SIGKILL");
  using _stranger = await eventually("the port is free for a moment", () => {
    try {
      return Deno.listen({ hostname: "127.0.0.1", port });
    } catch {
      return undefined;
    }
  });
  await gateway.process.line(/streaming → failed/, "err");
  const status = assertOk(await scistream(["s2uc", "check-status", uid, ...gateway.flags]));
  assertMatch(
    status.out,
    /: failed, PROD[\s\S]*reason: channels could not be brought back: in use by another program: \d+/,
  );
  assertOk(await scistream(["s2uc", "release", uid, ...gateway.flags]));
});

Deno.test("Ctrl-C drains and releases, a second one forces; nothing is left", async () => {
  await using gateway = await Gateway.start("--wan=plain", "--drain-timeout=600");
  await using echo = new EchoServer();
  const { listeners } = await inbound(gateway, echo);
  const pending = new Running([...SCISTREAM, "s2uc", "prod-req", ...gateway.flags]);
  await gateway.process.line(/streaming[\s\S]*reserved → waiting/, "err");
  using conn = await dial(listeners[0] as string);
  await writeAll(conn, new Uint8Array([1]));
  await readExactly(conn, 1);
  const { pid } = gateway.process.child;
  gateway.process.child.kill("SIGINT");
  await gateway.process.line(/streaming → draining/, "err");
  const told = await pending.ended;
  assertEquals(told.code, 1);
  assertMatch(told.err, /\[UNAVAILABLE\] this control server is shutting down/);
  await writeAll(conn, new Uint8Array([2]));
  assertEquals(await readExactly(conn, 1), new Uint8Array([2]));
  const ended = await gateway.process.stop("SIGINT");
  assertEquals(ended.code, 0);
  await assertRejects(() => conn.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
  assertEquals(
    processes().filter(({ args, pid: other }) => other !== pid && args.includes(gateway.stateDir)),
    [],
  );
  assertEquals([...Deno.readDirSync(gateway.stateDir)], []);
});

Deno.test("whoever connects and says nothing keeps no control server from stopping", async () => {
  await using gateway = await Gateway.start("--type=Mock");
  const port = Number(gateway.address.split(":")[1]);
  using _silent = await Deno.connect({ hostname: "127.0.0.1", port });
  assertEquals((await gateway.process.stop()).code, 0);
});

Deno.test("the control socket and its folder are this user's alone", async () => {
  await using gateway = await Gateway.start("--wan=plain");
  const [folder] = [...Deno.readDirSync(gateway.stateDir)].map((entry) =>
    `${gateway.stateDir}/${entry.name}`
  );
  const mode = (path: string) => ((Deno.statSync(path).mode ?? 0) & 0o777).toString(8);
  assertEquals([
    mode(folder as string),
    mode(`${folder}/s2ds-0.sock`),
    mode(`${folder}/s2ds-0.log`),
  ], [
    "700",
    "600",
    "600",
  ]);
});

Deno.test("uids and tokens are in no log and no child's argument list or environment", async () => {
  await using gateway = await Gateway.start("--wan=plain", "--verbose");
  await using echo = new EchoServer();
  const { uid } = await inbound(gateway, echo);
  await scistream(["s2uc", "release", `${uid}x`, ...gateway.flags]);
  const [child] = gateway.dataServers();
  const files = [`/proc/${child}/cmdline`, `/proc/${child}/environ`].map((path) =>
    Deno.readTextFileSync(path)
  );
  const [folder] = [...Deno.readDirSync(gateway.stateDir)];
  files.push(
    Deno.readTextFileSync(`${gateway.stateDir}/${folder?.name}/s2ds-0.log`),
    gateway.process.out,
    gateway.process.err,
  );
  for (const text of files) assertEquals(text.includes(uid), false);
});

Deno.test("without TLS it works, and warns on both streams", async () => {
  await using gateway = await Gateway.start("--wan=plain", "--ssl=False");
  assertMatch(gateway.process.out, /INSECURE gRPC Server started on/);
  await gateway.process.line(/WARNING: --ssl=False: everything is sent in the clear/, "err");
  assertOk(await scistream(["s2uc", "list", "--s2cs", gateway.address, "--ssl", "False"]));
  const mixed = await scistream(["s2uc", "list", ...gateway.flags]);
  assertEquals(mixed.code, 3);
  assertMatch(mixed.err, /is one end using TLS and the other --ssl=False\?/);
});

Deno.test("a certificate that is not the server's, or not for its address, is refused and named", async () => {
  await using gateway = await Gateway.start("--type=mock");
  await using other = await Gateway.start("--type=mock");
  const wrong = await scistream([
    "s2uc",
    "list",
    "--s2cs",
    gateway.address,
    "--server-cert",
    other.cert,
  ]);
  assertEquals(wrong.code, 3);
  assertMatch(wrong.err, /its certificate is not the one in --server-cert/);
  const port = gateway.address.split(":")[1];
  const elsewhere = await scistream([
    "s2uc",
    "list",
    "--s2cs",
    `127.0.0.2:${port}`,
    "--server-cert",
    gateway.cert,
  ]);
  assertEquals(elsewhere.code, 3);
  const named = await scistream([
    "s2uc",
    "list",
    "--s2cs",
    `localhost:${port}`,
    "--server-cert",
    gateway.cert,
  ]);
  assertOk(named);
});

Deno.test("a second control server on the same port says so and harms nothing", async () => {
  await using gateway = await Gateway.start("--wan=plain");
  await using echo = new EchoServer();
  const { listeners } = await inbound(gateway, echo);
  const port = gateway.address.split(":")[1];
  const ended = await scistream([
    "s2cs",
    "--listener-ip=127.0.0.1",
    `--port=${port}`,
    `--server-crt=${gateway.cert}`,
    `--server-key=${gateway.key}`,
    `--state-dir=${gateway.stateDir}`,
  ]);
  assertEquals(ended.code, 3);
  assertMatch(
    ended.err,
    /^error: \[CONN_ERROR\] cannot listen on 127.0.0.1:\d+: the port is in use; is another s2cs running\?\n$/,
  );
  assert(await echoes(listeners[0] as string));
});

Deno.test("IPv6: certificate, control server, listener and target", async () => {
  using folder = tempFolder();
  const cwd = folder.path;
  assertOk(await scistream(["cert", "--ip", "::1"], { cwd }));
  using app = Deno.listen({ hostname: "::1", port: 0 });
  const server = new Running(
    [
      ...SCISTREAM,
      ...["s2cs", "--listener-ip=::1", "--port=0", `--state-dir=${cwd}/state`, "--wan=plain"],
      `--port-range=${portRange(2).text}`,
    ],
    { cwd },
  );
  const address = (await server.line(/Secure gRPC Server started on (\[::1\]:\d+)/))[1] as string;
  const to = ["--remote_ip=::1", `--receiver_ports=${app.addr.port}`, "--num_conn=1"];
  const { out } = assertOk(
    await scistream(["s2uc", "inbound-request", "--s2cs", address, ...to], { cwd }),
  );
  const listener = /^listeners: "(\[::1\]:\d+)"$/m.exec(out)?.[1] as string;
  using near = await dial(listener);
  using far = await app.accept();
  await writeAll(near, new Uint8Array([6]));
  assertEquals(await readExactly(far, 1), new Uint8Array([6]));
  await near.closeWrite();
  assertEquals(await far.read(new Uint8Array(1)), null);
  await far.closeWrite();
  assertEquals((await server.stop()).code, 0);
});
