import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { randomBytes } from "node:crypto";
import { Networks } from "../../protocol/cidr.ts";
import { Endpoint } from "../../protocol/endpoint.ts";
import { DescriptorBudget } from "./descriptors.ts";
import { Engine, type SessionOptions } from "./engine.ts";
import { channelSecret } from "./secret.ts";
import { connect, free, HOST, readAll, sha, writeAll } from "./test_conns.ts";

const SECRET = channelSecret("0b2f7e0c-5d5c-4d3e-9a55-1f0f5a0c9d11");
const OTHER = channelSecret("0b2f7e0c-5d5c-4d3e-9a55-1f0f5a0c9d12");

/** An application, two gateways, and what went wrong at each. */
class Stream implements AsyncDisposable {
  readonly notes: { prod: string[]; cons: string[] } = { prod: [], cons: [] };
  readonly prod = new Engine(
    new DescriptorBudget(),
    (_session, why) => void this.notes.prod.push(why),
  );
  readonly cons = new Engine(
    new DescriptorBudget(),
    (_session, why) => void this.notes.cons.push(why),
  );
  readonly app = Deno.listen({ hostname: HOST, port: 0 });
  readonly wan = free();
  readonly lan = free();

  static async start(
    prod: Partial<SessionOptions> = {},
    cons: Partial<SessionOptions> = {},
  ): Promise<Stream> {
    const stream = new Stream();
    const at = new Endpoint(HOST, stream.app.addr.port);
    const both = { secret: SECRET };
    await stream.prod.open("s", { ...both, role: "PROD", listeners: [stream.wan], ...prod });
    await stream.cons.open("s", { ...both, role: "CONS", listeners: [stream.lan], ...cons });
    await stream.prod.target("s", [at]);
    await stream.cons.target("s", [stream.wan]);
    return stream;
  }

  connect(to = this.lan): Promise<Deno.TcpConn> {
    return connect(to);
  }

  async pair(): Promise<{ near: Deno.TcpConn; far: Deno.TcpConn } & Disposable> {
    const [near, far] = await Promise.all([this.connect(), this.app.accept()]);
    return {
      near,
      far,
      [Symbol.dispose]() {
        for (const conn of [near, far]) {
          try {
            conn.close();
          } catch {
            // The test closed it.
          }
        }
      },
    };
  }

  async status(side: "prod" | "cons") {
    const [channel] = await this[side].status("s");
    assert(channel);
    return channel;
  }

  async [Symbol.asyncDispose]() {
    await Promise.all([this.prod.close("s", 0), this.cons.close("s", 0)]);
    this.app.close();
  }
}

