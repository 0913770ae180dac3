/**
 * What applications see of two gateways between them, with each kind of link that `--wan` offers.
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { createHash, randomBytes } from "node:crypto";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import type { Channel } from "../proto/messages.ts";
import { dial, echoes, EchoServer, readAll, readExactly, writeAll } from "./echo.ts";
import {
  assertCut,
  assertWhole,
  call,
  descriptors,
  FOR_EVER,
  residentMb,
  stepping,
  type Steps,
  StepsServer,
  wanModes,
} from "./flows.ts";
import { eventually } from "./harness.ts";
import { Pair, type Side } from "./pair.ts";

const MODES = await wanModes();
const MIB = 1 << 20;

/** A test over two gateways of its own, once for each kind of link. */
function flowTest(
  name: string,
  test: (pair: Pair, mode: string) => Promise<void>,
  limitMs = 60_000,
): void {
  for (const { mode, flags } of MODES) {
    Deno.test(`flows, ${mode}: ${name}`, async () => {
      await using pair = await Pair.start("S2DS", "--drain-timeout=60", ...flags);
      const hang = Promise.withResolvers<never>();
      const timer = setTimeout(() => hang.reject(new Error("it hangs")), limitMs);
      try {
        // Ended at both applications, a connection has ended at the gateways, too.
        await Promise.race([test(pair, mode).then(() => quiet(pair)), hang.promise]);
      } catch (error) {
        for (const { gateway } of [pair.prod, pair.cons]) {
          // Told to end, it would wait for what hangs.
          console.error((await gateway.process.stop("SIGKILL")).err);
        }
        throw error;
      } finally {
        clearTimeout(timer);
      }
    });
  }
}

/** A stream to a listener of the test's own: both ends of its connections, in one hand. */
async function holding(pair: Pair) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const stream = await pair.connect(new Endpoint("127.0.0.1", listener.addr.port));
  const open = new Set<Deno.Conn | Deno.Listener>([listener]);
  return {
    stream,
    async open() {
      const near = await dial(stream.cons[0] as string);
      open.add(near);
      const far = await listener.accept();
      open.add(far);
      return { near, far };
    },
    /** Takes no more. */
    refuse() {
      listener.close();
      open.delete(listener);
    },
    [Symbol.dispose]() {
      for (const each of open) each.close();
    },
  };
}

/** Sends bytes from one to the other, and asserts that they arrive. */
async function assertCarries(from: Deno.Conn, to: Deno.Conn): Promise<void> {
  const bytes = new Uint8Array(randomBytes(MIB));
  const [got] = await Promise.all([readExactly(to, MIB), writeAll(from, bytes)]);
  assert(got.every((byte, i) => byte === bytes[i]), "other bytes arrived than were sent");
}

/** Process ids of both gateways' data servers. */
function dataServers(pair: Pair): number[] {
  const pids = [pair.prod, pair.cons].flatMap(({ gateway }) => gateway.dataServers());
  assert(pids.length >= 2);
  return pids;
}

/** The channels of both gateways, once nobody is connected any more. */
async function quiet(pair: Pair): Promise<Channel[]> {
  let channels: Channel[] = [];
  await eventually("no connection is open", async () => {
    const lists = [pair.prod, pair.cons].map(({ client }) => client.call("list", {}));
    const sessions = (await Promise.all(lists)).flatMap((list) => list.sessions);
    channels = sessions.flatMap((session) => session.channels);
    return channels.every((channel) => channel.connections_open === 0);
  });
  return channels;
}

flowTest("half-close in each direction", async (pair) => {
  await using steps = await stepping(pair);
  for (let round = 0; round < 8; round++) {
    await steps.whole("send:1000000 fin read", "read send:33554432 fin");
    await steps.whole("read send:33554432 fin", "send:1000000 fin read");
    // An end without a byte before it.
    await steps.whole("fin read", "read send:1000000 fin");
    await steps.whole("read send:1000000 fin", "fin read");
  }
});

