// What goes wrong with real proxies and engines: the session says so, and recovers where it can.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { ScistreamError } from "../lib/protocol/errors.ts";
import { Uid } from "../lib/protocol/uid.ts";
import { dial, echoes, EchoServer, nameAt, NamedServer, readExactly, writeAll } from "./echo.ts";
import { Engine, whyNoEngine } from "./engine.ts";
import { eventually, leftOutIf, run, SCISTREAM, scistream } from "./harness.ts";
import { Pair, pidsBelow, type Stream } from "./pair.ts";

const IN_CONTAINERS = ["Haproxy", "Nginx", "Stunnel"];
const AS_PROCESSES = ["HaproxySubprocess", "NginxSubprocess", "StunnelSubprocess"];
const { ignore, because } = leftOutIf(whyNoEngine());

/** One engine for all these tests, each of which leaves it with its images and without containers. */
let shared: Engine | undefined;
function withEngine(test: (engine: Engine) => Promise<void>): Promise<void> {
  return test(shared as Engine);
}

Deno.test.beforeAll(async () => {
  if (ignore) return;
  shared = await Engine.start();
  await shared.images();
});
Deno.test.afterAll(async () => {
  await shared?.[Symbol.asyncDispose]();
});

/** What both sides' check-status tell of a session: state, reason, errors of channels. */
async function told(pair: Pair, stream: Stream): Promise<string> {
  const sides = await pair.status(stream);
  return sides.map(({ state, reason, channels }) =>
    [state, reason, ...channels.map((channel) => channel.last_error)].join(" ")
  ).join("\n");
}

for (const type of AS_PROCESSES) {
  Deno.test({
    name: `${type}: the proxy is killed, and is there again with its targets${because}`,
    ignore,
    async fn() {
      await using echo = new EchoServer();
      await using pair = await Pair.start(type);
      const stream = await pair.connect(echo.endpoint, 2);
      assert(await echoes(stream.cons[1] as string));
      for (const _again of [1, 2]) {
        const pids = await pidsBelow(pair.prod.gateway.stateDir);
        assert(pids.length > 0);
        // The master alone: its workers must not keep the ports.
        Deno.kill(Math.min(...pids), "SIGKILL");
        await eventually("there is another", async () => {
          const others = await pidsBelow(pair.prod.gateway.stateDir);
          return others.length >= pids.length && !others.some((pid) => pids.includes(pid));
        });
        await eventually(
          "it is told",
          async () =>
            /streaming recovered; before, .* was ended by SIGKILL/.test(await told(pair, stream)),
        );
        assert(await echoes(stream.cons[0] as string));
        assert(await echoes(stream.cons[1] as string));
      }
      await pair.release(stream);
      assertEquals(await pair.left(), []);
    },
  });

  Deno.test({
    name: `${type}: drained as soon as it listens, it does not take the drain timeout${because}`,
    ignore,
    async fn() {
      await using pair = await Pair.start(type, "--drain-timeout=3600");
      const { client, gateway } = pair.prod;
      for (let i = 1; i <= 10; i++) {
        const uid = Uid.random().reveal();
        const asked = client.call("req", { uid, role: "PROD", num_conn: 1 }).catch(() => {});
        await gateway.process.line(new RegExp(`(?:[^]*?reserved → waiting){${i}}`), "err");
        await client.call("release", { uid });
        await asked;
      }
      assertEquals(await pair.left(), []);
      assertEquals(/does not answer/.test(gateway.process.err), false);
    },
  });

  Deno.test({
    name:
      `${type}: killed, its port taken meanwhile: it says so, and comes when the port is free${because}`,
    ignore,
    async fn() {
      await using echo = new EchoServer();
      await using pair = await Pair.start(type);
      const stream = await pair.connect(echo.endpoint);
      const { port } = Endpoint.parse(stream.cons[0] as string);
      const { gateway } = pair.cons;
      // It would be faster than anybody.
      gateway.process.child.kill("SIGSTOP");
      for (const pid of await pidsBelow(gateway.stateDir)) Deno.kill(pid, "SIGKILL");
      const stranger = await eventually("the port is free", () => {
        try {
          return Deno.listen({ hostname: "127.0.0.1", port });
        } catch {
          return undefined;
        }
      }) as Deno.Listener;
      gateway.process.child.kill("SIGCONT");
      await eventually(
        "it is told",
        async () =>
          /failed .*(in use|could not bind|cannot bind|bind\(\))/i.test(await told(pair, stream)),
      );
      stranger.close();
      await eventually(
        "it is back",
        async () => /streaming recovered/.test(await told(pair, stream)),
      );
      assert(await echoes(stream.cons[0] as string));
    },
  });
}

