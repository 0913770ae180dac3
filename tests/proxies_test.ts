// Every data server type, with the real proxies: what a session of it does for its applications, and
// what it leaves.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { TYPE_NAMES } from "../lib/s2ds/types.ts";
import {
  accepts,
  dial,
  echoes,
  EchoServer,
  EofServer,
  exactBothWays,
  halfClosed,
  NamedServer,
  readAll,
  readExactly,
  writeAll,
} from "./echo.ts";
import { Engine, Podman, whyNoEngine, whyNoPodman } from "./engine.ts";
import { eventually, leftOutIf } from "./harness.ts";
import { Pair, type Stream } from "./pair.ts";

const IN_CONTAINERS = ["Haproxy", "Nginx", "Stunnel", "DockerSock"];
// Janus' have tests of their own.
const TYPES = TYPE_NAMES.filter((type) => type !== "Mock" && type !== "Janus");
const { ignore, because } = leftOutIf(whyNoEngine());

/** One engine for all these tests: both gateways of a pair are on it. */
let engine: Engine | undefined;
async function pairOf(type: string, ...more: string[]): Promise<Pair> {
  const flags = ["--drain-timeout=20", ...more];
  if (IN_CONTAINERS.includes(type)) flags.push(`--docker-socket=${engine?.socket}`);
  return await Pair.start(type, ...flags);
}

Deno.test.beforeAll(async () => {
  if (ignore) return;
  engine = await Engine.start();
  await engine.images();
});
Deno.test.afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
});

for (const type of TYPES) {
  Deno.test({
    name:
      `${type}: two sessions at once, exact both ways, half-closed, moved, drained, gone${because}`,
    ignore,
    async fn() {
      await using one = new EchoServer();
      await using other = new EofServer();
      await using third = new NamedServer("third");
      await using pair = await pairOf(type);
      const [a, b] = await Promise.all([
        pair.connect(one.endpoint, 2),
        pair.connect(other.endpoint, 2),
      ]);
      await Promise.all([
        ...a.cons.map((listener) => exactBothWays(listener)),
        ...b.cons.map((listener) => halfClosed(listener)),
      ]);

      using established = await dial(a.cons[0] as string);
      await says(established, "before");
      await pair.update(a, third.endpoint);
      assertEquals(await read(a.cons[0] as string), "third");
      assertEquals(await read(a.cons[1] as string), "third");
      await says(established, "after");
      // The other session is not touched.
      await halfClosed(b.cons[1] as string);

      const released = pair.release(a);
      await eventually("no new connections", async () => !await accepts(a.cons[0] as string));
      // Again and again: a drain that does not wait cuts it a few milliseconds later.
      for (let i = 0; i < 1_000; i++) await says(established, "while draining");
      established.close();
      await released;
      await halfClosed(b.cons[0] as string);
      await pair.release(b);
      await assertNothingLeft(pair, [a, b]);
    },
  });
}

Deno.test({
  name: `every type: IPv6 between the gateways and to the application${because}`,
  ignore,
  async fn() {
    await using echo = new EchoServer("::1");
    await Promise.all(TYPES.map(async (type) => {
      await using pair = await pairOf(type, "--wan-ip=::1");
      const stream = await pair.connect(echo.endpoint);
      assertMatch(stream.prod[0] as string, /^\[::1\]:\d+$/);
      await exactBothWays(stream.cons[0] as string);
      const other = new EofServer("::1");
      await pair.update(stream, other.endpoint);
      await halfClosed(stream.cons[0] as string);
      await other[Symbol.asyncDispose]();
    }));
  },
});

