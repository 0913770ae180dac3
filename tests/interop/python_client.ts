/**
 * A Python C-core client against our s2cs (contract sections 3 and 4).
 * @module
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Uid } from "../../lib/protocol/uid.ts";
import { assertOk, Gateway, portRange, run } from "../harness.ts";
import { App, dial, exchange } from "./app.ts";
import { type Answer, PythonClient } from "./peers.ts";

/** More than one buffer of every relay on the way. */
const TEXT = crypto.randomUUID().repeat(10_000);
const NOTHING = { listeners: [], prod_listeners: [] };

const newUid = () => Uid.random().reveal();

function listenersOf(answer: Answer): string[] {
  if ("error" in answer) throw new Error(`answered ${JSON.stringify(answer.error)}`);
  return answer.response.listeners as string[];
}

/** As many listeners as channels, no two the same, all in the gateway's range. */
function assertListeners(listeners: readonly string[], count: number, range: string): void {
  const [first = 0, last = 0] = range.split("-").map(Number);
  const ports = new Set(
    listeners.map((listener) => Number(/^127\.0\.0\.1:(\d+)$/.exec(listener)?.[1])),
  );
  assertEquals([listeners.length, ports.size], [count, count], `${listeners}`);
  for (const port of ports) assert(port >= first && port <= last, `${port} is not in ${range}`);
}

async function assertForwards(listener: string, name: string): Promise<void> {
  const answer = await exchange(listener, TEXT);
  assertEquals([answer.name, answer.back === TEXT], [name, true]);
}

/** A gateway whose certificate is made by the tutorial's openssl commands (docs/tutorial.md). */
async function opensslGateway(...flags: string[]): Promise<Gateway> {
  const gateway = new Gateway();
  const cwd = gateway.folder.path;
  Deno.writeTextFileSync(
    `${cwd}/server.conf`,
    `[req]
distinguished_name = req_distinguished_name
x509_extensions = v3_req
prompt = no

[req_distinguished_name]
CN = 127.0.0.1

[v3_req]
subjectAltName = IP:127.0.0.1
`,
  );
  for (
    const line of [
      "openssl genrsa -out server.key 2048",
      "openssl req -new -key server.key -out server.csr -config server.conf",
      "openssl x509 -req -days 365 -in server.csr -signkey server.key -out server.crt -extfile server.conf -extensions v3_req",
    ]
  ) assertOk(await run(line.split(" "), { cwd }));
  await gateway.launch(0, ...flags);
  return gateway;
}

/** Both sides of one session from req to release, with bytes through both gateways. */
async function bothSides(start: (...flags: string[]) => Promise<Gateway>): Promise<void> {
  await using first = new App("first");
  await using second = new App("second");
  const ranges = [portRange(10).text, portRange(10).text] as const;
  // Plain, so that each gateway can be looked into by itself.
  await using producers = await start(`--port-range=${ranges[0]}`, "--wan=plain");
  await using consumers = await start(`--port-range=${ranges[1]}`, "--wan=plain");
  await using prod = new PythonClient(producers);
  await using cons = new PythonClient(consumers);
  const uid = newUid();

  // req is pending until hello, and nothing else moves the session on.
  const prodReq = prod.call(
    "req",
    { uid, role: "PROD", num_conn: 3, rate: 10000 },
    "INVALID_TOKEN",
  );
  await producers.process.line(/reserved → waiting/, "err");
  const early = await prod.call("update", {
    uid,
    role: "PROD",
    remote_listeners: [first.address],
  });
  assert("error" in early && early.error.code === "BAD_FORMAT", JSON.stringify(early));
  assertEquals(prod.pending, 1);
  const apps = [first.address, second.address];
  assertEquals(await prod.call("hello", { uid, role: "PROD", prod_listeners: apps }), {
    response: { message: "Sending Prod listeners...", listeners: [] },
  });
  const prodListeners = listenersOf(await prodReq);
  assertListeners(prodListeners, 3, ranges[0]);
  assertEquals(await prodReq, { response: { listeners: prodListeners, prod_listeners: apps } });

  // The consumer's hello is here before its req, and waits for it.
  const consHello = cons.call("hello", { uid, role: "CONS", prod_listeners: [] }, "INVALID_TOKEN");
  await consumers.process.line(/hello is early/, "err");
  const consReq = await cons.call("req", { uid, role: "CONS", num_conn: 3, rate: 10000 });
  const consListeners = listenersOf(consReq);
  assertListeners(consListeners, 3, ranges[1]);
  assertEquals(consReq, { response: { listeners: consListeners, prod_listeners: [] } });
  assertEquals(await consHello, {
    response: { message: "Sending listeners...", listeners: consListeners },
  });

  // Channel i forwards to target i mod n.
  assertEquals(await prod.call("update", { uid, role: "PROD", remote_listeners: apps }), {
    response: {
      listeners: prodListeners,
      prod_listeners: [first.address, second.address, first.address],
    },
  });
  assertEquals(await cons.call("update", { uid, role: "CONS", remote_listeners: prodListeners }), {
    response: { listeners: consListeners, prod_listeners: prodListeners },
  });
  const names = ["first", "second", "first"];
  for (const [i, name] of names.entries()) {
    await assertForwards(prodListeners[i] as string, name);
    await assertForwards(consListeners[i] as string, name);
  }

  // A second update re-targets the running session.
  await prod.call("update", { uid, role: "PROD", remote_listeners: [second.address] });
  await assertForwards(consListeners[0] as string, "second");

  for (const [client, listeners] of [[prod, prodListeners], [cons, consListeners]] as const) {
    assertEquals(await client.call("release", { uid }), { response: NOTHING });
    for (const listener of listeners) {
      await assertRejects(() => dial(listener), Deno.errors.ConnectionRefused);
    }
    const again = await client.call("release", { uid });
    assert("error" in again && again.error.status === "NOT_FOUND", JSON.stringify(again));
  }
}

