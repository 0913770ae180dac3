// The built-in data server's settings, through whole processes.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { ScistreamError } from "../lib/protocol/errors.ts";
import { MOCK_UID, Uid } from "../lib/protocol/uid.ts";
import { requestSession, updateRate } from "../lib/s2uc/requests.ts";
import { dial, EchoServer, readExactly, writeAll } from "./echo.ts";
import { assertOk, Gateway, scistream } from "./harness.ts";
import { Pair } from "./pair.ts";

Deno.test("--udp beside TCP through two gateways, on each listener's port", async () => {
  await using pair = await Pair.start("S2DS", "--wan=plain", "--udp");
  await using echo = new EchoServer();
  const stream = await pair.connect(echo.endpoint);
  const app = Deno.listenDatagram({
    transport: "udp",
    hostname: "127.0.0.1",
    port: echo.endpoint.port,
  });
  const answering = (async () => {
    for await (const [data, from] of app) await app.send(data.toReversed(), from);
  })();
  const { host, port } = Endpoint.parse(stream.cons[0] as string);
  const to = { transport: "udp" as const, hostname: host, port };
  const sources = [0, 1].map(() =>
    Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 })
  );
  for (const [i, source] of sources.entries()) {
    const sent = new Uint8Array([i, 2, 3]);
    await source.send(sent, to);
    assertEquals((await source.receive(new Uint8Array(9)))[0], sent.toReversed());
  }
  // TCP on the same port.
  using conn = await dial(stream.cons[0] as string);
  await writeAll(conn, new Uint8Array([7]));
  assertEquals(await readExactly(conn, 1), new Uint8Array([7]));
  for (const socket of [app, ...sources]) socket.close();
  await answering;
});

Deno.test("--rate-policy enforce: a session is held to its rate, an update changes it, check-status tells", async () => {
  await using gateway = await Gateway.start("--wan=plain", "--rate-policy=enforce");
  await using echo = new EchoServer();
  const at = ["--remote_ip=127.0.0.1", `--receiver_ports=${echo.endpoint.port}`, "--num_conn=1"];
  const { out } = assertOk(
    await scistream(["s2uc", "inbound-request", ...gateway.flags, ...at, "--rate=500"]),
  );
  const uid = out.split("\n")[1]?.split(" ")[0] as string;
  const listener = /^listeners: "(.*)"$/m.exec(out)?.[1] as string;
  const status = async () =>
    assertOk(await scistream(["s2uc", "check-status", uid, ...gateway.flags])).out;
  assertMatch(await status(), /rate 500 kB\/s enforced/);
  using conn = await dial(listener);
  const chunk = new Uint8Array(100_000);
  const begun = performance.now();
  // What 500 kB/s lets through in two seconds, there and back at once.
  const writing = (async () => {
    for (let i = 0; i < 10; i++) await writeAll(conn, chunk);
  })();
  await readExactly(conn, 1_000_000);
  await writing;
  const rate = 1_000_000 / (performance.now() - begun);
  assert(rate < 550, `${rate} kB/s`);
  assertOk(await scistream(["s2uc", "update", uid, "--rate=0", ...gateway.flags]));
  const much = 40_000_000;
  const more = (async () => {
    for (let i = 0; i < much; i += chunk.length) await writeAll(conn, chunk);
  })();
  // At 500 kB/s it would take 80 s.
  await readExactly(conn, much);
  await more;
  assert(!/rate 500/.test(await status()));
});

Deno.test("--capacity: what does not fit is refused, and fits once another is released", async () => {
  await using pair = await Pair.start("S2DS", "--capacity=1000");
  const { client } = pair.prod;
  const signal = new AbortController();
  const first = Uid.random();
  const ask = (uid: Uid, rate: number) =>
    requestSession(client, { uid, role: "PROD", numConn: 1, rate }, signal.signal);
  const pending = ask(first, 800).catch((error) => error);
  await pair.prod.gateway.process.line(/reserved → waiting/, "err");
  const error = await assertRejects(() => ask(Uid.random(), 10_000), ScistreamError);
  assertEquals(error.code, "NO_RESOURCE");
  await client.call("release", { uid: first.reveal(), force: true });
  await pending;
  const second = ask(Uid.random(), 1000).catch((error) => error);
  await pair.prod.gateway.process.line(/reserved → waiting[\s\S]*reserved → waiting/, "err");
  await assertRejects(() => updateRate(client, Uid.random(), 5), ScistreamError, "does not exist");
  signal.abort();
  await second;
});

