// s2ds with one session of a file, as whole processes: what a container runs.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { randomBytes } from "node:crypto";
import type { ChannelStatus } from "../lib/s2ds/data_server.ts";
import { numbersOf } from "../lib/s2ds/forwarder/numbers.ts";
import { channelSecret } from "../lib/s2ds/forwarder/secret.ts";
import { dial, echoes, EchoServer, EofServer, readAll, readExactly, writeAll } from "./echo.ts";
import {
  assertOk,
  eventually,
  freePort,
  Gateway,
  Running,
  SCISTREAM,
  scistream,
  tempFolder,
} from "./harness.ts";

/** A session that forwards as it comes, from a free port. */
function plain(...targets: string[]) {
  return {
    role: "CONS",
    listeners: [`127.0.0.1:${freePort()}`],
    ...targets.length > 0 ? { targets } : {},
    allow: [] as string[][],
    rate: 0,
    udp: false,
  };
}

/** An s2ds, and the files that it was given. */
class Alone implements AsyncDisposable {
  readonly #folder = tempFolder();
  readonly process: Running;

  constructor(session: unknown, secret?: string, ...flags: string[]) {
    const { path } = this.#folder;
    Deno.writeTextFileSync(`${path}/session`, JSON.stringify(session));
    const words = ["s2ds", `--session=${path}/session`, ...flags];
    if (secret !== undefined) {
      Deno.writeTextFileSync(`${path}/secret`, secret, { mode: 0o400 });
      words.push(`--secret-file=${path}/secret`);
    }
    this.process = new Running([...SCISTREAM, ...words]);
  }

  /** One that listens. */
  static async start(session: unknown, secret?: string, ...flags: string[]): Promise<Alone> {
    const alone = new Alone(session, secret, ...flags);
    await alone.process.line(/^listening\n/);
    return alone;
  }

  /** What its log told last of its first channels. */
  get numbers(): ChannelStatus[] {
    return lastNumbers(this.process.out);
  }

  async [Symbol.asyncDispose]() {
    await this.process.stop("SIGKILL");
    this.#folder[Symbol.dispose]();
  }
}

function lastNumbers(log: string): ChannelStatus[] {
  const told = log.split("\n").map(numbersOf).filter((each) => each?.first === 0);
  return told.at(-1)?.channels ?? [];
}

Deno.test("alone: bytes are exact both ways, each end on its own, and the log has their numbers", async () => {
  await using echo = new EchoServer();
  await using eof = new EofServer();
  const session = {
    ...plain(String(echo.endpoint), String(eof.endpoint)),
    listeners: [`127.0.0.1:${freePort()}`, `127.0.0.1:${freePort()}`],
  };
  await using alone = await Alone.start(session);
  const [first, second] = session.listeners as [string, string];
  const sent = randomBytes(10_000_019);
  {
    using conn = await dial(first);
    const writing = writeAll(conn, sent).then(() => conn.closeWrite());
    assert(sent.equals(await readAll(conn)));
    await writing;
  }
  {
    using conn = await dial(second);
    await writeAll(conn, sent.subarray(0, 1234));
    await conn.closeWrite();
    assertEquals(new TextDecoder().decode(await readAll(conn)), "1234 bytes");
  }
  const told = ({ connectionsTotal, bytesToTarget, bytesFromTarget }: ChannelStatus) => [
    connectionsTotal,
    bytesToTarget,
    bytesFromTarget,
  ];
  const expected = [[1, sent.length, sent.length], [1, 1234, 10]];
  // While it runs, and at the end.
  await eventually(
    "its log has what was sent",
    () => JSON.stringify(alone.numbers.map(told)) === JSON.stringify(expected),
  );
  assertOk(await alone.process.stop());
  assertEquals(alone.numbers.map(told), expected);
  assertEquals(alone.numbers[0]?.connectionsOpen, 0);
  assertEquals(alone.process.err, "");
});