Deno.test({
  name: `containers: killed, and removed by hand: they are there again${because}`,
  ignore,
  fn: () =>
    withEngine(async (engine) => {
      await using echo = new EchoServer();
      await Promise.all(IN_CONTAINERS.map(async (type) => {
        await using pair = await Pair.start(type, `--docker-socket=${engine.socket}`);
        const stream = await pair.connect(echo.endpoint, 2);
        const id = stream.uid.session;
        const names = await engine.containers(`org.scistream.gateway=${pair.prod.gateway.address}`);
        assertEquals(names.length, 1);
        assertMatch(names[0] as string, new RegExp(`^scistream-${type.toLowerCase()}-${id}`));
        for (
          const [how, said] of [
            [["kill", "--signal=KILL"], /ended with exit code 137/],
            [["rm", "--force"], /removed|ended/],
          ] as const
        ) {
          await engine.docker(...how, names[0] as string);
          await eventually(`${type} tells of ${how[0]}`, async () => {
            const text = await told(pair, stream);
            return /streaming recovered; before/.test(text) && said.test(text);
          });
          await eventually(`${type} serves again`, () => echoes(stream.cons[0] as string));
          assert(await echoes(stream.cons[1] as string));
        }
        await pair.release(stream);
        assertEquals(await pair.left(), []);
      }));
      assertEquals(await engine.containers(), []);
    }),
});

Deno.test({
  name:
    `an engine that stops and starts: told, back, and what was released meanwhile is gone${because}`,
  ignore,
  fn: () =>
    withEngine(async (engine) => {
      await using echo = new EchoServer();
      await using pair = await Pair.start("Haproxy", `--docker-socket=${engine.socket}`);
      const [kept, released] = await Promise.all([
        pair.connect(echo.endpoint),
        pair.connect(echo.endpoint),
      ]);
      await engine.stop();
      await eventually("it is told", async () =>
        /failed .*Docker Engine is (gone|not reachable)/.test(await told(pair, kept)));
      const refused = await assertRejects(() =>
        pair.connect(echo.endpoint), ScistreamError);
      assertMatch(refused.message, /the Docker Engine is not reachable at .*start it/);
      await assertRejects(() => pair.release(released), ScistreamError);
      await engine.restart();
      await eventually("it is back", async () => {
        const text = await told(pair, kept);
        return /^streaming recovered.*\nstreaming recovered/.test(text);
      });
      await eventually("it serves again", () => echoes(kept.cons[0] as string));
      await eventually("what was released is gone", async () =>
        (await engine.containers()).length === 2);
      await pair.release(kept);
      assertEquals(await engine.containers(), []);
    }),
});

