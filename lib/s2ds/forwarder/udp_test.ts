import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { Networks } from "../../protocol/cidr.ts";
import { Endpoint } from "../../protocol/endpoint.ts";
import { PortsInUse } from "../data_server.ts";
import { DescriptorBudget } from "./descriptors.ts";
import { Limit } from "./limit.ts";
import { UdpChannel, type UdpOptions } from "./udp.ts";

const HOST = "127.0.0.1";

function bound(port = 0): Deno.DatagramConn & Disposable {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: HOST, port });
  return Object.assign(socket, { [Symbol.dispose]: () => socket.close() });
}
const portOf = (socket: Deno.DatagramConn) => (socket.addr as Deno.NetAddr).port;

/** A channel, and a target that answers each datagram with itself and a mark. */
function setUp(options: Partial<UdpOptions> = {}) {
  const target = bound();
  const probe = bound();
  const port = portOf(probe);
  probe.close();
  const budget = new DescriptorBudget(100);
  const channel = UdpChannel.listen({ at: new Endpoint(HOST, port), budget, ...options });
  const answering = (async () => {
    for await (const [data, from] of target) await target.send(new Uint8Array([...data, 0]), from);
  })();
  return {
    channel,
    target: new Endpoint(HOST, portOf(target)),
    to: { transport: "udp" as const, hostname: HOST, port },
    async [Symbol.asyncDispose]() {
      channel.close();
      target.close();
      await answering;
    },
  };
}

Deno.test("datagrams go to the target as they are, and answers to whom they are for", async () => {
  await using udp = setUp();
  udp.channel.target(udp.target);
  const sources = [bound(), bound(), bound()];
  for (const size of [0, 1, 1400, 60_000]) {
    for (const [i, source] of sources.entries()) {
      const data = new Uint8Array(size).fill(i + 1);
      await source.send(data, udp.to);
      const [got] = await source.receive(new Uint8Array(65_535));
      assertEquals(got, new Uint8Array([...data, 0]));
    }
  }
  const { connectionsOpen, bytesToTarget, bytesFromTarget, datagramsDropped } = udp.channel.status;
  assertEquals([connectionsOpen, bytesToTarget, bytesFromTarget, datagramsDropped], [
    3,
    3 * 61_401,
    3 * 61_405,
    0,
  ]);
  for (const source of sources) source.close();
});

/** Waits for the channel's numbers. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

Deno.test("what cannot be passed on is dropped and counted, with the reason", async () => {
  {
    await using udp = setUp();
    using source = bound();
    await source.send(new Uint8Array(1), udp.to);
    await until(() => udp.channel.status.datagramsDropped === 1);
    assertMatch(udp.channel.status.lastError, /no target yet/);
  }
  {
    await using udp = setUp({ allow: [Networks.parseList("10.0.0.0/8")] });
    udp.channel.target(udp.target);
    using source = bound();
    await source.send(new Uint8Array(1), udp.to);
    await until(() => udp.channel.status.datagramsDropped === 1);
    assertMatch(udp.channel.status.lastError, /127.0.0.1 is not in the networks/);
    assertEquals(udp.channel.status.bytesToTarget, 0);
  }
  {
    const toTarget = new Limit(1000);
    await using udp = setUp({ toTarget });
    udp.channel.target(udp.target);
    using source = bound();
    for (let i = 0; i < 20; i++) await source.send(new Uint8Array(1000), udp.to);
    await until(() =>
      udp.channel.status.datagramsDropped + udp.channel.status.bytesToTarget / 1000 === 20
    );
    assert(udp.channel.status.datagramsDropped >= 15, "its rate is 1,000 bytes a second");
    toTarget.close();
  }
});

Deno.test("a source that is silent is forgotten, and comes back as a new one", async () => {
  await using udp = setUp({ idleMs: 30 });
  udp.channel.target(udp.target);
  using source = bound();
  for (let i = 1; i <= 2; i++) {
    await source.send(new Uint8Array(1), udp.to);
    await source.receive(new Uint8Array(9));
    await until(() => udp.channel.status.connectionsOpen === 0);
    assertEquals(udp.channel.status.connectionsTotal, i);
  }
});

Deno.test("sources are bounded by descriptors", async () => {
  const budget = new DescriptorBudget(45);
  await using udp = setUp({ budget });
  udp.channel.target(udp.target);
  const sources = Array.from({ length: 10 }, () => bound());
  for (const source of sources) await source.send(new Uint8Array(1), udp.to);
  await until(() => udp.channel.status.datagramsDropped >= 1);
  assert(udp.channel.status.connectionsOpen < 10);
  for (const source of sources) source.close();
});

Deno.test("a port that is taken is told", () => {
  using taken = bound();
  const at = new Endpoint(HOST, portOf(taken));
  assertThrows(() => UdpChannel.listen({ at, budget: new DescriptorBudget() }), PortsInUse);
});