/** Who resets in mid-stream, and what the other end does meanwhile. */
const CUTS: [what: string, cutter: Steps, other: Steps][] = [
  ["who reads", "send:1000000 read:1 send:5000000 reset", "read:1000000 send:1 read"],
  ["who writes", "read:1000000 reset", FOR_EVER],
  ["who waits", "send:1 read:1 reset", "read:1 send:1 read"],
  ["whose own end has come", "send:1 read:1 read wait:0 reset", "read:1 send:1 fin read"],
];

flowTest("an RST in mid-stream is an RST at the other end", async (pair) => {
  await using steps = await stepping(pair);
  for (const [what, cutter, other] of CUTS) {
    assertCut((await steps.talk(cutter, other)).server, `from the client to the server ${what}`);
    assertCut((await steps.talk(other, cutter)).client, `from the server to the client ${what}`);
  }
});

/** Kills a gateway's data server, whatever processes that is, the first time it is called. */
function killer({ gateway }: Side): () => void {
  let pids = gateway.dataServers();
  assert(pids.length > 0);
  return () => {
    for (const pid of pids) Deno.kill(pid, "SIGKILL");
    pids = [];
  };
}

for (
  const [side, idle] of [["prod", false], ["cons", false], ["prod", true], ["cons", true]] as const
) {
  const what = `the ${side} side's data server, killed ${idle ? "in a pause" : "in mid-stream"}`;
  flowTest(`${what}, is no end of the stream`, async (pair, mode) => {
    await using steps = await stepping(pair);
    const kill = killer(pair[side]);
    const enough = idle ? 1 : 4 * MIB;
    const onBytes = (got: number) => got >= enough && kill();
    const writes = idle ? "send:1 read" : FOR_EVER;
    steps.server.onBytes = onBytes;
    // Its neighbour's connection is ended by the kernel; the other end's by the other gateway.
    const { end, gotBytes } = side === "prod"
      ? (await steps.talk("read", writes, onBytes)).client
      : (await steps.talk(writes, "read")).server;
    assert(gotBytes >= enough, `only ${gotBytes} bytes had come`);
    // Without TLS the kernel's FIN for the dead process looks like any other.
    if (mode === "tls") assert(!end.startsWith("EOF"), end);
  });
}

flowTest("bytes come one at a time", async (pair) => {
  await using steps = await stepping(pair);
  const times = (count: number, each: string) => Array(count).fill(each).join(" ");
  await steps.whole(
    `${times(20, "send:1 read:1")} fin read`,
    `${times(20, "read:1 send:1")} read fin`,
  );
  await steps.whole(
    `${times(5, "send:1 read:1 wait:1000")} fin read`,
    `${times(5, "read:1 send:1")} read fin`,
  );
});

flowTest("10,000 short connections", async (pair) => {
  await using echo = new EchoServer();
  const { cons: [address = ""] } = await pair.connect(echo.endpoint);
  assert(await echoes(address, "warm"));
  await quiet(pair);
  const pids = dataServers(pair);
  const before = descriptors(pids);
  const lane = async () => {
    for (let i = 0; i < 100; i++) {
      using conn = await dial(address);
      const bytes = new Uint8Array(randomBytes(100));
      const [got] = await Promise.all([readExactly(conn, 100), writeAll(conn, bytes)]);
      assertEquals(got, bytes);
    }
  };
  await Promise.all(Array.from({ length: 100 }, lane));
  for (const channel of await quiet(pair)) {
    assertEquals(channel.connections_total, 10_001);
    assertEquals(channel.connections_failed, 0, channel.last_error);
    assertEquals([channel.bytes_to_target, channel.bytes_from_target], [1_000_004, 1_000_004]);
  }
  assertEquals(dataServers(pair), pids);
  const back = () => descriptors(pids).every((count, i) => count <= (before[i] as number));
  await eventually("no descriptor is left over", back);
}, 120_000);