Deno.test({
  name: `an image that is missing: at the start, and later${because}`,
  ignore,
  fn: () =>
    withEngine(async (engine) => {
      await using echo = new EchoServer();
      const flags = ["--ssl=False", "--port=0", `--docker-socket=${engine.socket}`];
      const folder = `--state-dir=${engine.folder}/state`;
      const ended = await scistream([
        ...["s2cs", "--type=Haproxy", "--image=no-such-image:1", ...flags, folder],
      ]);
      assertEquals(ended.code, 3);
      assertMatch(ended.err, /\[CONN_ERROR\] .*no-such-image:1.*(docker pull|--image)/);
      await using pair = await Pair.start("Haproxy", `--docker-socket=${engine.socket}`);
      await engine.docker("rmi", "haproxy:latest");
      const refused = await assertRejects(() => pair.connect(echo.endpoint), ScistreamError);
      assertMatch(refused.message, /no such image .*haproxy:latest/);
      assertEquals(await pair.left(), []);
      await engine.images();
    }),
});

Deno.test("an engine that is not there, and a proxy that is not installed", async () => {
  const common = ["--ssl=False", "--port=0"];
  await using pair = await Pair.start("Mock");
  const state = `--state-dir=${pair.prod.gateway.folder.path}/other`;
  const engine = await scistream([
    ...["s2cs", "--type=Nginx", "--docker-socket=/nonexistent/docker.sock", ...common, state],
  ]);
  assertEquals(engine.code, 3);
  assertMatch(engine.err, /not reachable at .*\/nonexistent\/docker\.sock.*start it/);
  const tcp = await scistream(["s2cs", "--type=Nginx", ...common, state], {
    env: { DOCKER_HOST: "tcp://10.0.0.1:2376" },
  });
  assertEquals(tcp.code, 2);
  assertMatch(tcp.err, /tcp:\/\/10\.0\.0\.1:2376/);
});

Deno.test({
  name: `a socket that may not be used is told apart from one that is not there${because}`,
  ignore,
  async fn() {
    await using pair = await Pair.start("Mock");
    const socket = `${pair.prod.gateway.folder.path}/docker.sock`;
    using _listener = Deno.listen({ transport: "unix", path: socket });
    await Deno.chmod(socket, 0o600);
    await Deno.chown(socket, 65534, 65534);
    const ended = await run([
      // Root, but without the right to pass by what permissions say.
      ...["setpriv", "--bounding-set=-all", "--inh-caps=-all", ...SCISTREAM, "s2cs"],
      ...["--type=Haproxy", `--docker-socket=${socket}`, "--ssl=False", "--port=0"],
      `--state-dir=${pair.prod.gateway.folder.path}/other`,
    ]);
    assertEquals(ended.code, 3);
    assertMatch(
      ended.err,
      /no permission to use .*docker\.sock.*as a member of the socket's group/,
    );
  },
});

Deno.test({
  name: `ports that are taken, of TCP and of UDP, are left out${because}`,
  ignore,
  async fn() {
    await using echo = new EchoServer();
    await using pair = await Pair.start("NginxSubprocess");
    const first = await pair.connect(echo.endpoint);
    const { port } = Endpoint.parse(first.cons[0] as string);
    using _tcp = Deno.listen({ hostname: "127.0.0.1", port: port + 1 });
    const udp = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: port + 2 });
    const second = await pair.connect(echo.endpoint);
    udp.close();
    assertEquals(second.cons, [`127.0.0.1:${port + 3}`]);
    assert(await echoes(second.cons[0] as string));
  },
});

Deno.test({
  name:
    `a disk that is full: the request is refused, an update too, and the stream goes on${because}`,
  ignore,
  async fn() {
    await using echo = new EchoServer();
    const folder = Deno.makeTempDirSync({ prefix: "scistream-full-" });
    const mount = await run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "none", folder]);
    assertEquals(mount.code, 0, mount.err);
    try {
      await using pair = await Pair.start("HaproxySubprocess", `--proxy-dir=${folder}`);
      const stream = await pair.connect(echo.endpoint);
      fill(`${folder}/full`);
      const refused = await assertRejects(() => pair.connect(echo.endpoint), ScistreamError);
      assertMatch(refused.message, /[Nn]o space left on device/);
      const update = await assertRejects(
        () => pair.update(stream, new Endpoint("127.0.0.1", 1)),
        ScistreamError,
      );
      assertMatch(update.message, /cannot write the proxy's configuration.*[Nn]o space left/);
      assert(await echoes(stream.cons[0] as string));
      Deno.removeSync(`${folder}/full`);
      const later = await pair.connect(echo.endpoint);
      assert(await echoes(later.cons[0] as string));
      await pair.release(stream);
      await pair.release(later);
    } finally {
      await run(["umount", folder]);
      Deno.removeSync(folder);
    }
  },
});

