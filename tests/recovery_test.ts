/**
 * A control server that is killed, and the one that takes over: streams never notice, sessions are
 * whole or gone.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { ControlClient } from "../lib/protocol/client.ts";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { Uid } from "../lib/protocol/uid.ts";
import { dial, echoes, EchoServer, nameAt, NamedServer, roundTrip } from "./echo.ts";
import { assertOk, eventually, Gateway, portRange, scistream, tempFolder } from "./harness.ts";
import { call, calling, GATEWAY, globus, globusFlags, refusal, session } from "./oauth/gateway.ts";
import { Pair, pidsBelow } from "./pair.ts";

const newUid = () => Uid.random().reveal();
const portOf = (gateway: Gateway) => Endpoint.parse(gateway.address).port;
const status = (gateway: Gateway, uid: string, token?: string) =>
  call(gateway, token, "status", { uid });
const TAKEN_UP = "taken up again after the control server was restarted";

Deno.test("kill -9 of both control servers: streams go on, and their sessions are taken up again", async () => {
  await using echo = new EchoServer();
  await using other = new NamedServer("other");
  await using pair = await Pair.start("S2DS", "--workers=2");
  const stream = await pair.connect(echo.endpoint, 3);
  using established = await dial(stream.cons[0] as string);
  await roundTrip(established, "before");
  const { prod, cons } = pair;
  const children = [prod, cons].map(({ gateway }) => gateway.dataServers());
  for (const { gateway } of [prod, cons]) {
    await gateway.process.stop("SIGKILL");
    await roundTrip(established, "meanwhile");
    assert(await echoes(stream.cons[1] as string), "new connections are served too");
    await gateway.launch(portOf(gateway), "--workers=2");
    await roundTrip(established, "afterwards");
  }
  assertEquals([prod, cons].map(({ gateway }) => gateway.dataServers()), children);
  for (const [i, side] of (await pair.status(stream)).entries()) {
    assertEquals([side.state, side.reason, side.channels.length], ["streaming", TAKEN_UP, 3]);
    const [first] = side.channels;
    assertEquals(first?.listener, [stream.prod, stream.cons][i]?.[0]);
    assertEquals(first?.bytes_to_target, "beforemeanwhileafterwardsmeanwhileafterwards".length);
  }
  // They are sessions like any other.
  await pair.update(stream, other.endpoint);
  assertEquals(await nameAt(stream.cons[2] as string), "other");
  await roundTrip(established, "still");
  established.close();
  await pair.release(stream);
  for (const { gateway } of [prod, cons]) {
    assertEquals((await call(gateway, undefined, "list")).sessions, []);
    assertEquals((await gateway.process.stop()).code, 0);
    assertEquals([...Deno.readDirSync(gateway.stateDir)], []);
  }
});

for (const type of ["S2DS", "HaproxySubprocess"]) {
  Deno.test(`${type}: stopped with --keep-sessions, and another version started: no byte is lost`, async () => {
    await using echo = new EchoServer();
    await using gateway = await Gateway.start(`--type=${type}`, "--wan=plain", "--keep-sessions");
    const flags = [`--type=${type}`, "--wan=plain"];
    const uid = newUid();
    const listener = await session(gateway, undefined, uid, { app: String(echo.endpoint) });
    const pending = refusal(
      call(gateway, undefined, "req", { uid: newUid(), role: "PROD", num_conn: 1 }),
    );
    await gateway.process.line(/reserved → waiting[^]*reserved → waiting/, "err");
    using established = await dial(listener);
    await roundTrip(established, "before");
    const ended = await gateway.process.stop("SIGTERM");
    assertEquals(ended.code, 0, ended.err);
    assertMatch(ended.err, /1 sessions go on, for the next control server/);
    assertMatch(await pending, /^UNAVAILABLE 14 this control server is shutting down/);
    await roundTrip(established, "meanwhile");
    assert(await echoes(listener));
    await gateway.launch(portOf(gateway), ...flags);
    await roundTrip(established, "afterwards");
    assertEquals((await status(gateway, uid)).state, "streaming");
    established.close();
    // Without the flag nothing is left.
    assertEquals((await gateway.process.stop("SIGTERM")).code, 0);
    assertEquals([...Deno.readDirSync(gateway.stateDir)], []);
    assert(!await echoes(listener));
  });
}

Deno.test("--keep-sessions without sessions leaves nothing", async () => {
  await using gateway = await Gateway.start("--keep-sessions");
  assertEquals((await gateway.process.stop("SIGTERM")).code, 0);
  assertEquals([...Deno.readDirSync(gateway.stateDir)], []);
  assertEquals(gateway.dataServers(), []);
});

Deno.test("a request that was pending is over with its control server, and its ports are free", async () => {
  const range = portRange(1);
  await using gateway = await Gateway.start("--wan=plain", `--port-range=${range.text}`);
  const uid = newUid();
  const pending = refusal(
    call(gateway, undefined, "req", { uid, role: "PROD", num_conn: 1 }),
  );
  await gateway.process.line(/reserved → waiting/, "err");
  await gateway.process.stop("SIGKILL");
  assertMatch(await pending, /^CONN_ERROR/);
  await gateway.launch(portOf(gateway), "--wan=plain", `--port-range=${range.text}`);
  await gateway.process.line(/was waiting when the control server ended; it is over/, "err");
  assertMatch(await refusal(status(gateway, uid)), /^INVALID_UID 5 /);
  // The only port, under the same uid.
  await using echo = new EchoServer();
  const listener = await session(gateway, undefined, uid, { app: String(echo.endpoint) });
  assert(await echoes(listener));
});

Deno.test("a session that waits for its targets goes on waiting, and expires", async () => {
  await using gateway = await Gateway.start("--wan=plain");
  const uid = newUid();
  await calling(gateway, undefined, (client) =>
    Promise.all([
      client.call("req", { uid, role: "PROD", num_conn: 1 }),
      client.call("hello", { uid, role: "PROD", prod_listeners: ["127.0.0.1:9"] }),
    ]));
  await gateway.process.stop("SIGKILL");
  await gateway.launch(portOf(gateway), "--wan=plain", "--hello-timeout=1");
  assertEquals((await status(gateway, uid)).state, "ready");
  await gateway.process.line(/ready → expired: no update arrived within 1 s/, "err");
  await eventually("it is gone", () => refusal(status(gateway, uid)).then(() => true, () => false));
});

Deno.test("a drain that is under way when its control server is killed goes on to its end", async () => {
  const flags = ["--wan=plain", "--workers=1", "--drain-timeout=600"];
  await using gateway = await Gateway.start(...flags);
  await using echo = new EchoServer();
  const uid = newUid();
  const listener = await session(gateway, undefined, uid, { app: String(echo.endpoint) });
  const established = await dial(listener);
  await roundTrip(established, "before");
  const releasing = refusal(call(gateway, undefined, "release", { uid }));
  await gateway.process.line(/streaming → draining/, "err");
  await eventually("nobody is let in any more", () => echoes(listener).then((yes) => !yes));
  await gateway.process.stop("SIGKILL");
  assertMatch(await releasing, /^CONN_ERROR/);
  await gateway.launch(portOf(gateway), ...flags);
  await gateway.process.line(/was draining when the control server ended; it is over/, "err");
  await roundTrip(established, "afterwards");
  established.close();
  // Its data server holds nothing of it then: the uid is free.
  const app = String(echo.endpoint);
  const again = await eventually(
    "it has ended",
    () => session(gateway, undefined, uid, { app }).catch(() => undefined),
  );
  assert(await echoes(again as string));
});

Deno.test("kill -9 of control server and data servers: the session is whole again", async () => {
  await using gateway = await Gateway.start("--wan=plain", "--workers=2");
  await using echo = new EchoServer();
  const uid = newUid();
  const listener = await session(gateway, undefined, uid, { app: String(echo.endpoint) });
  const children = gateway.dataServers();
  await gateway.process.stop("SIGKILL");
  for (const pid of children) Deno.kill(pid, "SIGKILL");
  await eventually("they are gone", () => gateway.dataServers().length === 0);
  await gateway.launch(portOf(gateway), "--wan=plain", "--workers=2");
  assertEquals((await status(gateway, uid)).state, "streaming");
  assert(await echoes(listener));
});

Deno.test("what cannot be brought back is told, and kept for its owner to release", async () => {
  await using gateway = await Gateway.start("--wan=plain", "--workers=1");
  await using echo = new EchoServer();
  const uid = newUid();
  const listener = await session(gateway, undefined, uid, { app: String(echo.endpoint) });
  const [child = 0] = gateway.dataServers();
  await gateway.process.stop("SIGKILL");
  Deno.kill(child, "SIGKILL");
  const { port } = Endpoint.parse(listener);
  using _stranger = await eventually("the port is free", () => {
    try {
      return Deno.listen({ hostname: "127.0.0.1", port });
    } catch {
      return undefined;
    }
  });
  await gateway.launch(portOf(gateway), "--wan=plain", "--workers=1");
  const { state, reason } = await status(gateway, uid);
  assertEquals(state, "failed");
  assertMatch(reason, /channels could not be brought back: in use by another program/);
  await call(gateway, undefined, "release", { uid });
});

Deno.test("a session that is held to its rate stays in the data server that has its connections", async () => {
  const flags = ["--wan=plain", "--workers=3", "--rate-policy=enforce"];
  await using gateway = await Gateway.start(...flags);
  await using echo = new EchoServer();
  const app = String(echo.endpoint);
  const all = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const uid = newUid();
      const listener = await session(gateway, undefined, uid, { app, rate: 1000 });
      return { uid, conn: await dial(listener) };
    }),
  );
  for (const { conn } of all) await roundTrip(conn, "before");
  await gateway.process.stop("SIGKILL");
  await gateway.launch(portOf(gateway), ...flags);
  for (const { uid, conn } of all) {
    await roundTrip(conn, "after");
    const { channels, rate_enforced } = await status(gateway, uid);
    assertEquals([channels[0]?.connections_open, rate_enforced], [1, true]);
    conn.close();
  }
});

Deno.test("sessions of before count: ports, capacity, number", async () => {
  const flags = (range: string) => [
    "--type=Mock",
    "--max-sessions=2",
    "--capacity=1000",
    `--port-range=${range}`,
  ];
  const [first, second] = [portRange(2), portRange(2)];
  await using gateway = await Gateway.start(...flags(first.text));
  const uid = newUid();
  await session(gateway, undefined, uid, { rate: 600, num_conn: 2 });
  await gateway.process.stop("SIGKILL");
  // The range is another now: the old ports stay the session's, and new ones come from there.
  await gateway.launch(portOf(gateway), ...flags(second.text));
  const ask = (message: { rate: number; num_conn: number }) =>
    call(gateway, undefined, "req", { uid: newUid(), role: "PROD", ...message });
  assertMatch(
    await refusal(ask({ rate: 401, num_conn: 1 })),
    /^NO_RESOURCE .*400 of this gateway's 1000 kB/,
  );
  assertMatch(await refusal(ask({ rate: 1, num_conn: 3 })), /^NO_RESOURCE .*2 of \d+-\d+ are free/);
  await session(gateway, undefined, newUid(), { rate: 400, num_conn: 2 });
  assertMatch(
    await refusal(ask({ rate: 0, num_conn: 1 })),
    /^NO_RESOURCE .*already has its 2 sessions/,
  );
  // Back in the old range its two ports are still somebody's.
  await gateway.process.stop("SIGKILL");
  await gateway.launch(
    portOf(gateway),
    ...flags(first.text),
    "--max-sessions=9",
    "--hello-timeout=2",
  );
  assertMatch(
    await refusal(ask({ rate: 0, num_conn: 1 })),
    /^NO_RESOURCE .* 0 of \d+-\d+ are free/,
  );
});

Deno.test("an owner's session is the owner's after a restart as well", async () => {
  await using oauth = await globus();
  using folder = tempFolder();
  const flags = ["--type=Mock", "--hello-timeout=1", ...globusFlags(oauth, folder.path)];
  await using gateway = await Gateway.start(...flags);
  const [alice, bob] = [
    await oauth.token({ user: "alice@anl.gov", server: GATEWAY.id }),
    await oauth.token({ user: "bob@anl.gov", server: GATEWAY.id }),
  ];
  const uid = newUid();
  await session(gateway, alice, uid);
  await gateway.process.stop("SIGKILL");
  await gateway.launch(portOf(gateway), ...flags);
  assertMatch(await refusal(status(gateway, uid, bob)), /^AUTH_ERROR 7 you have no session/);
  assertEquals((await status(gateway, uid, alice)).owner, "alice@anl.gov");
  await call(gateway, alice, "release", { uid });
});

Deno.test("calls that come while sessions are taken up wait, and are answered", async () => {
  await using gateway = await Gateway.start("--type=Mock");
  const uid = newUid();
  await session(gateway, undefined, uid);
  await gateway.process.stop("SIGKILL");
  const client = new ControlClient({
    address: Endpoint.parse(gateway.address),
    roots: Deno.readFileSync(gateway.cert),
  });
  const asked = eventually("it is answered", () =>
    client.call("status", { uid }).catch((error) => {
      // Not there yet is all that may be said; that there is no such session may not.
      assertEquals(error.code, "CONN_ERROR");
      return undefined;
    }));
  await gateway.launch(portOf(gateway), "--type=Mock");
  assertEquals((await asked)?.state, "streaming");
  client.close();
});

/** A gateway with a session, whose control server was killed, and the file of its sessions. */
async function killed(echo: EchoServer, type = "S2DS") {
  const gateway = await Gateway.start("--wan=plain", `--type=${type}`);
  const uid = newUid();
  const listener = await session(gateway, undefined, uid, { app: String(echo.endpoint) });
  const established = await dial(listener);
  await roundTrip(established, "before");
  // One that has no targets yet.
  const ready = newUid();
  await calling(gateway, undefined, (client) =>
    Promise.all([
      client.call("req", { uid: ready, role: "PROD", num_conn: 2 }),
      client.call("hello", { uid: ready, role: "PROD", prod_listeners: ["127.0.0.1:9"] }),
    ]));
  await gateway.process.stop("SIGKILL");
  const [folder] = [...Deno.readDirSync(gateway.stateDir)].map(({ name }) => name);
  const file = `${gateway.stateDir}/${folder}/sessions.db`;
  return { gateway, uid, listener, established, ready, file };
}