/** That the connection is cut, and nothing comes before. */
async function assertCut(conn: Deno.Conn): Promise<void> {
  await assertRejects(() => conn.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
}

for (const secret of [SECRET, undefined]) {
  const what = secret ? "tls" : "plain";

  Deno.test(`${what}: bytes arrive exactly both ways at once, and each EOF on its own`, async () => {
    await using stream = await Stream.start({ secret }, { secret });
    using pair = await stream.pair();
    const { near, far } = pair;
    const there = randomBytes(20_000_003);
    const back = randomBytes(7_000_001);
    const [got, returned] = await Promise.all([
      readAll(far),
      readAll(near),
      writeAll(near, there).then(() => near.closeWrite()),
      writeAll(far, back).then(() => far.closeWrite()),
    ]);
    assertEquals([sha(got), sha(returned)], [sha(there), sha(back)]);
    for (const side of ["prod", "cons"] as const) {
      const { bytesToTarget, bytesFromTarget, lastError } = await stream.status(side);
      assertEquals([bytesToTarget, bytesFromTarget, lastError], [20_000_003, 7_000_001, ""]);
    }
  });

  Deno.test(`${what}: half-close either way; the other direction goes on`, async () => {
    await using stream = await Stream.start({ secret }, { secret });
    for (const way of ["near", "far"] as const) {
      using pair = await stream.pair();
      const [first, second] = way === "near" ? [pair.near, pair.far] : [pair.far, pair.near];
      await first.closeWrite();
      assertEquals(await second.read(new Uint8Array(1)), null);
      const answer = randomBytes(3_000_000);
      const writing = writeAll(second, answer).then(() => second.closeWrite());
      assertEquals(sha(await readAll(first)), sha(answer));
      await writing;
    }
  });
}

Deno.test("a connection that is cut between the gateways is never taken for the whole", async () => {
  await using stream = await Stream.start();
  // Between them, somebody who can end connections as TCP does, and nothing more.
  const between = Deno.listen({ hostname: HOST, port: 0 });
  await stream.cons.target("s", [new Endpoint(HOST, between.addr.port)]);
  const links: Deno.TcpConn[] = [];
  const accepting = (async () => {
    for await (const near of between) {
      const far = await stream.connect(stream.wan);
      links.push(near, far);
      near.readable.pipeTo(far.writable, { preventClose: true }).catch(() => {});
      far.readable.pipeTo(near.writable, { preventClose: true }).catch(() => {});
    }
  })();
  using pair = await stream.pair();
  await writeAll(pair.near, new Uint8Array(1000).fill(1));
  const chunk = new Uint8Array(1000);
  for (let got = 0; got < 1000;) got += await pair.far.read(chunk) ?? 0;
  // A FIN in both directions, and no close_notify.
  for (const link of links) await link.closeWrite();
  await assertCut(pair.far);
  await assertCut(pair.near);
  assertMatch((await stream.status("prod")).lastError, /the other gateway: the connection was cut/);
  between.close();
  await accepting;
  for (const link of links) {
    try {
      link.close();
    } catch {
      // Its stream closed it.
    }
  }
});

Deno.test("a reader that does not read holds the writer back, encrypted too", async () => {
  await using stream = await Stream.start();
  using pair = await stream.pair();
  const before = Deno.memoryUsage().rss;
  // More than the kernel's buffers of three hops take, which grow to 32 MiB each here.
  const most = 400 << 20;
  const chunk = new Uint8Array(1 << 20);
  let written = 0;
  const writing = (async () => {
    while (written < most) written += await pair.near.write(chunk);
  })();
  for (let last = -1; last !== written;) {
    last = written;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  assert(written < most, "it was taken as fast as it came");
  assert(Deno.memoryUsage().rss - before < 200 << 20, "it is kept in memory");
  let got = 0;
  const reading = (async () => {
    for (let n; (n = await pair.far.read(chunk)) !== null;) got += n;
  })();
  await writing;
  await pair.near.closeWrite();
  await reading;
  assertEquals(got, written);
});

Deno.test("one side encrypts and the other does not: both say so, and nobody hangs", async () => {
  {
    await using stream = await Stream.start({}, { secret: undefined });
    using near = await stream.connect();
    await near.write(new TextEncoder().encode("hello"));
    // An alert of TLS comes back, which an application of its own may mean: it is passed on.
    await readAll(near).catch(() => {});
    assertMatch(
      (await stream.status("prod")).lastError,
      /127.0.0.1 does not speak TLS.*--wan plain/,
    );
    assertMatch((await stream.status("cons")).lastError, /TLS alert.*--wan tls/);
    assertEquals((await stream.status("prod")).connectionsRefused, 1);
    assertMatch(stream.notes.prod.join(), /does not speak TLS/);
  }
  {
    await using stream = await Stream.start({ secret: undefined }, {});
    using near = await stream.connect();
    await near.write(new TextEncoder().encode("hello"));
    await assertCut(near);
    assertMatch((await stream.status("prod")).lastError, /127.0.0.1 speaks TLS.*--wan tls/);
    assertMatch((await stream.status("cons")).lastError, /in the TLS handshake.*--wan plain/);
    assertEquals((await stream.status("prod")).bytesToTarget, 0, "no byte reached the application");
  }
});

Deno.test("another session's gateway: refused and counted on both sides, and no byte arrives", async () => {
  await using stream = await Stream.start({}, { secret: OTHER });
  using near = await stream.connect();
  await near.write(new TextEncoder().encode("hello"));
  await assertCut(near);
  const [prod, cons] = [await stream.status("prod"), await stream.status("cons")];
  assertEquals([prod.connectionsRefused, prod.connectionsFailed, prod.bytesToTarget], [1, 0, 0]);
  assertEquals([cons.connectionsRefused, cons.connectionsFailed, cons.bytesToTarget], [0, 1, 0]);
  assertMatch(cons.lastError, /is not proven by this session's uid/);
});

Deno.test("no connection is made to the application before its peer is proven", async () => {
  await using stream = await Stream.start();
  using probe = await stream.connect(stream.wan);
  await probe.write(new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n"));
  await readAll(probe).catch(() => {});
  // The next one that the application accepts is the proven one.
  using pair = await stream.pair();
  await pair.near.write(new Uint8Array([7]));
  const got = new Uint8Array(1);
  await pair.far.read(got);
  assertEquals(got, new Uint8Array([7]));
  assertEquals((await stream.status("prod")).connectionsTotal, 2);
});

Deno.test("many who never prove themselves: their number is bounded, and the good one is served", async () => {
  await using stream = await Stream.start();
  const idle: Deno.TcpConn[] = [];
  for (let i = 0; i < 300; i++) {
    // A refusal can be so fast that connecting fails already.
    await stream.connect(stream.wan).then((conn) => idle.push(conn), () => {});
  }
  await stream.prod.target("s", [new Endpoint(HOST, stream.app.addr.port)]);
  const refused = (await stream.status("prod")).connectionsRefused;
  assert(refused >= 300 - 256, `${refused} were refused`);
  // From this address no more are taken until some are gone; then all is as before.
  for (const conn of idle.splice(0, 100)) conn.close();
  using pair = await stream.pair();
  await pair.near.write(new Uint8Array([7]));
  assertEquals(await pair.far.read(new Uint8Array(1)), 1);
  for (const conn of idle) conn.close();
});

Deno.test("only addresses that are allowed are let in; others are refused and counted", async () => {
  const here = Networks.parseList("127.0.0.0/8,::1");
  const elsewhere = Networks.parseList("192.168.20.0/24");
  {
    await using stream = await Stream.start({ allow: [here] }, { allow: [here, here] });
    using pair = await stream.pair();
    await pair.near.write(new Uint8Array([7]));
    assertEquals(await pair.far.read(new Uint8Array(1)), 1);
    assertEquals((await stream.status("cons")).peers, [HOST]);
  }
  for (const allow of [[elsewhere], [here, elsewhere]]) {
    await using stream = await Stream.start({}, { allow });
    await assertRejects(async () => {
      using near = await stream.connect();
      await near.read(new Uint8Array(1));
    }, Deno.errors.ConnectionReset);
    const { connectionsRefused, connectionsTotal, lastError } = await stream.status("cons");
    assertEquals([connectionsRefused, connectionsTotal], [1, 1]);
    assertEquals(
      lastError,
      "127.0.0.1 is not in the networks that are allowed (192.168.20.0/24)",
    );
  }
});

Deno.test("a session is held to its rate, all its connections together; an update lifts it", async () => {
  await using stream = await Stream.start({ rate: 2_000_000 }, {});
  const pairs = [await stream.pair(), await stream.pair()];
  const start = performance.now();
  const chunk = new Uint8Array(64 << 10);
  let got = 0;
  const stopped = new AbortController();
  const writing = pairs.map(async ({ near }) => {
    while (!stopped.signal.aborted) await near.write(chunk);
  });
  const half = Promise.withResolvers<void>();
  const all = Promise.withResolvers<void>();
  const reading = pairs.map(async ({ far }) => {
    const part = new Uint8Array(64 << 10);
    for (let n; (n = await far.read(part)) !== null;) {
      got += n;
      if (got >= 2_000_000) half.resolve();
      if (got >= 60_000_000) all.resolve();
    }
  });
  await half.promise;
  const rate = got / ((performance.now() - start) / 1000);
  // Not slower than half: a busy machine is; never faster than asked for.
  assert(rate < 2_000_000 * 1.1, `${rate} bytes a second`);
  await stream.prod.limit("s", 0);
  await all.promise;
  stopped.abort();
  await Promise.all(writing);
  for (const { near } of pairs) near.close();
  await Promise.all(reading);
  for (const { far } of pairs) far.close();
});

Deno.test("a target that comes up a moment later is tried again", async () => {
  await using stream = await Stream.start({ secret: undefined }, { secret: undefined });
  const late = free();
  await stream.prod.target("s", [late]);
  using near = await stream.connect();
  await near.write(new Uint8Array([7]));
  await new Promise((resolve) => setTimeout(resolve, 30));
  using listener = Deno.listen({ hostname: HOST, port: late.port });
  using far = await listener.accept();
  assertEquals(await far.read(new Uint8Array(1)), 1);
});
