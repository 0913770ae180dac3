/**
 * Health checking and reflection, as a client of other make sees them: grpcio on its C core, which has
 * none of our messages.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { missing } from "../scripts/setup.ts";
import { ControlClient } from "../lib/protocol/client.ts";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { Uid } from "../lib/protocol/uid.ts";
import { dial, EchoServer } from "./echo.ts";
import { eventually, freePort, Gateway, KEYBOARD, leftOutIf, Running } from "./harness.ts";
import { makeStubs, pythonCommand, pythonEnvironment, removeStubs } from "./interop/peers.ts";
import { authenticated, call, session } from "./oauth/gateway.ts";

const lacking = missing().filter((name) => /^python3-|^protobuf/.test(name));
const { ignore, because } = leftOutIf(
  lacking.length > 0 ? `not installed: ${lacking.join(", ")}` : undefined,
);
if (!ignore) {
  Deno.test.beforeAll(makeStubs);
  Deno.test.afterAll(removeStubs);
}
const test = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name: `${name}${because}`, ignore, fn });

/** probe.py at a control server. */
class Probe extends Running implements AsyncDisposable {
  #n = 0;

  constructor({ address, cert }: { address: string; cert: string }) {
    super(pythonCommand("probe.py", [address, cert]), {
      env: pythonEnvironment(),
      stdin: KEYBOARD,
    });
  }

  /** What it answers: a value, or `STATUS details`. */
  async ask(command: Record<string, unknown>): Promise<unknown> {
    return (await this.start(command))(/.*/);
  }