for (const type of ["S2DS", "HaproxySubprocess"]) {
  Deno.test(`${type}: a damaged file is moved aside, and the gateway made anew from what runs`, async () => {
    await using echo = new EchoServer();
    await using other = new NamedServer("other");
    const { gateway, uid, listener, established, ready, file } = await killed(echo, type);
    await using _ = gateway;
    for (const end of ["-wal", "-shm"]) Deno.removeSync(`${file}${end}`);
    Deno.writeTextFileSync(file, "no database ".repeat(1000));
    await gateway.launch(portOf(gateway), "--wan=plain", `--type=${type}`);
    await gateway.process.line(
      /the sessions' file is damaged .*; it is now \S+sessions\.db\.damaged-/,
      "err",
    );
    const { state, reason, channels, role } = await status(gateway, uid);
    assertEquals([state, reason, role], ["streaming", TAKEN_UP, "PROD"]);
    assertEquals(
      [channels[0]?.listener, channels[0]?.target],
      [listener, String(echo.endpoint)],
    );
    await roundTrip(established, "after");
    const waits = await status(gateway, ready);
    assertEquals([waits.state, waits.channels.length], ["ready", 2]);
    await call(gateway, undefined, "release", { uid: ready });
    // It is a session like any other, and in the new file.
    await call(gateway, undefined, "update", {
      uid,
      role,
      remote_listeners: [String(other.endpoint)],
    });
    await gateway.process.stop("SIGKILL");
    await gateway.launch(portOf(gateway), "--wan=plain", `--type=${type}`);
    assertEquals(await nameAt(listener), "other");
    established.close();
    await call(gateway, undefined, "release", { uid });
    assertEquals((await gateway.process.stop()).code, 0);
    assertEquals([...Deno.readDirSync(gateway.stateDir)], []);
  });
}