Deno.test("alone: the producer's or the consumer's side of an encrypted session with a gateway", async () => {
  await using echo = new EchoServer();
  await using gateway = await Gateway.start("--wan=tls");
  const secretOf = (uid: string) => `${channelSecret(uid).toHex()}\n`;
  const json = async (...words: string[]) =>
    assertOk(await scistream(["s2uc", ...words, "--json", ...gateway.flags])).out.trim().split("\n")
      .map((line) => JSON.parse(line)).at(-1);
  const at = ["--remote_ip=127.0.0.1", `--receiver_ports=${echo.endpoint.port}`, "--num_conn=1"];
  const inbound = await json("inbound-request", ...at);
  {
    const session = plain(inbound.listeners[0]);
    await using cons = await Alone.start(session, secretOf(inbound.uid));
    assert(await echoes(session.listeners[0] as string, "through both"));
    // Another session's.
    const other = plain(inbound.listeners[0]);
    await using stranger = await Alone.start(other, secretOf("another uid"));
    assert(!await echoes(other.listeners[0] as string));
    const ended = await Promise.all([cons, stranger].map(({ process }) => process.stop()));
    for (const { out, err } of ended) {
      assert(!`${out}${err}`.includes(secretOf(inbound.uid).trim()));
    }
    assertEquals(cons.numbers[0]?.bytesToTarget, 12);
    assertMatch(stranger.numbers[0]?.lastError ?? "", /^target 127/);
  }
  const prod = { ...plain(String(echo.endpoint)), role: "PROD" };
  const uid = crypto.randomUUID();
  await using alone = await Alone.start(prod, secretOf(uid));
  const outbound = await json("outbound-request", uid, prod.listeners[0] as string, "--num_conn=1");
  assert(await echoes(outbound.listeners[0], "through both"));
  // Not the other gateway.
  assert(!await echoes(prod.listeners[0] as string));
  assertOk(await alone.process.stop());
  assertEquals(alone.numbers[0]?.connectionsRefused, 1);
});

Deno.test("alone: without a target, or from where it is not allowed, whoever connects is turned away", async () => {
  await using echo = new EchoServer();
  for (
    const [session, refused, why] of [
      [plain(), 0, /^there is no target yet$/],
      [
        { ...plain(String(echo.endpoint)), allow: [["127.0.0.0/8"], ["10.0.0.0/8"]] },
        1,
        /^127.0.0.1 is not in the networks that are allowed/,
      ],
    ] as const
  ) {
    await using alone = await Alone.start(session);
    // While or after it connects.
    await assertRejects(async () => {
      using conn = await dial(session.listeners[0] as string);
      await conn.read(new Uint8Array(1));
    }, Deno.errors.ConnectionReset);
    assertOk(await alone.process.stop());
    const [channel] = alone.numbers;
    assertMatch(channel?.lastError ?? "", why);
    assertEquals([channel?.connectionsRefused, channel?.connectionsFailed], [refused, 1 - refused]);
  }
});

Deno.test("alone: it is held to its rate", async () => {
  await using echo = new EchoServer();
  const session = { ...plain(String(echo.endpoint)), rate: 200_000 };
  await using alone = await Alone.start(session);
  using conn = await dial(session.listeners[0] as string);
  const writing = writeAll(conn, new Uint8Array(500_000));
  await readExactly(conn, 500_000);
  await writing;
  await eventually("its log has a speed", () => (alone.numbers[0]?.bytesToTarget ?? 0) > 400_000);
  const speeds = alone.process.out.split("\n").map((line) =>
    numbersOf(line)?.channels[0]?.speedToTarget ?? 0
  );
  assert(Math.max(...speeds) > 0 && Math.max(...speeds) < 260_000, String(speeds));
});

Deno.test("alone: UDP beside TCP", async () => {
  const app = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const source = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  const session = { ...plain(`127.0.0.1:${(app.addr as Deno.NetAddr).port}`), udp: true };
  await using alone = await Alone.start(session);
  const [hostname, port] = (session.listeners[0] as string).split(":") as [string, string];
  await source.send(new Uint8Array([1, 2]), { transport: "udp", hostname, port: Number(port) });
  const [data, from] = await app.receive(new Uint8Array(9));
  await app.send(data.toReversed(), from);
  assertEquals((await source.receive(new Uint8Array(9)))[0], new Uint8Array([2, 1]));
  assertOk(await alone.process.stop());
  assertEquals([alone.numbers[0]?.bytesToTarget, alone.numbers[0]?.bytesFromTarget], [2, 2]);
  for (const socket of [app, source]) socket.close();
});