flowTest("1 GiB over eight connections on four channels, half of it each way", async (pair) => {
  await using server = await StepsServer.start();
  const stream = await pair.connect(server.endpoint, 4);
  assertEquals(new Set(stream.cons).size, 4);
  const served = server.next(8);
  const both = `both:${64 * MIB} fin read`;
  const calls = [...stream.cons, ...stream.cons].map((address) => call(address, both, both));
  const seen = await Promise.all(calls);
  assertWhole(seen, await served);
  for (const { gotBytes } of seen) assertEquals(gotBytes, 64 * MIB);
}, 120_000);

flowTest("a reader that does not read holds the writer back, and takes no memory", async (pair) => {
  using held = await holding(pair);
  const pids = dataServers(pair);
  const before = residentMb(pids);
  // More than the buffers of the kernels on the way take.
  const each = 256 * MIB;
  const ends = [await held.open(), await held.open(), await held.open(), await held.open()];
  const lanes = ends.map(({ near, far }, i) => {
    const [writer, reader] = i % 2 === 0 ? [near, far] : [far, near];
    return { writer, reader, taken: 0, sent: createHash("sha256"), got: createHash("sha256") };
  });
  const random = randomBytes(2 * MIB);
  const writing = lanes.map(async (lane) => {
    while (lane.taken < each) {
      const from = Math.floor(Math.random() * MIB);
      const piece = random.subarray(from, from + Math.min(MIB, each - lane.taken));
      const n = await lane.writer.write(piece);
      lane.sent.update(piece.subarray(0, n));
      lane.taken += n;
    }
    await lane.writer.closeWrite();
  });
  const taken = () => lanes.reduce((sum, lane) => sum + lane.taken, 0);
  for (let last = -1; last !== taken();) {
    last = taken();
    // Nothing tells that nothing happens.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  for (const lane of lanes) assert(lane.taken < each, "back-pressure reaches the writer");
  const grown = residentMb(pids).map((mb, i) => Math.round(mb - (before[i] as number)));
  assert(grown.every((mb) => mb < 150), `the data servers grew by ${grown} MB`);
  const reading = lanes.map(async ({ reader, got }) => {
    const chunk = new Uint8Array(MIB);
    for (let n; (n = await reader.read(chunk)) !== null;) got.update(chunk.subarray(0, n));
  });
  await Promise.all([...writing, ...reading]);
  for (const { taken, sent, got } of lanes) {
    assertEquals(taken, each);
    assertEquals(got.digest("hex"), sent.digest("hex"));
  }
}, 120_000);

flowTest("a release lets a connection finish, and takes no other", async (pair) => {
  using held = await holding(pair);
  const { near, far } = await held.open();
  await assertCarries(near, far);
  // Else whoever comes while the listeners close would be waited for, too.
  held.refuse();
  let over = false;
  const released = pair.release(held.stream).then(() => over = true);
  for (const address of [...held.stream.cons, ...held.stream.prod]) {
    await eventually(`${address} refuses`, async () => {
      const conn = await dial(address).catch(() => undefined);
      conn?.close();
      return !conn;
    });
  }
  await assertCarries(near, far);
  await assertCarries(far, near);
  assert(!over, "the release waits for its connection");
  await near.closeWrite();
  assertEquals((await readAll(far)).length, 0);
  await assertCarries(far, near);
  await far.closeWrite();
  assertEquals((await readAll(near)).length, 0);
  await released;
});

flowTest("an update is for new connections; an old one goes on at its target", async (pair) => {
  using held = await holding(pair);
  const { near, far } = await held.open();
  await assertCarries(near, far);
  await using echo = new EchoServer();
  await pair.update(held.stream, echo.endpoint);
  const [address = ""] = held.stream.cons;
  assert(await echoes(address, "at the new target"));
  await assertCarries(near, far);
  await assertCarries(far, near);
  assert(await echoes(address, "still there"));
  await near.closeWrite();
  assertEquals((await readAll(far)).length, 0);
  await far.closeWrite();
  assertEquals((await readAll(near)).length, 0);
  await pair.release(held.stream);
  await assertRejects(() => dial(address), Deno.errors.ConnectionRefused);
});