Deno.test("a C-core client takes both sides of a session from req to release", async () => {
  await bothSides((...flags) => Gateway.start(...flags));
});

Deno.test("a C-core client does so with the tutorial's openssl certificate", async () => {
  await bothSides(opensslGateway);
});

Deno.test("hello with role PROD on a consumer's session is answered as PROD", async () => {
  await using gateway = await Gateway.start();
  await using client = new PythonClient(gateway);
  const uid = newUid();
  const req = client.call("req", { uid, role: "CONS", num_conn: 2, rate: 0 });
  await gateway.process.line(/reserved → waiting/, "err");
  assertEquals(
    await client.call("hello", { uid, role: "PROD", prod_listeners: ["192.168.20.10:5074"] }),
    { response: { message: "Sending Prod listeners...", listeners: [] } },
  );
  const listeners = listenersOf(await req);
  assertEquals(listeners.length, 2);
  assertEquals(await req, { response: { listeners, prod_listeners: [] } });
});

Deno.test("a token is taken bare, as Bearer, as INVALID_TOKEN and not at all", async () => {
  await using gateway = await Gateway.start();
  await using client = new PythonClient(gateway);
  for (const authorization of ["Agpq0Bo1", "Bearer Agpq0Bo1", "INVALID_TOKEN", undefined]) {
    const uid = newUid();
    const req = client.call("req", { uid, role: "CONS", num_conn: 1, rate: 0 }, authorization);
    const hello = await client.call("hello", { uid, role: "CONS" }, authorization);
    const listeners = listenersOf(await req);
    assertEquals(hello, { response: { message: "Sending listeners...", listeners } });
    const update = { uid, role: "CONS", remote_listeners: ["192.168.20.10:5100"] };
    assertEquals(await client.call("update", update, authorization), {
      response: { listeners, prod_listeners: update.remote_listeners },
    });
    assertEquals(await client.call("release", { uid }, authorization), { response: NOTHING });
  }
});

/** Asserts an answer of contract section 4: status, code in both places, one sentence that says `what`. */
function assertError(answer: Answer, status: string, code: string, what: RegExp): void {
  assert("error" in answer, `answered ${JSON.stringify(answer)}`);
  const { error } = answer;
  assertEquals([error.status, error.code], [status, code], JSON.stringify(error));
  assertMatch(error.details, /^\[[A-Z_]+\] [^\n]+$/);
  assertEquals(error.details.startsWith(`[${code}] `), true, error.details);
  assertMatch(error.details, what);
}