Deno.test("--allow, of the gateway and of a session: others are refused and counted", async () => {
  for (
    const [of, asked] of [["10.0.0.0/8", []], ["127.0.0.0/8", ["--allow=10.0.0.0/8"]]] as const
  ) {
    await using gateway = await Gateway.start("--wan=plain", `--allow=${of}`);
    await using echo = new EchoServer();
    const at = ["--remote_ip=127.0.0.1", `--receiver_ports=${echo.endpoint.port}`, "--num_conn=1"];
    const { out } = assertOk(
      await scistream(["s2uc", "inbound-request", ...gateway.flags, ...at, ...asked]),
    );
    const uid = out.split("\n")[1]?.split(" ")[0] as string;
    await assertRejects(async () => {
      using conn = await dial(/^listeners: "(.*)"$/m.exec(out)?.[1] as string);
      await conn.read(new Uint8Array(1));
    }, Deno.errors.ConnectionReset);
    const status = assertOk(await scistream(["s2uc", "check-status", uid, ...gateway.flags]));
    assertMatch(status.out, /0 open, 1 total, 1 refused/);
    assertMatch(
      status.out,
      /last error \ds ago: 127.0.0.1 is not in the networks .*\(10.0.0.0\/8\)/,
    );
    await gateway.process.line(/127.0.0.1 is not in the networks that are allowed/, "err");
  }
});

Deno.test("one gateway encrypts and the other does not: check-status and the logs of both say so", async () => {
  for (const [prodWan, consWan] of [["tls", "plain"], ["plain", "tls"]] as const) {
    await using prod = await Gateway.start(`--wan=${prodWan}`);
    await using cons = await Gateway.start(`--wan=${consWan}`);
    await using echo = new EchoServer();
    const { out } = assertOk(
      await scistream([
        ...["s2uc", "connect", `--prod-s2cs=${prod.address}`, `--cons-s2cs=${cons.address}`],
        ...[`--server-cert=${prod.cert}`, `--cons-server-cert=${cons.cert}`],
        ...["--remote_ip=127.0.0.1", `--receiver_ports=${echo.endpoint.port}`],
      ]),
    );
    const uid = out.split("\n")[0] as string;
    using conn = await dial(/^listeners: "(.*)"$/m.exec(out)?.[1] as string);
    await writeAll(conn, new Uint8Array(100));
    try {
      while (await conn.read(new Uint8Array(100)) !== null);
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
    }
    for (const [gateway, wan] of [[prod, prodWan], [cons, consWan]] as const) {
      // The log tells when it was noticed.
      await gateway.process.line(wan === "tls" ? /WARN .*--wan plain/ : /WARN .*--wan tls/, "err");
      const { out } = assertOk(await scistream(["s2uc", "check-status", uid, ...gateway.flags]));
      assertMatch(out, wan === "tls" ? /--wan plain/ : /--wan tls/);
    }
  }
});

Deno.test("a weak uid works, and check-status and the log say what it is worth", async () => {
  await using pair = await Pair.start("S2DS");
  await using echo = new EchoServer();
  const stream = await pair.connect(echo.endpoint, 1, Uid.parse(MOCK_UID));
  using conn = await dial(stream.cons[0] as string);
  await writeAll(conn, new Uint8Array([7]));
  assertEquals(await readExactly(conn, 1), new Uint8Array([7]));
  const { gateway } = pair.prod;
  const { out } = assertOk(await scistream(["s2uc", "check-status", MOCK_UID, ...gateway.flags]));
  assertMatch(out, /warning: weak secret: its uid is the well-known one of --mock/);
  await gateway.process.line(/WARN .*weak secret/, "err");
});

Deno.test("settings that cannot be had are refused with one line", async () => {
  for (
    const [flags, code, message] of [
      [["--udp"], 2, /^error: --udp forwards datagrams in the clear.*add --wan plain/],
      [["--wan=none"], 2, /"none" is neither tls nor plain/],
      [["--allow=10.0.0.0/40"], 2, /network "10.0.0.0\/40" is not ADDRESS\/LENGTH/],
      [["--rate-policy=strict"], 2, /"strict" is none of ignore, reserve, enforce/],
      [
        ["--type=HaproxySubprocess", "--rate-policy=enforce"],
        2,
        /HaproxySubprocess cannot; use S2DS/,
      ],
      [["--type=HaproxySubprocess", "--allow=10.0.0.0/8"], 2, /HaproxySubprocess cannot; use S2DS/],
    ] as const
  ) {
    const ended = await scistream(["s2cs", "--ssl=False", "--port=0", ...flags]);
    assertMatch(ended.err.trim(), message);
    assertEquals([ended.code, ended.out], [code, ""]);
  }
  const nothing = await scistream(["s2uc", "update", Uid.random().reveal()]);
  assertMatch(nothing.err, /^error: nothing to change; give --targets or --rate\n$/);
  assertEquals(nothing.code, 2);
});
