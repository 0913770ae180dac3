// Engines over TCP that are slow, have another clock, or are trusted by everybody but us.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { Socket } from "node:net";
import { createServer, type Server } from "node:tls";
import { makeCertificate } from "../certificate.ts";
import { Secret } from "../protocol/secret.ts";
import { DockerEngine, DockerError } from "./engine.ts";
import type { DockerTls, TcpHost } from "./host.ts";
import { answer, Caller, HEAD } from "./test_peer.ts";

const certificate = () => makeCertificate({ ips: ["127.0.0.1"], names: [], days: 1 });

async function tlsOf(ca: string): Promise<DockerTls> {
  const { cert, key } = await certificate();
  return { folder: "/certs", ca, cert, key: new Secret(key) };
}

/** A server that takes every connection and shows this certificate. */
async function serving(cert: string, key: string): Promise<{ port: number } & AsyncDisposable> {
  const server: Server = createServer({ cert, key }, (socket) => {
    socket.on("error", () => {});
    socket.end("HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK");
  });
  server.on("tlsClientError", () => {});
  // One whose handshake failed is not closed by itself.
  const sockets: Socket[] = [];
  server.on("connection", (socket: Socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    port,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

Deno.test("connect: who takes TCP and says nothing of TLS is given up, or left when told", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const conn of listener) accepted.push(conn);
  })();
  const { cert } = await certificate();
  const host: TcpHost = {
    ...{ kind: "tcp", host: "127.0.0.1", port: listener.addr.port },
    tls: await tlsOf(cert),
  };
  const late = await assertRejects(
    () => new DockerEngine({ host, patienceMs: 200 }).info(),
    DockerError,
  );
  assertEquals(late.kind, "unreachable");
  assertMatch(late.message, /at "tcp:\/\/127\.0\.0\.1:\d+": no answer within 0\.2 s; look whether/);
  listener.close();
  await accepting;
  for (const conn of accepted) {
    // Closed at the other end, too.
    while (await conn.read(new Uint8Array(1 << 12)) !== null);
    conn.close();
  }
});

Deno.test("connect: times are the engine's, whose clock is another", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const asked: string[] = [];
  const serve = (async () => {
    for await (const conn of listener) {
      using _conn = conn;
      const caller = new Caller(conn);
      const line = (await caller.request()).split("\r\n", 1)[0] ?? "";
      asked.push(line);
      if (line.includes("/_ping")) {
        await caller.say(`${HEAD}Api-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK`);
      } else if (line.includes("/info")) {
        const info = { ServerVersion: "1", SystemTime: "2020-01-01T00:00:01.25+00:00" };
        await caller.say(answer(JSON.stringify({ ...info, SecurityOptions: [] })));
      } else await caller.say(answer(""));
    }
  })();
  const engine = new DockerEngine({
    host: { kind: "tcp", host: "127.0.0.1", port: listener.addr.port },
  });
  const { signal } = new AbortController();
  const events = await engine.events({ labels: {} }, signal);
  await events.return(undefined);
  await engine.logs("x");
  listener.close();
  await serve;
  assert(asked.some((line) => /\/events\?.*since=1577836801\.250 /.test(line)), asked.join());
});

Deno.test("connect: of ca.pem alone, whoever else this process trusts", async () => {
  const [ours, theirs] = [await certificate(), await certificate()];
  await using server = await serving(theirs.cert, theirs.key);
  const host = (ca: DockerTls): TcpHost => (
    { kind: "tcp", host: "127.0.0.1", port: server.port, tls: ca }
  );
  // The fixture itself: with its own certificate it is taken.
  const known = new DockerEngine({ host: host(await tlsOf(theirs.cert)) });
  assertEquals(await known.version(), "1.41");
  const folder = Deno.makeTempDirSync();
  try {
    Deno.writeTextFileSync(`${folder}/theirs.pem`, theirs.cert);
    const { cert, key } = await tlsOf("");
    const program = `
      import { DockerEngine } from "${import.meta.resolve("./engine.ts")}";
      import { Secret } from "${import.meta.resolve("../protocol/secret.ts")}";
      const { key, ...files } = ${JSON.stringify({ ca: ours.cert, cert, key: key.reveal() })};
      const tls = { folder: "/certs", ...files, key: new Secret(key) };
      const host = { kind: "tcp", host: "127.0.0.1", port: ${server.port}, tls };
      console.log(await new DockerEngine({ host }).version().catch((e) => e.message));`;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-check", program],
      env: { DENO_CERT: `${folder}/theirs.pem` },
    }).output();
    assertMatch(new TextDecoder().decode(stdout), /of no authority in \/certs\/ca\.pem/);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
