// Sessions whose containers run on an engine of another host, which is reached over TCP under TLS. The
// host is a network namespace: nothing of it is on this one's addresses, and no file is sent but over TCP.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ScistreamError } from "../lib/protocol/errors.ts";
import {
  accepts,
  dial,
  echoes,
  EchoServer,
  EofServer,
  exactBothWays,
  halfClosed,
  nameAt,
  NamedServer,
  roundTrip,
} from "./echo.ts";
import { Engine, whyNoEngine } from "./engine.ts";
import {
  assertOk,
  eventually,
  Gateway,
  leftOutIf,
  portRange,
  run,
  Running,
  scistream,
} from "./harness.ts";
import { Pair, type Stream } from "./pair.ts";
import { PREFIX, unavailable } from "./topology.ts";

const TYPES = ["Haproxy", "Nginx", "Stunnel", "DockerSock"];
const { ignore, because } = leftOutIf(whyNoEngine() ?? unavailable());
const NAMESPACE = `${PREFIX}-elsewhere`;
// Of the network for measurements (RFC 2544): other tests of this machine have other parts of it.
const NET = `198.18.${Deno.pid % 256}`;
const HERE = `${NET}.1`;
const THERE = `${NET}.2`;

let engine: Engine;

Deno.test.beforeAll(async () => {
  if (ignore) return;
  const [here, there] = [`sci${Deno.pid}`, "wan"];
  for (
    const words of [
      ["netns", "add", NAMESPACE],
      ["link", "add", here, "type", "veth", "peer", "name", there, "netns", NAMESPACE],
      ["address", "add", `${HERE}/30`, "dev", here],
      ["link", "set", here, "up"],
      ["-n", NAMESPACE, "address", "add", `${THERE}/30`, "dev", there],
      ["-n", NAMESPACE, "link", "set", there, "up"],
      ["-n", NAMESPACE, "link", "set", "lo", "up"],
    ]
  ) assertOk(await run(["ip", ...words]));
  engine = await Engine.start({ namespace: NAMESPACE, tcp: THERE });
  await engine.images();
});
Deno.test.afterAll(async () => {
  if (ignore) return;
  await engine?.[Symbol.asyncDispose]();
  assertOk(await run(["ip", "netns", "delete", NAMESPACE]));
});

const FLAGS = [`--lan-ip=${THERE}`, `--wan-ip=${THERE}`, "--drain-timeout=20"];

async function gatewayOf(type: string, ...more: string[]): Promise<Gateway> {
  const gateway = await Gateway.prepare();
  gateway.env = engine.env;
  await gateway.launch(0, `--type=${type}`, ...FLAGS, ...more);
  return gateway;
}

async function pairOf(type: string, ...more: string[]): Promise<Pair> {
  const [prod, cons] = await Promise.all([gatewayOf(type, ...more), gatewayOf(type, ...more)]);
  return Pair.of(prod, cons);
}

for (const type of TYPES) {
  Deno.test({
    name:
      `${type} elsewhere: exact both ways, half-closed, moved while a connection goes on, drained, gone${because}`,
    ignore,
    async fn() {
      await using echo = new EchoServer(HERE);
      await using eof = new EofServer(HERE);
      await using third = new NamedServer("third", HERE);
      await using pair = await pairOf(type);
      const [a, b] = await Promise.all([
        pair.connect(echo.endpoint, 2),
        pair.connect(eof.endpoint),
      ]);
      for (const at of [...a.prod, ...a.cons]) assert(at.startsWith(`${THERE}:`), at);
      await Promise.all([...a.cons.map(exactBothWays), halfClosed(b.cons[0] as string)]);

      using established = await dial(a.cons[0] as string);
      await roundTrip(established, "before");
      await pair.update(a, third.endpoint);
      assertEquals(await Promise.all(a.cons.map(nameAt)), ["third", "third"]);
      await roundTrip(established, "after");
      await halfClosed(b.cons[0] as string);
      await assertSecret(pair, a);

      const released = pair.release(a);
      await eventually("no new connections", async () => !await accepts(a.cons[0] as string));
      for (let i = 0; i < 1_000; i++) await roundTrip(established, "while draining");
      established.close();
      await released;
      await halfClosed(b.cons[0] as string);
      await pair.release(b);
      await assertNothingLeft(pair, [a, b]);
    },
  });
}