Deno.test({
  name: `a container may do what it must, and its name and labels tell no secret${because}`,
  ignore,
  async fn() {
    await using echo = new EchoServer();
    await using pair = await pairOf("Nginx");
    const { uid } = await pair.connect(echo.endpoint);
    const gateway = pair.prod.gateway.address;
    const [name] = await engine?.containers(`org.scistream.gateway=${gateway}`) ?? [];
    assertMatch(name as string, new RegExp(`^scistream-nginx-${uid.session}`));
    const { out } = await engine?.docker("inspect", name as string) ?? { out: "[]" };
    const [{ Config, HostConfig, Mounts, State }] = JSON.parse(out);
    assertEquals(Config.Labels, {
      "org.scistream.gateway": gateway,
      "org.scistream.session": uid.hash,
      "org.scistream.type": "Nginx",
    });
    assert(!out.includes(uid.reveal()));
    assertEquals(Config.User, "65534:65534");
    assertEquals(HostConfig.NetworkMode, "host");
    assertEquals(HostConfig.ReadonlyRootfs, true);
    assertEquals(HostConfig.CapDrop, ["ALL"]);
    assertEquals(HostConfig.SecurityOpt, ["no-new-privileges"]);
    assertEquals(HostConfig.Memory, 2048 * 2 ** 20);
    assertEquals(HostConfig.PidsLimit, 128);
    assertEquals(HostConfig.RestartPolicy.Name, "always");
    assertEquals(HostConfig.LogConfig.Config, { "max-file": "2", "max-size": "1m" });
    const mounted = Mounts.map(({ Destination, RW }: Record<string, unknown>) => [Destination, RW]);
    assertEquals(mounted.sort(), [["/etc/nginx", false], ["/run/scistream", true]]);
    // As the kernel sees it: nobody, without capabilities, and never to have any.
    const status = Deno.readTextFileSync(`/proc/${State.Pid}/status`);
    assertMatch(status, /^Uid:\t65534\t65534\t65534\t65534$/m);
    assertMatch(status, /^CapBnd:\t0{16}$/m);
    assertMatch(status, /^NoNewPrivs:\t1$/m);
  },
});

{
  const { ignore, because } = leftOutIf(whyNoPodman());
  Deno.test({
    name:
      `podman's Docker-compatible socket: the same, and a container that ends is started again${because}`,
    ignore,
    async fn() {
      await using podman = await Podman.start();
      await podman.images();
      await using echo = new EchoServer();
      await using eof = new EofServer();
      for (const type of ["Haproxy", "Nginx", "Stunnel"]) {
        await using pair = await Pair.start(type, `--docker-socket=${podman.socket}`);
        const stream = await pair.connect(echo.endpoint, 2);
        await Promise.all(stream.cons.map(exactBothWays));
        const [name] = await podman.containers();
        // Podman's own kill waits for a container that runs again at once.
        const { out } = await podman.docker("inspect", "-f", "{{.State.Pid}}", name as string);
        Deno.kill(Number(out), "SIGKILL");
        await eventually(
          `${type} says so`,
          async () =>
            (await pair.status(stream)).some(({ reason }) => /recovered; .*ended/.test(reason)),
        );
        await eventually(`${type} serves again`, () => echoes(stream.cons[0] as string));
        await pair.update(stream, eof.endpoint);
        await Promise.all(stream.cons.map(halfClosed));
        await pair.release(stream);
        assertEquals(await pair.left(), []);
        assertEquals(await podman.containers(), []);
      }
    },
  });
}

/** Nothing of the sessions: no file, no process, no container, no listener. */
async function assertNothingLeft(pair: Pair, streams: Stream[]): Promise<void> {
  assertEquals(await pair.left(), []);
  assertEquals(await engine?.containers(), []);
  for (const { prod, cons } of streams) {
    for (const at of [...prod, ...cons]) assert(!await accepts(at), `${at} still accepts`);
  }
}

async function says(conn: Deno.Conn, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  await writeAll(conn, bytes);
  assertEquals(new TextDecoder().decode(await readExactly(conn, bytes.length)), text);
}

async function read(listener: string): Promise<string> {
  using conn = await dial(listener);
  return new TextDecoder().decode(await readAll(conn));
}