Deno.test("alone: a port that a stranger has, and an address of another machine, are told", async () => {
  using stranger = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const taken = `127.0.0.1:${stranger.addr.port}`;
  const both = { ...plain(), listeners: [...plain().listeners, taken] };
  await using alone = new Alone(both);
  assertEquals(await alone.process.ended, {
    code: 1,
    out: "",
    err: `cannot listen on ${taken}: Address already in use\n`,
  });
  await using elsewhere = new Alone({ ...plain(), listeners: ["192.0.2.1:5100"] });
  const { code, err } = await elsewhere.process.ended;
  assertEquals(err, "cannot listen on 192.0.2.1:5100: it may be no address of this machine\n");
  assertEquals(code, 1);
});

Deno.test("alone: files and flags that are wrong are refused with one line", async () => {
  using folder = tempFolder();
  const session = `${folder.path}/session`;
  const secret = `${folder.path}/secret`;
  const good = JSON.stringify(plain());
  const hex = "5ec2e7".repeat(11).slice(0, 64);
  const cases: [string, string | undefined, string[], RegExp][] = [
    ["", undefined, [], /session \S+: not JSON/],
    [good.slice(0, -1), undefined, [], /not JSON/],
    ["[]", undefined, [], /not an object/],
    [good.replace("{", '{"secret":"x",'), undefined, [], /unknown key "secret"; there are role,/],
    [good.replace("CONS", "BOTH"), undefined, [], /role "BOTH" is neither PROD nor CONS/],
    [" ".repeat((1 << 20) + 1), undefined, [], /longer than 1048576 bytes/],
    [good, hex.slice(2), [], /secret \S+: secret is not 32 bytes in hex/],
    [good, hex.repeat(2), [], /longer than 100 bytes/],
    [good.replace("false", "true"), hex, [], /UDP is not encrypted/],
    [good, undefined, [`--secret-file=${folder.path}/none`], /No such file or directory/],
    [good, undefined, ["--control-socket=x"], /both --session and --control-socket/],
    [good, undefined, ["--max-memory=0"], /not a whole number from 1/],
  ];
  for (const [text, key, flags, message] of cases) {
    Deno.writeTextFileSync(session, text);
    if (key) Deno.writeTextFileSync(secret, key);
    const words = [`--session=${session}`, ...key ? [`--secret-file=${secret}`] : [], ...flags];
    const { code, out, err } = await scistream(["s2ds", ...words]);
    assertMatch(err, /^error: [^\n]*\n$/);
    assertMatch(err, message);
    assert(!err.includes(hex.slice(2, 20)), err);
    assertEquals([code, out], [2, ""]);
  }
  const alone = await scistream(["s2ds", `--secret-file=${secret}`], { stdin: "" });
  assertMatch(alone.err, /^error: --secret-file is for --session FILE\n$/);
});

Deno.test("alone: told to stop, it lets connections finish, or cuts them when told again", async () => {
  await using echo = new EchoServer();
  const session = plain(String(echo.endpoint));
  const [at = ""] = session.listeners;
  for (const again of [false, true]) {
    await using alone = await Alone.start(session);
    using conn = await dial(at);
    await writeAll(conn, new Uint8Array([1]));
    await readExactly(conn, 1);
    alone.process.child.kill("SIGTERM");
    await eventually(
      "it listens no more",
      () => dial(at).then((other) => void other.close(), () => true),
    );
    if (again) {
      alone.process.child.kill("SIGINT");
      await assertRejects(() => conn.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
    } else {
      await writeAll(conn, new Uint8Array([2]));
      assertEquals(await readExactly(conn, 1), new Uint8Array([2]));
      await conn.closeWrite();
      assertEquals(await conn.read(new Uint8Array(1)), null);
    }
    assertOk(await alone.process.ended);
    assertEquals(alone.numbers[0]?.bytesToTarget, again ? 1 : 2);
  }
});

Deno.test("alone: killed, its port is free and what its log told before can be read", async () => {
  await using echo = new EchoServer();
  const session = plain(String(echo.endpoint));
  await using alone = await Alone.start(session);
  using conn = await dial(session.listeners[0] as string);
  await writeAll(conn, new Uint8Array(5));
  await readExactly(conn, 5);
  await eventually("its log has it", () => alone.numbers[0]?.bytesToTarget === 5);
  assertEquals(alone.numbers[0]?.peers, ["127.0.0.1"]);
  await alone.process.stop("SIGKILL");
  assertEquals(await conn.read(new Uint8Array(1)).catch(() => null), null);
  assertEquals(lastNumbers(`${alone.process.out}{"first":0,"chan`)[0]?.bytesToTarget, 5);
  await using _next = await Alone.start(session);
  assert(await echoes(session.listeners[0] as string));
});