Deno.test("another type of data server: sessions go on with it, and nothing of the old one is left", async () => {
  await using echo = new EchoServer();
  await using gateway = await Gateway.start("--wan=plain", "--workers=2");
  const uid = newUid();
  const listener = await session(gateway, undefined, uid, { app: String(echo.endpoint) });
  for (const type of ["HaproxySubprocess", "NginxSubprocess", "S2DS", "HaproxySubprocess"]) {
    await gateway.process.stop("SIGKILL");
    await gateway.launch(portOf(gateway), "--wan=plain", "--workers=2", `--type=${type}`);
    const { state, type: told } = await status(gateway, uid);
    assertEquals([state, told], ["streaming", type]);
    assert(await echoes(listener), type);
    assertEquals(gateway.dataServers().length, type === "S2DS" ? 2 : 0);
    const proxies = await pidsBelow(gateway.stateDir);
    assertEquals(proxies.length > 0, type !== "S2DS");
    const names = new Set(
      proxies.map((pid) => Deno.readTextFileSync(`/proc/${pid}/comm`).trim()),
    );
    assertEquals([...names], type === "S2DS" ? [] : [type.replace("Subprocess", "").toLowerCase()]);
  }
  await call(gateway, undefined, "release", { uid });
  assertEquals((await gateway.process.stop()).code, 0);
  assertEquals(await pidsBelow(gateway.stateDir), []);
  assertEquals([...Deno.readDirSync(gateway.stateDir)], []);
});

Deno.test("a file of a later version is refused, and what runs goes on", async () => {
  await using echo = new EchoServer();
  const { gateway, uid, listener, established, file } = await killed(echo);
  await using _ = gateway;
  established.close();
  const later = (version: number) => {
    const database = new DatabaseSync(file);
    database.exec(`PRAGMA user_version = ${version}`);
    database.close();
  };
  later(99);
  const refused = await scistream([
    "s2cs",
    "--listener-ip=127.0.0.1",
    `--port=${portOf(gateway)}`,
    `--server-crt=${gateway.cert}`,
    `--server-key=${gateway.key}`,
    `--state-dir=${gateway.stateDir}`,
  ]);
  assertEquals([refused.code, refused.out], [1, ""]);
  assertMatch(
    refused.err,
    /\[VERSION_ERR\] .*sessions\.db is of a later version of s2cs \(format 99/,
  );
  assert(await echoes(listener));
  later(1);
  await gateway.launch(portOf(gateway), "--wan=plain");
  assertEquals((await status(gateway, uid)).state, "streaming");
  assertOk(await scistream(["s2uc", "release", uid, ...gateway.flags]));
});
