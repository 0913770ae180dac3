/**
 * The programs of docs/library.md, each in a process of its own with the permissions that the page
 * names, between two real gateways.
 * @module
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  ControlClient,
  isOver,
  listSessions,
  openSession,
  openSide,
  ScistreamError,
  sessionStatus,
  Uid,
  whoami,
} from "../mod.ts";
import { dial, EchoServer, readExactly, writeAll } from "./echo.ts";
import {
  assertOk,
  freePort,
  Gateway,
  listeningPorts,
  portRange,
  Running,
  tempFolder,
} from "./harness.ts";
import { authenticated, GATEWAY } from "./oauth/gateway.ts";
import { Pair } from "./pair.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const page = Deno.readTextFileSync(`${ROOT}docs/library.md`);

/** The page's programs, in a folder as a user would have it. */
class Programs implements Disposable {
  readonly #folder = tempFolder();

  constructor() {
    const config = /```json\n([^]*?)```/.exec(page)?.[1] ?? "";
    this.write("deno.json", config.replace("../scistream", ROOT));
    for (const [, name, source] of page.matchAll(/```ts (\w+\.ts)\n([^]*?)```/g)) {
      this.write(name as string, source as string);
    }
  }

  write(name: string, text: string): void {
    Deno.writeTextFileSync(`${this.#folder.path}/${name}`, text);
  }

  /** Runs a program as its line on the page does, with these arguments. */
  run(name: string, ...args: string[]): Running {
    const line = new RegExp(`^    deno run (.*) ${name}`, "m").exec(page)?.[1];
    assert(line, `no line runs ${name}`);
    const command = [Deno.execPath(), "run", "--quiet", "--no-prompt", "--check"];
    return new Running([...command, ...line.split(" "), name, ...args], { cwd: this.#folder.path });
  }

  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]();
  }
}

const clientOf = ({ address, cert }: Gateway, token?: string) =>
  new ControlClient({ address, roots: Deno.readFileSync(cert), token });

Deno.test("the page's producer and consumer stream to one another, and leave nothing", async () => {
  await using pair = await Pair.start("S2DS");
  using programs = new Programs();
  programs.write("server.crt", Deno.readTextFileSync(pair.prod.gateway.cert));
  const producer = programs.run("producer.ts", pair.prod.gateway.address);
  const [, uid = "", listeners = ""] = await producer.line(/^(\S+) (\S+)\n/m);
  programs.write("server.crt", Deno.readTextFileSync(pair.cons.gateway.cert));
  const consumer = programs.run("consumer.ts", pair.cons.gateway.address, uid, listeners);
  assertEquals(assertOk(await consumer.ended).out, "1000000 bytes\n");
  assertOk(await producer.ended);
  for (const { client } of [pair.prod, pair.cons]) assertEquals(await listSessions(client), []);
});

Deno.test("the page's workflow opens, watches and releases a session", async () => {
  await using pair = await Pair.start("S2DS");
  await using app = new EchoServer();
  using programs = new Programs();
  for (const side of ["prod", "cons"] as const) {
    programs.write(`${side}.crt`, Deno.readTextFileSync(pair[side].gateway.cert));
  }
  const { prod, cons } = pair;
  const addresses = [prod.gateway.address, cons.gateway.address];
  const workflow = programs.run("workflow.ts", ...addresses, String(app.endpoint));
  const [, at = ""] = await workflow.line(/^connect to (\S+)\n/m);
  const sent = crypto.getRandomValues(new Uint8Array(60_000));
  {
    using conn = await dial(at);
    await writeAll(conn, sent);
    assertEquals(await readExactly(conn, sent.length), sent);
    await workflow.line(/^streaming: 1 of 1 connections open, 60000 bytes$/m);
  }
  const { out, err } = assertOk(await workflow.ended);
  assertMatch(out, /streaming: 0 of 1 connections open, 60000 bytes\n0 sessions left\n$/);
  assertEquals(err, "");
  assertEquals(await listSessions(cons.client), []);
  assertMatch(prod.gateway.process.err, /rate 0 → 50000 kB\/s/);

  const refused = await programs.run("workflow.ts", ...addresses, "nowhere").ended;
  assertEquals(refused.code, 1);
  assertMatch(refused.err, /^BAD_FORMAT: .*nowhere/);
});

