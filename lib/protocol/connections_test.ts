import { assert, assertEquals } from "@std/assert";
import net from "node:net";
import { addressOf } from "./address.ts";
import { type ConnectionRefusal, Connections } from "./connections.ts";
import { Endpoint } from "./endpoint.ts";
import { type ConnectionLimits, SERVER_LIMITS } from "./limits.ts";

const PATIENCE_MS = 20_000;

/** A server whose connections only read, and clients of any address of 127/8. */
class Bench implements AsyncDisposable {
  readonly refused: `${ConnectionRefusal} ${string}`[] = [];
  readonly connections: Connections;
  readonly limits: ConnectionLimits;
  #endpoint!: Endpoint;
  readonly #clients: net.Socket[] = [];
  /** By peer, called when a connection has been handed on. */
  readonly #handedOn = new Map<string, PromiseWithResolvers<void>>();

  private constructor(limits: Partial<ConnectionLimits>) {
    this.limits = { ...SERVER_LIMITS, ...limits };
    this.connections = new Connections(this.limits, {
      onConnection: (socket) => {
        socket.resume();
        this.#handed(`${socket.remoteAddress}:${socket.remotePort}`).resolve();
      },
      onRefused: (why, address) => this.refused.push(`${why} ${address}`),
    });
  }

  static async start(limits: Partial<ConnectionLimits> = {}): Promise<Bench> {
    const bench = new Bench(limits);
    bench.#endpoint = await bench.connections.listen(new Endpoint("127.0.0.1", 0));
    return bench;
  }

