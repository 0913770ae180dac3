import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { randomBytes } from "node:crypto";
import net from "node:net";
import { Endpoint } from "../../protocol/endpoint.ts";
import { PortsInUse } from "../data_server.ts";
import { DescriptorBudget } from "./descriptors.ts";
import { Engine } from "./engine.ts";
import { connect, free, HOST, readAll, sha, writeAll } from "./test_conns.ts";

/** A target that hands out what it accepts. */
function target() {
  const listener = Deno.listen({ hostname: HOST, port: 0 });
  return {
    at: new Endpoint(HOST, listener.addr.port),
    accept: () => listener.accept(),
    close: () => listener.close(),
  };
}

function descriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

/** An engine with one session of one channel towards a target. */
async function oneChannel() {
  const engine = new Engine(new DescriptorBudget());
  const listener = free();
  const behind = target();
  await engine.open("s", { listeners: [listener] });
  await engine.target("s", [behind.at]);
  return {
    engine,
    listener,
    behind,
    async pair() {
      const near = await connect(listener);
      return { near, far: await behind.accept() };
    },
    async end(drainMs = 0) {
      await engine.close("s", drainMs);
      behind.close();
    },
  };
}

Deno.test("bytes arrive exactly, both ways at once, and each EOF is carried on its own", async () => {
  const { pair, end, engine } = await oneChannel();
  const { near, far } = await pair();
  const there = randomBytes(5_000_000);
  const back = randomBytes(3_000_001);
  const [got, returned] = await Promise.all([
    readAll(far),
    readAll(near),
    writeAll(near, there).then(() => near.closeWrite()),
    writeAll(far, back).then(() => far.closeWrite()),
  ]);
  assertEquals([sha(got), sha(returned)], [sha(there), sha(back)]);
  near.close();
  far.close();
  await end(5_000);
  assertEquals(engine.sessions, []);
});

Deno.test("half-close: after the client's EOF the target still answers", async () => {
  const { pair, end } = await oneChannel();
  const { near, far } = await pair();
  await writeAll(near, new TextEncoder().encode("question"));
  await near.closeWrite();
  assertEquals(new TextDecoder().decode(await readAll(far)), "question");
  await writeAll(far, new TextEncoder().encode("answer"));
  far.close();
  assertEquals(new TextDecoder().decode(await readAll(near)), "answer");
  near.close();
  await end(5_000);
});

/** Asserts that whoever connects is cut; the RST may be faster than the connect call. */
async function assertCut(to: Endpoint): Promise<void> {
  await assertRejects(async () => {
    using conn = await connect(to);
    await conn.read(new Uint8Array(1));
  }, Deno.errors.ConnectionReset);
}

/** A connection whose end the test can make an RST. */
async function resettable(to: Endpoint): Promise<net.Socket> {
  const socket = net.connect({ host: to.host, port: to.port });
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  return socket;
}

Deno.test("an RST from the client is an RST at the target, not an EOF", async () => {
  const { listener, behind, end } = await oneChannel();
  const near = await resettable(listener);
  const far = await behind.accept();
  near.write("x");
  assertEquals(await far.read(new Uint8Array(8)), 1);
  near.resetAndDestroy();
  await assertRejects(() => far.read(new Uint8Array(8)), Deno.errors.ConnectionReset);
  far.close();
  await end(5_000);
});

Deno.test("an RST from the target is an RST at the client", async () => {
  const engine = new Engine(new DescriptorBudget());
  const listener = free();
  const behind = net.createServer((socket) => socket.once("data", () => socket.resetAndDestroy()));
  await new Promise<void>((resolve) => behind.listen(0, HOST, resolve));
  await engine.open("s", { listeners: [listener] });
  await engine.target("s", [new Endpoint(HOST, (behind.address() as net.AddressInfo).port)]);
  const near = await connect(listener);
  await near.write(new Uint8Array(1));
  await assertRejects(() => near.read(new Uint8Array(8)), Deno.errors.ConnectionReset);
  near.close();
  assertMatch((await engine.status("s"))[0]?.lastError ?? "", /target: ECONNRESET/);
  await engine.close("s", 0);
  await new Promise((resolve) => behind.close(resolve));
});

Deno.test("a writer waits for a slow reader: what is buffered between them is bounded", async () => {
  const { pair, end, engine } = await oneChannel();
  const { near, far } = await pair();
  const chunk = new Uint8Array(1 << 20);
  let written = 0;
  // Write until a write does not end: kernel buffers and the relay's are full.
  let stuck: Promise<number> | undefined;
  while (stuck === undefined) {
    const write = near.write(chunk);
    const done = await Promise.race([
      write,
      new Promise<undefined>((r) => setTimeout(() => r(undefined), 300)),
    ]);
    if (done === undefined) stuck = write;
    else written += done;
    assert(written < 64 << 20, `${written} bytes were taken though nobody reads`);
  }
  const before = (await engine.status("s"))[0]?.bytesToTarget ?? 0;
  assert(before <= written + chunk.length);
  const reading = readAll(far);
  written += await stuck;
  await near.closeWrite();
  assertEquals((await reading).length, written);
  near.close();
  far.close();
  await end(5_000);
});

