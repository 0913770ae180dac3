// lib/docker against real engines: Docker's and podman's.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { type ContainerSpec, DockerEngine, DockerError } from "../lib/docker/engine.ts";
import { dockerHost } from "../lib/cli/docker_host.ts";
import { tar } from "../lib/docker/tar.ts";
import { Authority, type Identity, writeCertificates } from "./authority.ts";
import { type Daemon, Engine, Podman, whyNoEngine, whyNoPodman } from "./engine.ts";
import { eventually, freePort, leftOutIf } from "./harness.ts";

const LABEL = { "org.scistream.test": "lib/docker" };

/** A container of stunnel's image: the program ends at once with a complaint, or runs with a configuration. */
function spec(cmd: string[], restart: "no" | "always" = "no"): ContainerSpec {
  return {
    Image: "stunnel:latest",
    Cmd: cmd,
    Labels: LABEL,
    StopSignal: "SIGTERM",
    Tty: false,
    HostConfig: {
      NetworkMode: "host",
      ReadonlyRootfs: false,
      Mounts: [],
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      Memory: 64 << 20,
      MemorySwap: 64 << 20,
      PidsLimit: 64,
      LogConfig: { Type: "json-file", Config: {} },
      RestartPolicy: { Name: restart },
    },
  };
}

const CONFIG = "foreground = yes\nsyslog = no\npid =\n[x]\nclient = yes\n" +
  "accept = /tmp/accept\nconnect = /tmp/connect\n";

async function everyCall(
  daemon: Daemon,
  engine = new DockerEngine({ socket: daemon.socket }),
): Promise<void> {
  await daemon.images();
  assertMatch(await engine.version(), /^1\.4\d$/);
  assertMatch((await engine.info()).ServerVersion, /^\d+\./);

  const image = await engine.inspectImage("stunnel:latest");
  assertMatch(image?.Id ?? "", /^sha256:[0-9a-f]{64}$/);
  assert(await engine.inspectImage("docker.io/library/stunnel:latest"));
  assertEquals(await engine.inspectImage("no-such-image:1"), undefined);
  const missing = await assertRejects(
    () => engine.create("scistream-test", { ...spec([]), Image: "no-such-image:1" }),
    DockerError,
  );
  assertEquals(missing.kind, "no-image");
  assertMatch(missing.message, /docker pull no-such-image:1/);
  // No registry can be reached, so this is how a pull fails.
  await assertRejects(() => engine.pull("localhost:1/no/image:1", () => {}), DockerError, "pull");

  const stop = new AbortController();
  const events = await engine.events({ labels: LABEL, types: ["container"] }, stop.signal);
  const seen: string[] = [];
  const watching = (async () => {
    for await (const { Action, Actor } of events) {
      seen.push(Action);
      assertEquals(Actor.Attributes["org.scistream.test"], "lib/docker");
    }
  })();

  const id = await engine.create("scistream-test", spec(["stunnel", "/tmp/c.conf"]));
  await assertRejects(() => engine.create("scistream-test", spec([])), DockerError, "in use");
  await engine.putArchive(
    id,
    "/tmp",
    tar([{
      name: "c.conf",
      mode: 0o644,
      bytes: new TextEncoder().encode(CONFIG),
    }]),
  );
  const lines: string[] = [];
  await engine.start(id);
  await engine.start(id);
  await engine.followLogs(id, ({ text }) => lines.push(text), stop.signal);
  await eventually(
    "it runs",
    async () => (await engine.logText(id, 50)).includes("Configuration successful"),
  );
  const running = await engine.inspect("scistream-test");
  assertEquals([running?.Id, running?.Name, running?.State.Running], [id, "scistream-test", true]);
  assertEquals(running?.Config.Labels["org.scistream.test"], "lib/docker");
  const listed = await engine.list({ labels: LABEL });
  assertEquals(listed.map(({ Id, Names }) => [Id, Names]), [[id, ["scistream-test"]]]);
  assertEquals(await engine.list({ labels: { "org.scistream.test": "another" }, all: true }), []);
  await engine.kill(id, "SIGUSR2");
  await eventually(
    "its lines are followed",
    () => lines.some((line) => line.includes("Listed 0 active")),
  );
  assertEquals((await engine.logs(id, { tail: 1 })).length, 1);

  const ended = engine.wait(id);
  await engine.stop(id, 10);
  assertEquals(typeof await ended, "number");
  await engine.stop(id, 10);
  assertEquals((await engine.inspect(id))?.State.Running, false);
  await assertRejects(() => engine.kill(id, "SIGTERM"), DockerError);
  assertEquals((await engine.list({ labels: LABEL })).length, 0);
  assertEquals((await engine.list({ labels: LABEL, all: true })).length, 1);
  await engine.start(id);
  await assertRejects(() => engine.remove(id, { force: false }), DockerError);
  await Promise.all([engine.remove(id, { force: true }), engine.remove(id, { force: true })]);
  await engine.remove(id, { force: true });
  assertEquals(await engine.inspect(id), undefined);
  await eventually(
    "events tell its whole life",
    () => ["create", "start", "die", "destroy"].every((action) => seen.includes(action)),
  );

  const failing = await engine.create("scistream-test", spec(["stunnel", "/no/such/file"]));
  await engine.start(failing);
  assertEquals(await engine.wait(failing), 1);
  const complaint = await engine.logs(failing);
  assert(complaint.some(({ stream, text }) => stream === "stderr" && /no\/such\/file/.test(text)));
  await engine.remove(failing, { force: true });

  stop.abort(new Error("enough"));
  await assertRejects(() => watching, Error, "enough");
  assertEquals(await daemon.containers(), []);
}