  /** Connects; resolves when the server has it, or has refused it. */
  async dial(from: string): Promise<Client> {
    const socket = net.connect({
      host: "127.0.0.1",
      port: this.#endpoint.port,
      localAddress: from,
    });
    this.#clients.push(socket);
    const client = new Client(socket);
    await Promise.race([
      client.ended,
      new Promise<void>((resolve) => socket.once("connect", () => resolve())),
    ]);
    client.peer = `${from}:${socket.localPort}`;
    await Promise.race([client.ended, this.#handed(client.peer).promise]);
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.connections.close();
    this.connections.cut();
    for (const client of this.#clients) client.destroy();
    await Promise.all(this.#clients.map((socket) => socket.closed || closed(socket)));
  }

  #handed(peer: string): PromiseWithResolvers<void> {
    const handed = this.#handedOn.get(peer) ?? Promise.withResolvers<void>();
    this.#handedOn.set(peer, handed);
    return handed;
  }
}

class Client {
  peer = "";
  /** How it ended, as the system calls it. */
  readonly ended: Promise<string>;

  constructor(readonly socket: net.Socket) {
    let how = "end";
    socket.on("error", (error: Error & { code?: string }) => how = error.code ?? error.message);
    socket.resume();
    // A server that should have cut it and does not fails its test, and does not keep it waiting.
    socket.setTimeout(PATIENCE_MS, () => {
      how = "not cut";
      socket.destroy();
    });
    this.ended = closed(socket).then(() => how);
  }

  get isOpen(): boolean {
    return !this.socket.destroyed;
  }

  /** Sends, and goes on until somebody ends it. */
  async flood(): Promise<string> {
    const junk = new Uint8Array(64 << 10);
    const more = () => {
      while (this.isOpen && this.socket.write(junk));
    };
    this.socket.on("drain", more);
    more();
    return await this.ended;
  }
}

function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

Deno.test("beyond its bound an address loses the connection that has been idle for longest", async () => {
  await using bench = await Bench.start({ connectionsPerAddress: 3 });
  const clients = [];
  for (let i = 0; i < 3; i++) clients.push(await bench.dial("127.0.0.1"));
  const other = await bench.dial("127.0.0.2");
  bench.connections.began(clients[0]?.peer ?? "")(false);
  const fourth = await bench.dial("127.0.0.1");
  await clients[1]?.ended;
  assertEquals(clients.map((client) => client.isOpen), [true, false, true]);
  assert(fourth.isOpen && other.isOpen);
  assertEquals(bench.connections.size, 4);
  assertEquals(bench.refused, []);
});

Deno.test("a full server ends the longest idle connection of the fullest address", async () => {
  await using bench = await Bench.start({ connections: 5 });
  const ada = [await bench.dial("127.0.0.1"), await bench.dial("127.0.0.1")];
  const bob = [];
  for (let i = 0; i < 3; i++) bob.push(await bench.dial("127.0.0.2"));
  const eve = await bench.dial("127.0.0.3");
  await bob[0]?.ended;
  assertEquals([...ada, ...bob, eve].map((client) => client.isOpen), [
    ...[true, true],
    ...[false, true, true],
    true,
  ]);
});

Deno.test("connections with calls under way are never ended for others", async () => {
  await using bench = await Bench.start({ connections: 2, connectionsPerAddress: 2 });
  const busy = [await bench.dial("127.0.0.1"), await bench.dial("127.0.0.1")];
  const ended = busy.map((client) => bench.connections.began(client.peer));
  assertEquals(await (await bench.dial("127.0.0.1")).ended, "ECONNRESET");
  assertEquals(await (await bench.dial("127.0.0.2")).ended, "ECONNRESET");
  assertEquals(bench.refused, ["connections-per-address 127.0.0.1", "connections 127.0.0.2"]);
  assert(busy.every((client) => client.isOpen));
  ended[1]?.(false);
  const next = await bench.dial("127.0.0.2");
  await busy[1]?.ended;
  assert(next.isOpen && busy[0]?.isOpen);
});

Deno.test("whoever makes no call in time is cut, and nobody who has made one", async () => {
  await using bench = await Bench.start({ firstCallMs: 300 });
  const caller = await bench.dial("127.0.0.1");
  bench.connections.began(caller.peer)(false);
  const silent = await bench.dial("127.0.0.2");
  assertEquals(await silent.ended, "ECONNRESET");
  assertEquals(bench.refused, ["first-call-timeout 127.0.0.2"]);
  assert(caller.isOpen);
});

Deno.test("whoever sends more than the spare bytes is cut, and has to wait; others are not", async () => {
  await using bench = await Bench.start({ spareBytes: 1 << 20 });
  const other = await bench.dial("127.0.0.2");
  const quiet = await bench.dial("127.0.0.1");
  bench.connections.began(quiet.peer)(false);
  assertEquals(await (await bench.dial("127.0.0.1")).flood(), "ECONNRESET");
  assertEquals(bench.refused, ["spare-bytes 127.0.0.1"]);
  assertEquals(await (await bench.dial("127.0.0.1")).ended, "ECONNRESET");
  assertEquals(bench.refused, ["spare-bytes 127.0.0.1", "spare-bytes 127.0.0.1"]);
  assert(quiet.isOpen, "it has called, and says nothing");
  assert(other.isOpen && (await bench.dial("127.0.0.2")).isOpen);
});

Deno.test("with the one that is cut go those of its address that have never called", async () => {
  await using bench = await Bench.start({ spareBytes: 1 << 20 });
  const silent = await bench.dial("127.0.0.1");
  await (await bench.dial("127.0.0.1")).flood();
  assertEquals(await silent.ended, "ECONNRESET");
});

Deno.test("streams that become no calls are paid for", async () => {
  await using bench = await Bench.start({ spareBytes: 1 << 20 });
  const opened = async (from: string, bytes: number) => {
    const { peer } = await bench.dial(from);
    for (let i = 0; i < 300; i++) bench.connections.opened(peer, bytes);
    return (await bench.dial(from)).isOpen;
  };
  assertEquals(await opened("127.0.0.1", 0), false, "1.2 MB for 300 streams");
  const { peer } = await bench.dial("127.0.0.2");
  for (let i = 0; i < 3000; i++) {
    bench.connections.opened(peer, 0);
    bench.connections.began(peer)(false);
  }
  assert((await bench.dial("127.0.0.2")).isOpen, "calls have it back");
  const heavy = await bench.dial("127.0.0.3");
  bench.connections.opened(heavy.peer, 1 << 20);
  assert(!(await bench.dial("127.0.0.3")).isOpen, "fields of 1 MB");
});

Deno.test("calls that a limit kept out are paid for, at once or one by one", async () => {
  for (const inARow of [1, 400]) {
    await using bench = await Bench.start({ spareBytes: 1 << 20 });
    const { peer } = await bench.dial("127.0.0.1");
    for (let i = 0; i < 400; i += inARow) {
      const ended = Array.from({ length: inARow }, () => bench.connections.began(peer));
      for (const each of ended) each(true);
    }
    assert(!(await bench.dial("127.0.0.1")).isOpen, `${inARow} in a row`);
  }
});

Deno.test("streams that nobody told of are cut, however few bytes they took", async () => {
  await using bench = await Bench.start({ spareBytes: 1 << 20 });
  const caller = await bench.dial("127.0.0.1");
  bench.connections.began(caller.peer)(false);
  const client = await bench.dial("127.0.0.1");
  bench.connections.speaks(client.peer, { streams: () => 9, sent: () => 0, onRead: () => {} });
  bench.connections.opened(client.peer, 0);
  client.socket.write("x");
  assertEquals(await client.ended, "ECONNRESET");
  assertEquals(bench.refused, ["spare-bytes 127.0.0.1"]);
  for (let i = 0; i < 10; i++) bench.connections.began(caller.peer)(false);
  assert(!(await bench.dial("127.0.0.1")).isOpen, "a few calls do not make up for it");
});

Deno.test("240 clients of one address come at once, call, and come again", async () => {
  await using bench = await Bench.start();
  for (let round = 0; round < 3; round++) {
    const clients = await Promise.all(
      Array.from({ length: 240 }, async () => {
        const client = await bench.dial("127.0.0.1");
        client.socket.write(new Uint8Array(1000));
        return client;
      }),
    );
    for (const { peer } of clients) {
      bench.connections.opened(peer, 0);
      bench.connections.began(peer)(false);
    }
    assertEquals(bench.refused, []);
    assert(clients.every((client) => client.isOpen));
    for (const { socket } of clients) socket.destroy();
    await Promise.all(clients.map((client) => client.ended));
  }
});

Deno.test("what was closed is not counted", async () => {
  await using bench = await Bench.start({ connectionsPerAddress: 1 });
  for (let i = 0; i < 20; i++) {
    const client = await bench.dial("127.0.0.1");
    bench.connections.began(client.peer);
    client.socket.destroy();
    while (bench.connections.size > 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assertEquals(bench.refused, []);
});

Deno.test("an IPv6 address counts by its first 64 bits, a mapped one as IPv4", () => {
  const keys = {
    "127.0.0.1:50000": "127.0.0.1",
    "::ffff:10.1.2.3:50000": "10.1.2.3",
    "2001:db8:1:2:3:4:5:6:50000": "2001:db8:1:2::/64",
    "2001:db8:1:2::9:50000": "2001:db8:1:2::/64",
    "2001:db8:1:3::9:50000": "2001:db8:1:3::/64",
    "2001:0DB8::1:50000": "2001:db8:0:0::/64",
    "::1:50000": "0:0:0:0::/64",
    "fe80::1%eth0:50000": "fe80:0:0:0::/64",
  };
  for (const [peer, key] of Object.entries(keys)) assertEquals(addressOf(peer), key, peer);
});
