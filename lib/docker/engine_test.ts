// The client against an engine that misbehaves; tests/docker_test.ts has real ones.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { DockerEngine, DockerError } from "./engine.ts";
import { connectError } from "./errors.ts";

const PING = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK";
const answer = (body: string, status = 200) =>
  `HTTP/1.1 ${status} X\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

/** An engine that answers `_ping` and then does what the test says. */
class FakeEngine implements AsyncDisposable {
  readonly folder = Deno.makeTempDirSync();
  readonly socket = `${this.folder}/s`;
  readonly requests: string[] = [];
  readonly #listener = Deno.listen({ transport: "unix", path: this.socket });
  readonly #conns = new Set<Deno.Conn>();
  readonly #serving: Promise<void>;

  constructor(readonly talk: (conn: Deno.Conn, request: string) => Promise<unknown> | unknown) {
    this.#serving = this.#serve();
  }

  async #serve() {
    for await (const conn of this.#listener) this.#handle(conn).catch(() => {});
  }

  async #handle(conn: Deno.Conn) {
    this.#conns.add(conn);
    const chunk = new Uint8Array(64 << 10);
    const n = await conn.read(chunk) ?? 0;
    const request = new TextDecoder().decode(chunk.subarray(0, n));
    this.requests.push(request.split("\r\n", 1)[0] as string);
    if (request.startsWith("GET /_ping ")) await say(conn, PING);
    else if (await this.talk(conn, request) === "stay") return;
    if (this.#conns.delete(conn)) conn.close();
  }

  async [Symbol.asyncDispose]() {
    this.#listener.close();
    for (const conn of this.#conns) conn.close();
    this.#conns.clear();
    await this.#serving.catch(() => {});
    Deno.removeSync(this.folder, { recursive: true });
  }
}

async function say(conn: Deno.Conn, text: string) {
  const bytes = new TextEncoder().encode(text);
  for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
}

const fails = (work: Promise<unknown>) => assertRejects(() => work, DockerError);

Deno.test("engine: the version is asked for once, and stands in every path", async () => {
  await using fake = new FakeEngine((conn) => say(conn, answer("[]")));
  const engine = new DockerEngine({ socket: fake.socket });
  await Promise.all([engine.list({ labels: {} }), engine.list({ labels: { a: "b c" } })]);
  assertEquals(fake.requests.filter((line) => line.includes("_ping")).length, 1);
  assert(fake.requests.includes(
    "GET /v1.41/containers/json?all=false&filters=%7B%22label%22%3A%5B%22a%3Db%20c%22%5D%7D HTTP/1.1",
  ));
});

Deno.test("engine: names from outside cannot name another call", async () => {
  await using fake = new FakeEngine((conn) => say(conn, answer('{"message":"no"}', 404)));
  const engine = new DockerEngine({ socket: fake.socket });
  await engine.inspect("a/../../x?force=1#\r\nEvil: 1");
  assertEquals(
    fake.requests.at(-1),
    "GET /v1.41/containers/a%2F..%2F..%2Fx%3Fforce%3D1%23%0D%0AEvil%3A%201/json HTTP/1.1",
  );
  for (const name of ["", ".", ".."]) {
    await assertRejects(() => engine.inspect(name), Error, "names no container");
  }
});

Deno.test("engine: an error keeps its status and message, on one line", async () => {
  const message = "port is\nalready \u001b[31mallocated";
  await using fake = new FakeEngine((conn) => say(conn, answer(JSON.stringify({ message }), 409)));
  const error = await fails(new DockerEngine({ socket: fake.socket }).start("x"));
  assertEquals([error.kind, error.httpStatus, error.code], ["engine", 409, "CONN_ERROR"]);
  assertMatch(
    error.message,
    /refused to start container "x": port is already .*\(HTTP status 409\)/,
  );
  assert(!error.message.includes("\n") && !error.message.includes("\u001b"));
});

const BROKEN: Record<string, (conn: Deno.Conn) => Promise<unknown> | unknown> = {
  "closes at once": () => {},
  "ends in its head": (conn) => say(conn, "HTTP/1.1 200 OK\r\nContent-"),
  "ends in its body": (conn) => say(conn, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[]"),
  "speaks another protocol": (conn) => say(conn, "220 mail.example.org ESMTP\r\n"),
  "answers no JSON": (conn) => say(conn, answer("<html>")),
  "answers another shape": (conn) => say(conn, answer('[{"Id": 7}]')),
  "answers an object for a list": (conn) => say(conn, answer("{}")),
  "answers JSON that is cut": (conn) => say(conn, answer('[{"Id":"a"')),
};
for (const [what, talk] of Object.entries(BROKEN)) {
  Deno.test(`engine: one that ${what}`, async () => {
    await using fake = new FakeEngine(talk);
    const error = await fails(new DockerEngine({ socket: fake.socket }).list({ labels: {} }));
    assertMatch(error.message, /Docker Engine/);
  });
}

Deno.test("engine: one that never answers, or never ends", async () => {
  for (const text of ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\n\r\n["]) {
    await using fake = new FakeEngine(async (conn) => {
      await say(conn, text);
      return "stay";
    });
    const engine = new DockerEngine({ socket: fake.socket, patienceMs: 100 });
    const error = await fails(engine.list({ labels: {} }));
    assertMatch(error.message, /did not (answer|end its answer) within 0.1 s \(list containers\)/);
  }
});

Deno.test("engine: a body beyond all bounds is not kept", async () => {
  await using fake = new FakeEngine(async (conn) => {
    await say(conn, "HTTP/1.1 200 OK\r\n\r\n[");
    for (;;) await say(conn, " ".repeat(1 << 20));
  });
  const error = await fails(new DockerEngine({ socket: fake.socket }).list({ labels: {} }));
  assertMatch(error.message, /over 16777216 bytes/);
});

Deno.test("engine: a pull that fails after its 200", async () => {
  const lines = [
    '{"status":"Pulling","id":"abc","progress":"1/2"}',
    '{"error":"manifest unknown"}',
  ];
  await using fake = new FakeEngine((conn) => say(conn, answer(lines.join("\r\n"))));
  const said: string[] = [];
  const engine = new DockerEngine({ socket: fake.socket });
  const error = await fails(engine.pull("x:1", (line) => said.push(line)));
  assertEquals(said, ["abc: Pulling 1/2"]);
  assertMatch(error.message, /pull image "x:1": manifest unknown/);
});

Deno.test("engine: events, cut anywhere, until given up", async () => {
  const event = (action: string) =>
    JSON.stringify({
      Type: "container",
      Action: action,
      Actor: { ID: "x", Attributes: { name: "n" } },
      timeNano: 1_000_000,
    }) + "\n";
  await using fake = new FakeEngine(async (conn) => {
    await say(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (const char of event("die") + event("start")) await say(conn, `1\r\n${char}\r\n`);
    return "stay";
  });
  const stop = new AbortController();
  const engine = new DockerEngine({ socket: fake.socket });
  const events = await engine.events({ labels: {} }, stop.signal);
  assertEquals((await events.next()).value?.Action, "die");
  assertEquals((await events.next()).value?.Action, "start");
  const waiting = events.next();
  stop.abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
});

Deno.test("engine: not reachable, and too old", async () => {
  const gone = await fails(new DockerEngine({ socket: "/nonexistent/s" }).info());
  assertEquals(gone.kind, "unreachable");
  assertMatch(gone.message, /not reachable at "\/nonexistent\/s": no such socket; start it/);
  const folder = Deno.makeTempDirSync();
  Deno.listen({ transport: "unix", path: `${folder}/s` }).close();
  const dead = await fails(new DockerEngine({ socket: `${folder}/s` }).info());
  assertEquals(dead.kind, "unreachable");
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("engine: no permission is another sentence than not reachable", () => {
  const error = connectError(
    { kind: "unix", path: "/run/docker.sock" },
    new Deno.errors.PermissionDenied("x"),
  );
  assert(error instanceof DockerError && error.kind === "permission");
  assertMatch(error.message, /no permission .*"\/run\/docker\.sock"; run s2cs as a member/);
  // A permission of Deno's is not the engine's affair.
  const capable = new Deno.errors.NotCapable("x");
  assertEquals(connectError({ kind: "unix", path: "/run/docker.sock" }, capable), capable);
});