Deno.test("a session is released whatever ends its block, and its watching with it", async () => {
  await using pair = await Pair.start("S2DS", "--wan=plain");
  await using app = new EchoServer();
  const { prod: { client: prod }, cons: { client: cons } } = pair;
  const receivers = [app.endpoint, String(app.endpoint)];
  const states: string[] = [];
  let watching: Promise<void> | undefined;
  let uid = Uid.random();
  await assertRejects(
    async () => {
      await using session = await openSession({ prod, cons, receivers });
      uid = session.uid;
      assertEquals(session.listeners.length, 2);
      const begun = Promise.withResolvers<void>();
      watching = (async () => {
        for await (const { state } of session.prod.watch()) {
          states.push(state);
          begun.resolve();
        }
      })();
      await begun.promise;
      const [, second] = session.listeners;
      using conn = await dial(String(second));
      await writeAll(conn, new Uint8Array([1, 2, 3]));
      assertEquals(await readExactly(conn, 3), new Uint8Array([1, 2, 3]));
      throw new Error("the program failed");
    },
    Error,
    "the program failed",
  );
  await watching;
  assertEquals(states[0], "streaming");
  assert(isOver(await sessionStatus(cons, uid).catch((error) => error)));
  assertEquals([await listSessions(prod), await listSessions(cons)], [[], []]);
});

Deno.test("what cannot be set up, or is given up, leaves nothing", async () => {
  const range = portRange(20);
  await using gateway = await Gateway.start("--type=Mock", `--port-range=${range.text}`);
  using client = clientOf(gateway);
  const code = async (work: Promise<unknown>) => {
    const error = await work.then(() => undefined, (error) => error);
    assert(error instanceof ScistreamError, String(error));
    return error.code;
  };
  assertEquals(await code(openSide(client, { role: "PROD", targets: [] })), "BAD_FORMAT");
  const targets = ["10.0.0.1:5001"];
  assertEquals(await code(openSide(client, { role: "PROD", targets, numConn: 99 })), "NO_RESOURCE");
  const nobody = new ControlClient({ address: `127.0.0.1:${freePort()}` });
  const half = openSession({ prod: client, cons: nobody, receivers: targets });
  assertEquals(await code(half), "CONN_ERROR");
  nobody.close();
  const over = AbortSignal.abort(new Error("enough"));
  await assertRejects(
    () => openSide(client, { role: "PROD", targets, signal: over }),
    Error,
    "enough",
  );
  const side = await openSide(client, { role: "CONS", targets });
  const watched = new AbortController();
  for await (const { state } of side.watch({ signal: watched.signal })) {
    assertEquals(state, "streaming");
    watched.abort();
  }
  await side.update(["10.0.0.2:6001"]);
  assertEquals((await side.status()).channels[0]?.target, "10.0.0.2:6001");
  await side.release();
  await side.release();
  assertEquals([await listSessions(client), listeningPorts(range).size], [[], 0]);
});

Deno.test("with a token a caller is known, and its session's end too", async () => {
  await using facility = await authenticated(["--type=Mock"]);
  const token = await facility.oauth.token({ user: "alice@anl.gov", server: GATEWAY.id });
  using client = clientOf(facility.gateway, token);
  assertEquals((await whoami(client)).name, "alice@anl.gov");
  const side = await openSide(client, { role: "CONS", targets: ["10.0.0.1:5001"] });
  await side.release();
  assert(isOver(await side.status().catch((error) => error)));
  await side[Symbol.asyncDispose]();
});