for (
  const [name, daemon, why] of [
    ["Docker Engine", Engine, whyNoEngine()],
    ["podman", Podman, whyNoPodman()],
  ] as const
) {
  const { ignore, because } = leftOutIf(why);
  Deno.test({
    name: `lib/docker: every call on a real ${name}${because}`,
    ignore,
    async fn() {
      await using running = await daemon.start();
      await everyCall(running);
    },
  });
}

{
  const { ignore, because } = leftOutIf(whyNoEngine());
  Deno.test({
    name: `lib/docker: every call over TCP under TLS${because}`,
    ignore,
    async fn() {
      await using running = await Engine.start({ tcp: "127.0.0.1" });
      await everyCall(running, new DockerEngine({ host: await hostOf(running.env) }));
    },
  });

  Deno.test({
    name: `lib/docker: over TCP, whoever is not who they should be is told apart${because}`,
    ignore,
    async fn() {
      await using running = await Engine.start({ tcp: "127.0.0.1" });
      const { env } = running;
      const fails = async (other: Record<string, string>) => {
        const engine = new DockerEngine({ host: await hostOf({ ...env, ...other }) });
        const { kind, message } = await assertRejects(() => engine.info(), DockerError);
        return `${kind}: ${message}`;
      };
      const files = (name: string) => `${running.folder}/${name}`;
      const stranger = await Authority.create("stranger");
      const known = await running.client("known");
      const of = (ca: string, identity: Identity) =>
        writeCertificates(files(crypto.randomUUID()), ca, identity);
      const ca = Deno.readTextFileSync(`${known}/ca.pem`);
      const [cert, key] = ["cert", "key"].map((name) =>
        Deno.readTextFileSync(`${known}/${name}.pem`)
      ) as [string, string];

      const untrusted = of(stranger.cert, { cert, key });
      assertMatch(
        await fails({ DOCKER_CERT_PATH: untrusted }),
        /^unreachable: .*of no authority in \S+\/ca\.pem/,
      );
      const unknown = of(ca, await stranger.issue({ use: "client" }));
      assertMatch(
        await fails({ DOCKER_CERT_PATH: unknown }),
        /^permission: .* refuses the certificate \S+\/cert\.pem .*--tlscacert/,
      );
      assertMatch(
        await fails({ DOCKER_CERT_PATH: await running.client("late", -1) }),
        /^permission: .* refuses the certificate/,
      );
      const name = env.DOCKER_HOST?.replace("127.0.0.1", "localhost") ?? "";
      assertMatch(await fails({ DOCKER_HOST: name }), /^unreachable: .*of another name/);
      // Without TLS, and without a certificate.
      const bare = { DOCKER_TLS_VERIFY: "", DOCKER_CERT_PATH: "" };
      assertMatch(await fails(bare), /^engine: .*HTTP request to an HTTPS server/);
      using plain = Deno.listen({ hostname: "127.0.0.1" });
      const answered = plain.accept().then(async (conn) => {
        await conn.write(new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"));
        conn.close();
      });
      assertMatch(
        await fails({ DOCKER_HOST: `tcp://127.0.0.1:${plain.addr.port}` }),
        /^unreachable: what answers at .* does not speak TLS/,
      );
      await answered;
      assertMatch(
        await fails({ DOCKER_HOST: `tcp://127.0.0.1:${freePort()}` }),
        /^unreachable: .*refused, nobody listens there; look whether dockerd/,
      );
      await running.certify(["127.0.0.1"], -1);
      await running.restart();
      assertMatch(
        await fails({}),
        /^unreachable: .* certificate that is of no authority .* or has expired/,
      );
    },
  });
}

function hostOf(env: Record<string, string>) {
  return dockerHost(undefined, (name) => env[name], () => {});
}