Deno.test("a C-core client sees every refusal with its status, code and sentence", async (t) => {
  const range = portRange(6).text;
  await using gateway = await Gateway.start(
    `--port-range=${range}`,
    "--max-sessions=2",
    "--max-early-hellos=2",
    "--max-conn=8",
  );
  await using client = new PythonClient(gateway);
  const uid = newUid();
  const req = (fields: Record<string, unknown>) =>
    client.call("req", { uid: newUid(), role: "PROD", num_conn: 1, rate: 0, ...fields });
  const refused = (
    name: string,
    call: () => Promise<Answer>,
    status: string,
    code: string,
    what: RegExp,
  ) => t.step(name, async () => assertError(await call(), status, code, what));

  await refused("uid: malformed", () => req({ uid: "" }), "INVALID_ARGUMENT", "INVALID_UID", /""/);
  for (const method of ["hello", "update"]) {
    await refused(
      `uid: malformed in ${method}`,
      () => client.call(method, { uid: "x y", role: "PROD" }),
      "INVALID_ARGUMENT",
      "INVALID_UID",
      /"x y"/,
    );
  }
  const update = { role: "PROD", remote_listeners: ["127.0.0.1:1"] };
  for (const [method, fields] of [["update", update], ["release", {}]] as const) {
    await t.step(`uid: unknown in ${method}`, async () => {
      const answer = await client.call(method, { uid, ...fields });
      assertError(answer, "NOT_FOUND", "INVALID_UID", /does not exist/);
      // The uid is a secret: only its public id is told.
      assert("error" in answer && !answer.error.details.includes(uid));
      assertMatch(answer.error.details, new RegExp(Uid.parse(uid).session));
    });
  }
  const bad = ["INVALID_ARGUMENT", "BAD_FORMAT"] as const;
  await refused("role in req", () => req({ role: "prod" }), ...bad, /"prod"/);
  for (const method of ["hello", "update"]) {
    await refused(`role in ${method}`, () => client.call(method, { uid, role: "" }), ...bad, /""/);
  }
  await refused("num_conn: none", () => req({ num_conn: 0 }), ...bad, /num_conn 0/);
  await refused("num_conn: negative", () => req({ num_conn: -1 }), ...bad, /num_conn -1/);
  await refused("rate", () => req({ rate: -10000 }), ...bad, /rate -10000/);
  const addresses = [
    ["127.0.0.1", /"127\.0\.0\.1" is not HOST:PORT/],
    ["127.0.0.1:0", /port .*"0"/],
    ["127.0.0.1:65536", /port .*"65536"/],
    ["256.1.1.1:5074", /host .*"256\.1\.1\.1"/],
    ["fd00::1:5074", /"fd00::1:5074" is not HOST:PORT/],
    ["", /"" is not HOST:PORT/],
  ] as const;
  for (const [address, what] of addresses) {
    await refused(
      `address in hello: ${address}`,
      () => client.call("hello", { uid, role: "PROD", prod_listeners: [address] }),
      ...bad,
      what,
    );
    await refused(
      `address in update: ${address}`,
      () => client.call("update", { uid, role: "PROD", remote_listeners: [address] }),
      ...bad,
      what,
    );
  }

  const full = ["RESOURCE_EXHAUSTED", "NO_RESOURCE"] as const;
  await refused("channels", () => req({ num_conn: 9 }), ...full, /9 channels.* 8/);
  await refused("ports", () => req({ num_conn: 7 }), ...full, new RegExp(`7 ports.* ${range}`));
  const one = req({ uid });
  await gateway.process.line(new RegExp(`${Uid.parse(uid).session}.*→ waiting`), "err");
  await refused("uid: taken", () => req({ uid }), "ALREADY_EXISTS", "INVALID_UID", /exists/);
  await refused(
    "hello PROD without an address",
    () => client.call("hello", { uid, role: "PROD" }),
    ...bad,
    /prod_listeners/,
  );
  await refused(
    "update before hello",
    () => client.call("update", { uid, ...update }),
    ...bad,
    /wait/,
  );
  await refused("ports beside a session", () => req({ num_conn: 6 }), ...full, /6 ports/);
  const other = newUid();
  const two = req({ uid: other });
  await gateway.process.line(new RegExp(`${Uid.parse(other).session}.*→ waiting`), "err");
  await refused("sessions", () => req({}), ...full, /2 sessions/);

  await t.step("too many hellos without a req", async () => {
    const hellos = [1, 2].map(() => client.call("hello", { uid: newUid(), role: "CONS" }));
    await gateway.process.line(/(hello is early[^]*){2}/, "err");
    const third = await client.call("hello", { uid: newUid(), role: "CONS" });
    assertError(third, "RESOURCE_EXHAUSTED", "RATE_LIMIT", /2 hellos/);
    assertEquals(client.pending, 4);
    // Whatever is pending is answered when the server goes away.
    const pending = Promise.all([one, two, ...hellos]);
    await gateway.process.stop();
    for (const answer of await pending) {
      assertError(answer, "UNAVAILABLE", "UNAVAILABLE", /shutting down/);
    }
  });
});

Deno.test("a C-core client sees a hello or a req that does not come in time", async () => {
  await using gateway = await Gateway.start(
    `--port-range=${portRange(2).text}`,
    "--hello-timeout=0.2",
  );
  await using client = new PythonClient(gateway);
  const uid = newUid();
  // Each takes every port there is: what the one before had reserved has been given back.
  for (const role of ["PROD", "CONS"]) {
    const answer = await client.call("req", { uid, role, num_conn: 2, rate: 0 });
    assertError(answer, "DEADLINE_EXCEEDED", "TIMEOUT", /no hello .*0\.2 s/);
  }
  const hello = await client.call("hello", { uid, role: "CONS" });
  assertError(hello, "NOT_FOUND", "INVALID_UID", /no req .*0\.2 s/);
});