Deno.test("whoever connects before there is a target waits for it", async () => {
  const engine = new Engine(new DescriptorBudget());
  const listener = free();
  const behind = target();
  await engine.open("s", { listeners: [listener] });
  const near = await connect(listener);
  await near.write(new TextEncoder().encode("early"));
  await engine.target("s", [behind.at]);
  const far = await behind.accept();
  const chunk = new Uint8Array(16);
  const n = await far.read(chunk) ?? 0;
  assertEquals(new TextDecoder().decode(chunk.subarray(0, n)), "early");
  near.close();
  far.close();
  await engine.close("s", 5_000);
  behind.close();
});

Deno.test("a new target is for new connections; established ones stay", async () => {
  const { engine, listener, behind, pair, end } = await oneChannel();
  const old = await pair();
  const other = target();
  await engine.target("s", [other.at]);
  const near = await connect(listener);
  const far = await other.accept();
  await near.write(new Uint8Array([2]));
  await old.near.write(new Uint8Array([1]));
  const byte = new Uint8Array(1);
  await far.read(byte);
  assertEquals(byte[0], 2);
  await old.far.read(byte);
  assertEquals(byte[0], 1);
  for (const conn of [near, far, old.near, old.far]) conn.close();
  await end(5_000);
  other.close();
  assert(behind.at.port !== other.at.port);
});

Deno.test("close refuses new connections at once and lets established ones finish", async () => {
  const { engine, listener, behind, pair } = await oneChannel();
  const { near, far } = await pair();
  const closed = engine.close("s", 60_000);
  await assertRejects(() => connect(listener), Deno.errors.ConnectionRefused);
  await near.write(new Uint8Array([7]));
  const byte = new Uint8Array(1);
  await far.read(byte);
  assertEquals(byte[0], 7);
  near.close();
  far.close();
  await closed;
  behind.close();
});

Deno.test("a drain that takes too long ends in an RST, and a second close hurries it", async () => {
  const { engine, behind, pair } = await oneChannel();
  const { near, far } = await pair();
  const closed = engine.close("s", 60_000);
  await engine.close("s", 0);
  await closed;
  for (const conn of [near, far]) {
    await assertRejects(() => conn.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
    conn.close();
  }
  behind.close();
});

Deno.test("a port in use opens nothing, and names the port", async () => {
  const engine = new Engine(new DescriptorBudget());
  const stranger = target();
  const other = free();
  const error = await assertRejects(
    () => engine.open("s", { listeners: [other, stranger.at] }),
    PortsInUse,
  );
  assertEquals(error.ports, [stranger.at.port]);
  await assertRejects(() => connect(other), Deno.errors.ConnectionRefused);
  assertEquals(engine.sessions, []);
  stranger.close();
  await engine.open("s", { listeners: [other, stranger.at] });
  await engine.close("s", 0);
});

Deno.test("a close that comes while listeners are being opened leaves none", async () => {
  const engine = new Engine(new DescriptorBudget());
  const listener = free();
  const opening = engine.open("s", { listeners: [listener] });
  await engine.close("s", 0);
  await opening;
  assertEquals(engine.sessions, []);
  await assertRejects(() => connect(listener), Deno.errors.ConnectionRefused);
});

Deno.test("a target that refuses: the client gets an RST, and the channel says why", async () => {
  const engine = new Engine(new DescriptorBudget());
  const listener = free();
  const nobody = free();
  await engine.open("s", { listeners: [listener] });
  await engine.target("s", [nobody]);
  await assertCut(listener);
  const [channel] = await engine.status("s");
  assertEquals([channel?.connectionsOpen, channel?.connectionsTotal, channel?.connectionsFailed], [
    0,
    1,
    1,
  ]);
  assertEquals(channel?.lastError, `target ${nobody}: ECONNREFUSED (3 tries)`);
  await engine.close("s", 0);
});

/** Connects as soon as somebody listens again. */
async function served(to: Endpoint): Promise<Deno.TcpConn> {
  for (;;) {
    try {
      return await connect(to);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

Deno.test("without descriptors left connections are refused, and served again when there are", async () => {
  // 40 are kept back: the listener (2) and one connection (2) fit.
  const budget = new DescriptorBudget(44);
  const engine = new Engine(budget);
  const listener = free();
  const behind = target();
  await engine.open("s", { listeners: [listener] });
  await engine.target("s", [behind.at]);
  const first = await connect(listener);
  const far = await behind.accept();
  await assertCut(listener);
  first.close();
  assertEquals(await far.read(new Uint8Array(1)), null);
  far.close();
  while ((await engine.status("s"))[0]?.connectionsOpen !== 0) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const third = await served(listener);
  const last = await behind.accept();
  third.close();
  last.close();
  await engine.close("s", 5_000);
  behind.close();
});

Deno.test("after 300 connections, some cut at every stage, no descriptor is left over", async () => {
  const { listener, behind, end } = await oneChannel();
  const serving = (async () => {
    const work: Promise<void>[] = [];
    for (let i = 0; i < 300; i++) {
      const far = await behind.accept();
      work.push((async () => {
        try {
          if (i % 3 !== 0) await writeAll(far, await readAll(far));
        } catch {
          // Cut by the other side, as it should be.
        }
        far.close();
      })());
    }
    await Promise.all(work);
  })();
  const before = descriptors();
  for (let i = 0; i < 300; i++) {
    const near = await resettable(listener);
    const gone = new Promise<void>((resolve) => near.once("close", () => resolve()));
    near.on("error", () => {});
    near.resume();
    near.write("hello");
    if (i % 2 === 0) near.resetAndDestroy();
    else near.end();
    await gone;
  }
  await serving;
  await end(5_000);
  assert(descriptors() <= before, `${descriptors()} descriptors, ${before} before`);
});