/** Writes until nothing more fits. */
function fill(path: string): void {
  using file = Deno.openSync(path, { create: true, write: true });
  for (const size of [4096, 1]) {
    try {
      for (;;) file.writeSync(new Uint8Array(size));
    } catch {
      // Full, as it should be.
    }
  }
}

for (const type of ["HaproxySubprocess", "NginxSubprocess"]) {
  Deno.test({
    name:
      `${type}: what its checker complains of reaches the user, and the stream goes on${because}`,
    ignore,
    async fn() {
      await using echo = new EchoServer();
      await using pair = await Pair.start(type);
      const stream = await pair.connect(echo.endpoint);
      const nowhere = new Endpoint("no-such-host.invalid", 80);
      const refused = await assertRejects(() => pair.update(stream, nowhere), ScistreamError);
      assertMatch(
        refused.message,
        /refuses its configuration: .*no-such-host\.invalid|refuses its configuration: .*ch0\/target/,
      );
      assert(await echoes(stream.cons[0] as string));
    },
  });
}

Deno.test({
  name: `s2cs is killed: streams go on, and its successor takes each proxy over${because}`,
  ignore,
  fn: () =>
    withEngine(async (engine) => {
      await using echo = new EchoServer();
      await using other = new NamedServer("other");
      for (const type of [...AS_PROCESSES, ...IN_CONTAINERS]) {
        const flags = [`--type=${type}`, `--docker-socket=${engine.socket}`];
        await using pair = await Pair.start(type, ...flags);
        const stream = await pair.connect(echo.endpoint);
        const established = await dial(stream.cons[0] as string);
        const { gateway } = pair.prod;
        await gateway.process.stop("SIGKILL");
        await writeAll(established, new Uint8Array([7]));
        assertEquals(await readExactly(established, 1), new Uint8Array([7]));
        assert(await echoes(stream.cons[0] as string), `${type} stopped with its s2cs`);
        await gateway.launch(Endpoint.parse(gateway.address).port, ...flags);
        await writeAll(established, new Uint8Array([8]));
        assertEquals(await readExactly(established, 1), new Uint8Array([8]), type);
        assert(await echoes(stream.cons[0] as string), `${type} does not serve any more`);
        assertMatch(await told(pair, stream), /^streaming taken up again/, type);
        await pair.update(stream, other.endpoint);
        const isOther = async () => await nameAt(stream.cons[0] as string) === "other";
        await eventually(`${type} leads elsewhere`, isOther);
        established.close();
        if (AS_PROCESSES.includes(type)) {
          // It is looked after as one of its own, and one that died meanwhile is replaced.
          const kill = async () => {
            const pids = await pidsBelow(gateway.stateDir);
            assert(pids.length > 0);
            for (const pid of pids) {
              try {
                Deno.kill(pid, "SIGKILL");
              } catch (error) {
                // A worker may have ended with its master, which was killed before it.
                if (!(error instanceof Deno.errors.NotFound)) throw error;
              }
            }
          };
          await kill();
          await eventually(`${type} is there again`, isOther);
          await gateway.process.stop("SIGKILL");
          await kill();
          await gateway.launch(Endpoint.parse(gateway.address).port, ...flags);
          assert(await isOther(), `${type} was not started`);
        }
        await pair.release(stream);
        assertEquals(await pair.left(), []);
        assertEquals(await engine.containers(), []);
      }
    }),
});