  /** Begins a command; answers what waits for an answer that this fits. */
  async start(command: Record<string, unknown>): Promise<(fits: RegExp) => Promise<unknown>> {
    const n = ++this.#n;
    await this.type(JSON.stringify({ ...command, n }));
    return async (fits) => {
      const line = new RegExp(`^{"n": ${n}, (?=.*${fits.source}).*$`, "m");
      const { answer, error, details } = JSON.parse((await this.line(line))[0]);
      return error === undefined ? answer : `${error} ${details}`;
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

const SERVICES = [
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
  "scistream.Control",
];

test("health: the server and its service are told of without a token, and nothing else is", async () => {
  await using facility = await authenticated(["--type=Mock"]);
  await using probe = new Probe(facility.gateway);
  assertEquals(await probe.ask({ check: "" }), "SERVING");
  assertEquals(await probe.ask({ check: "scistream.Control" }), "SERVING");
  assertMatch(String(await probe.ask({ check: "x" })), /^NOT_FOUND .*no service "x" here/);
  assertEquals(await probe.ask({ list: true }), { "": "SERVING", "scistream.Control": "SERVING" });
  assertEquals(await probe.ask({ services: "v1" }), SERVICES);
  const listed = await probe.ask({ control: "list", version: "v1" });
  assertMatch(String(listed), /^UNAUTHENTICATED \[AUTH_ERROR\]/);
});

test("reflection: what it tells is enough for a call; both versions", async () => {
  await using gateway = await Gateway.start("--type=Mock");
  const uid = Uid.random();
  await session(gateway, undefined, uid.reveal());
  await using probe = new Probe(gateway);
  for (const version of ["v1", "v1alpha"]) {
    assertEquals(await probe.ask({ services: version }), SERVICES);
    const { sessions } = await probe.ask({ control: "list", version }) as {
      sessions: { session: string; state: string; channels: unknown[] }[];
    };
    assertEquals(sessions.map(({ session, state }) => [session, state]), [
      [uid.session, "streaming"],
    ]);
    assertEquals(sessions[0]?.channels.length, 1);
  }
  assertEquals(await probe.ask({ symbol: "nope" }), [5, "Symbol not found: nope"]);
  assertMatch(String(await probe.ask({ symbol: "x".repeat(2000) })), /^INVALID_ARGUMENT/);
});

test("--reflection False: no reflection, and health all the same", async () => {
  await using gateway = await Gateway.start("--type=Mock", "--reflection=False");
  await using probe = new Probe(gateway);
  for (const version of ["v1", "v1alpha"]) {
    assertMatch(String(await probe.ask({ services: version })), /^UNIMPLEMENTED/);
  }
  assertEquals(await probe.ask({ check: "" }), "SERVING");
});

test("while it winds up health is NOT_SERVING; whoever watches is told, and does not hold it up", async () => {
  await using gateway = await Gateway.start("--wan=plain", "--drain-timeout=600");
  await using echo = new EchoServer();
  const listener = await session(gateway, undefined, Uid.random().reveal(), {
    app: String(echo.endpoint),
  });
  const conn = await dial(listener);
  await using probe = new Probe(gateway);
  const [whole, unknown] = [await probe.start({ watch: "" }), await probe.start({ watch: "x" })];
  assertEquals(await whole(/"SERVING"/), "SERVING");
  assertEquals(await unknown(/UNKNOWN/), "SERVICE_UNKNOWN");
  gateway.process.child.kill("SIGTERM");
  await gateway.process.line(/streaming → draining/, "err");
  assertEquals(await whole(/NOT_SERVING/), "NOT_SERVING");
  await using late = new Probe(gateway);
  assertEquals(await late.ask({ check: "scistream.Control" }), "NOT_SERVING");
  conn.close();
  assertEquals((await gateway.process.ended).code, 0);
  for (const watch of [whole, unknown]) assertMatch(String(await watch(/error/)), /^UNAVAILABLE/);
});

test("while it recovers health is NOT_SERVING, then SERVING", async () => {
  await using gateway = await Gateway.prepare();
  const port = freePort();
  const flags = ["--wan=plain", "--keep-sessions", "--workers=1"];
  await gateway.launch(port, ...flags);
  await session(gateway, undefined, Uid.random().reveal());
  await gateway.process.stop();
  const [pid] = gateway.dataServers();
  assert(pid);
  // It is asked what it holds, and does not answer.
  Deno.kill(pid, "SIGSTOP");
  const launched = gateway.launch(port, ...flags);
  try {
    // Nothing else tells of it before it has recovered.
    const listening = await eventually("it listens", () => dial(gateway.address).catch(() => null));
    listening?.close();
    await using probe = new Probe(gateway);
    const watch = await probe.start({ watch: "" });
    assertEquals(await watch(/"NOT_SERVING"/), "NOT_SERVING");
    assertEquals(await probe.ask({ check: "scistream.Control" }), "NOT_SERVING");
    Deno.kill(pid, "SIGCONT");
    assertEquals(await watch(/"SERVING"/), "SERVING");
  } finally {
    Deno.kill(pid, "SIGCONT");
    await launched;
  }
  assertEquals((await call(gateway, undefined, "list")).sessions.length, 1);
});

test("one address may watch eight times at once; calls of Control are not kept out by that", async () => {
  await using gateway = await Gateway.start("--type=Mock");
  await using probe = new Probe(gateway);
  for (let i = 0; i < 8; i++) {
    assertEquals(await (await probe.start({ watch: "" }))(/SERVING/), "SERVING");
  }
  const ninth = await (await probe.start({ watch: "" }))(/error/);
  assertMatch(String(ninth), /^RESOURCE_EXHAUSTED \[RATE_LIMIT\] 8 of your calls/);
  await gateway.process.line(/limit pending-per-caller: 127\.0\.0\.1 was kept out/, "err");
  assertEquals((await call(gateway, undefined, "list")).sessions, []);
  await probe.stop();
  // What they held is free again.
  await using next = new Probe(gateway);
  assertEquals(await next.ask({ check: "" }), "SERVING");
});

test("metadata of such a call is bounded as of any other", async () => {
  await using gateway = await Gateway.start("--type=Mock", "--max-metadata-bytes=2000");
  await using probe = new Probe(gateway);
  assertEquals(await probe.ask({ check: "", filler: 1000 }), "SERVING");
  const refused = await probe.ask({ check: "", filler: 2000 });
  assertMatch(String(refused), /^RESOURCE_EXHAUSTED \[RATE_LIMIT\] \d+ bytes of metadata/);
  await gateway.process.line(/limit metadata: 127\.0\.0\.1 was kept out/, "err");
});

test("a connection that only watches is one with a call: it is not ended for others", async () => {
  await using gateway = await Gateway.start("--type=Mock", "--max-connections-per-address=1");
  await using probe = new Probe(gateway);
  const watch = await probe.start({ watch: "" });
  assertEquals(await watch(/"SERVING"/), "SERVING");
  const client = new ControlClient({
    address: Endpoint.parse(gateway.address),
    roots: Deno.readFileSync(gateway.cert),
  });
  await client.call("list", {}, { deadlineMs: 1_000 }).catch(() => {});
  client.close();
  await gateway.process.line(/limit connections-per-address: 127\.0\.0\.1/, "err");
  gateway.process.child.kill("SIGTERM");
  assertEquals(await watch(/NOT_SERVING/), "NOT_SERVING");
});