Deno.test({
  name:
    `DockerSock elsewhere: a container that is killed or removed comes back, as it was${because}`,
  ignore,
  async fn() {
    await using echo = new EchoServer(HERE);
    await using other = new NamedServer("other", HERE);
    await using pair = await pairOf("DockerSock");
    const stream = await pair.connect(echo.endpoint);
    await pair.update(stream, other.endpoint);
    const label = `org.scistream.gateway=${pair.prod.gateway.address}`;
    for (const how of [["kill", "--signal=KILL"], ["rm", "--force"]]) {
      const [name] = await engine.containers(label);
      await engine.docker(...how, name as string);
      await eventually("it is told", async () => {
        const [status] = await pair.status(stream);
        return /recovered; .*(ended|removed)/.test(status?.reason ?? "");
      });
      await eventually(
        "it serves again",
        async () => await nameAt(stream.cons[0] as string).catch(() => "") === "other",
      );
    }
    await pair.release(stream);
    await assertNothingLeft(pair, [stream]);
  },
});

Deno.test({
  name: `DockerSock elsewhere: s2cs is restarted, and streams go on with it${because}`,
  ignore,
  async fn() {
    await using echo = new EchoServer(HERE);
    await using other = new NamedServer("other", HERE);
    await using pair = await pairOf("DockerSock", "--keep-sessions");
    const stream = await pair.connect(echo.endpoint);
    using established = await dial(stream.cons[0] as string);
    await roundTrip(established, "before");
    const before = await engine.containers();
    for (const { gateway } of [pair.prod, pair.cons]) {
      await gateway.process.stop();
      await roundTrip(established, "meanwhile");
      const port = Number(gateway.address.split(":")[1]);
      await gateway.launch(port, "--type=DockerSock", "--keep-sessions", ...FLAGS);
    }
    await roundTrip(established, "after");
    assertEquals(await engine.containers(), before);
    await pair.update(stream, other.endpoint);
    assertEquals(await nameAt(stream.cons[0] as string), "other");
    established.close();
    await pair.release(stream);
    await assertNothingLeft(pair, [stream]);
  },
});

Deno.test({
  name: `elsewhere: a port that somebody there has is left out${because}`,
  ignore,
  async fn() {
    await using echo = new EchoServer(HERE);
    await Promise.all(["Haproxy", "Nginx", "Stunnel"].map(async (type) => {
      const { first, text } = portRange(4);
      const listen =
        "import socket,sys; s=socket.create_server(('', int(sys.argv[1]))); print('taken', flush=True); s.accept()";
      const stranger = new Running([
        ...["ip", "netns", "exec", NAMESPACE, "python3", "-c", listen, String(first)],
      ]);
      try {
        await stranger.line(/taken/);
        await using gateway = await gatewayOf(type, `--port-range=${text}`);
        await using cons = await Gateway.start("--type=Mock");
        const pair = Pair.of(gateway, cons);
        const stream = await pair.connect(echo.endpoint, 2);
        const ports = stream.prod.map((at) => Number(at.split(":")[1]));
        assert(!ports.includes(first), `${type}: ${ports}`);
        await pair.release(stream);
        for (const { client } of [pair.prod, pair.cons]) client.close();
      } finally {
        await stranger.stop();
      }
    }));
    assertEquals(await engine.containers(), []);
  },
});

Deno.test({
  name: `elsewhere: an engine that goes and comes is told, and its sessions with it${because}`,
  ignore,
  async fn() {
    await using echo = new EchoServer(HERE);
    await using pair = await pairOf("DockerSock");
    const stream = await pair.connect(echo.endpoint);
    await engine.stop();
    await eventually(
      "it is told",
      async () =>
        /Docker Engine is (gone|not reachable)/.test((await pair.status(stream))[0]?.reason ?? ""),
    );
    const refused = await assertRejects(() => pair.connect(echo.endpoint), ScistreamError);
    assertMatch(refused.message, /not reachable at .*tcp:.*nobody listens there/);
    await engine.restart();
    await eventually("it serves again", () => echoes(stream.cons[0] as string));
    await eventually(
      "it is up",
      async () => (await pair.status(stream)).every(({ reason }) => /recovered/.test(reason)),
    );
    await pair.release(stream);
    assertEquals(await engine.containers(), []);
  },
});

Deno.test({
  name: `elsewhere: a host that is cut off is told, and streams are back with it${because}`,
  ignore,
  async fn() {
    await using echo = new EchoServer(HERE);
    await using pair = await pairOf("DockerSock", "--reconcile-interval=1");
    const stream = await pair.connect(echo.endpoint);
    const link = (state: string) =>
      run(["ip", "-n", NAMESPACE, "link", "set", "wan", state]).then(assertOk);
    await link("down");
    const told = await eventually("it is told", async () => {
      const [status] = await pair.status(stream);
      return status?.reason.includes("Docker Engine") && status.reason;
    });
    assertMatch(String(told), /no answer within 10 s|no route to it|is gone/);
    await link("up");
    await eventually(
      "it is back",
      async () => (await pair.status(stream)).every(({ reason }) => /recovered/.test(reason)),
    );
    assert(await echoes(stream.cons[0] as string));
    await pair.release(stream);
    await assertNothingLeft(pair, [stream]);
  },
});

Deno.test({
  name: `elsewhere: s2cs wants to know where its sessions listen, and doctor looks there${because}`,
  ignore,
  async fn() {
    const ended = await scistream(["s2cs", "--type=Haproxy", "--ssl=False", "--port=0"], {
      env: engine.env,
    });
    assertEquals(ended.code, 2);
    assertMatch(ended.err, /listen on the host of tcp:\S+: name its address .*--lan-ip.*--wan-ip/);
    const { out } = await scistream(
      ["doctor", "--type=Haproxy", "--ssl=False", "--port=0", ...FLAGS.slice(0, 2)],
      { env: engine.env },
    );
    assertMatch(out, new RegExp(`^ok +docker +version .* at tcp://${THERE}:\\d+$`, "m"));
    assertMatch(out, /^ok +image +haproxy:latest/m);
    assertMatch(out, /^- +port-range +sessions listen on the Docker Engine's host$/m);
    assertMatch(out, /^ok +listener/m);
  },
});

/** Nobody but the proxy reads its files; nothing of this host is mounted. */
async function assertSecret(pair: Pair, { uid }: Stream): Promise<void> {
  const label = `org.scistream.gateway=${pair.prod.gateway.address}`;
  const names = await engine.containers(label);
  const name = names.find((each) => each.includes(uid.session)) as string;
  const { out } = await engine.docker("inspect", name);
  assert(!out.includes(uid.reveal()));
  const [{ Config, HostConfig, Mounts }] = JSON.parse(out);
  assertEquals(Config.User, "65534:65534");
  assertEquals(HostConfig.ReadonlyRootfs, true);
  const mounted = Mounts.map(({ Type }: { Type: string }) => Type);
  assertEquals(mounted, ["volume"]);
  for (const { name, mode, uid } of filesOf(Mounts[0].Source)) {
    assertEquals([name, mode, uid], [name, 0o400, 65534]);
  }
  assertEquals(Deno.statSync(Mounts[0].Source).uid, 0);
}

function filesOf(folder: string) {
  return [...Deno.readDirSync(folder)].filter(({ isFile }) => isFile).map(({ name }) => {
    const { mode, uid } = Deno.statSync(`${folder}/${name}`);
    return { name, mode: (mode ?? 0) & 0o7777, uid };
  });
}

/** Nothing of the sessions: no file, no container, no volume, no listener. */
async function assertNothingLeft(pair: Pair, streams: Stream[]): Promise<void> {
  assertEquals(await pair.left(), []);
  assertEquals(await engine.containers(), []);
  assertEquals((await engine.docker("volume", "ls", "--quiet")).out, "");
  for (const { prod, cons } of streams) {
    for (const at of [...prod, ...cons]) assert(!await accepts(at), `${at} still accepts`);
  }
}
