import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type Daemon, Engine, Podman, whyNoEngine, whyNoPodman } from "./engine.ts";
import { echoes, EchoServer } from "./echo.ts";
import {
  assertOk,
  eventually,
  freePort,
  leftOutIf,
  processes,
  run,
  Running,
  tempFolder,
} from "./harness.ts";
import { PREFIX } from "./topology.ts";

const docker = leftOutIf(whyNoEngine());
const podman = leftOutIf(whyNoPodman());

/** How a container runs here: with as little as a gateway would let it have. */
const RESTRICTIONS = [
  "--network=host",
  "--read-only",
  "--cap-drop=ALL",
  "--security-opt=no-new-privileges",
  "--tmpfs=/tmp",
  // haproxy's master takes up SIGTERM only after its worker listens, and until then it goes
  // unheeded, as with any first process: an engine that stops would wait 10 s for it.
  "--stop-signal=SIGKILL",
];
const NOBODY = 65534;

type Program = "haproxy" | "nginx" | "stunnel";

const FOLDERS: Record<Program, string> = {
  haproxy: "/usr/local/etc/haproxy",
  nginx: "/etc/nginx",
  stunnel: "/etc/stunnel",
};

/** Trivial configurations that forward a port to a port. */
const FILES: Record<Program, (from: number, to: number) => Record<string, string>> = {
  haproxy: (from, to) => ({
    "haproxy.cfg": `defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen one
  bind 127.0.0.1:${from}
  server one 127.0.0.1:${to}
`,
  }),
  // Root without capabilities cannot become another user, which nginx's workers otherwise do.
  nginx: (from, to) => ({
    "nginx.conf": `include /usr/share/nginx/modules-available/mod-stream.conf*;
user root;
worker_processes 1;
error_log stderr;
pid /tmp/nginx.pid;
events {}
stream { server { listen 127.0.0.1:${from}; proxy_pass 127.0.0.1:${to}; } }
`,
  }),
  // Both ends in one: what enters goes through TLS to itself.
  stunnel: (from, to) => {
    const between = freePort();
    return {
      "stunnel.conf": `foreground = yes
pid =
syslog = no
ciphers = PSK
PSKsecrets = /etc/stunnel/stunnel.key
[in]
client = yes
accept = 127.0.0.1:${from}
connect = 127.0.0.1:${between}
[out]
accept = 127.0.0.1:${between}
connect = 127.0.0.1:${to}
`,
      "stunnel.key": `client1:${"0123456789abcdef".repeat(2)}\n`,
    };
  },
};

/** A container of one of the images that forwards to an echo server, or to nobody. */
interface Started {
  name: string;
  /** Where it listens. */
  address: string;
}

async function start(
  daemon: Daemon,
  folder: string,
  program: Program,
  { to = 9, user = NOBODY, flags = [] as string[] } = {},
): Promise<Started> {
  const port = freePort();
  const name = `${program}-${port}`;
  const files = `${folder}/${name}`;
  Deno.mkdirSync(files);
  for (const [file, text] of Object.entries(FILES[program](port, to))) {
    Deno.writeTextFileSync(`${files}/${file}`, text, { mode: 0o600 });
    Deno.chownSync(`${files}/${file}`, user, user);
  }
  const mount = `--volume=${files}:${FOLDERS[program]}:ro`;
  const who = `--user=${user}:${user}`;
  const options = [`--name=${name}`, ...RESTRICTIONS, who, mount, ...flags];
  await daemon.docker("run", "--detach", ...options, program);
  return { name, address: `127.0.0.1:${port}` };
}

/** Waits until a connection goes through; shows what the container said where none does. */
async function forwards(daemon: Daemon, { name, address }: Started): Promise<void> {
  try {
    await eventually(`${name} forwards`, () => echoes(address));
  } catch (error) {
    const { out, err } = await daemon.docker("logs", name);
    throw new Error(`${(error as Error).message}\n${out}${err}`);
  }
}

/** What is on the machine of an engine: processes and mounts that name its folder, the folder, control groups. */
async function traces({ folder }: { folder: string }, ids: string[] = []): Promise<string[]> {
  const mounts = Deno.readTextFileSync("/proc/self/mounts").split("\n");
  const groups = await Promise.all(
    ids.map(async (id) => assertOk(await run(["find", "/sys/fs/cgroup", "-path", `*${id}*`])).out),
  );
  const folders = [...Deno.readDirSync(folder.replace(/[^/]*$/, ""))].map(({ name }) => name);
  return [
    ...processes().filter(({ args }) => args.includes(folder)).map(({ args }) => args),
    ...mounts.filter((mount) => mount.includes(folder)),
    ...groups.flatMap((text) => text.split("\n").filter(Boolean)),
    ...folders.filter((name) => folder.endsWith(`/${name}`)),
  ];
}

async function ids(daemon: Daemon): Promise<string[]> {
  const { out } = await daemon.docker("ps", "--all", "--quiet", "--no-trunc");
  return out.split("\n").filter(Boolean);
}

Deno.test(
  `engine: the three images forward, as nobody and as root${docker.because}`,
  docker,
  async () => {
    await using echo = new EchoServer();
    using folder = tempFolder();
    await using engine = await Engine.start();
    await engine.images();
    const { out } = await engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}");
    assertEquals(out.trim().split("\n").sort(), [
      "haproxy:latest",
      "nginx:latest",
      "stunnel:latest",
    ]);
    for (const user of [NOBODY, 0]) {
      for (const program of ["haproxy", "nginx", "stunnel"] as const) {
        const started = await start(engine, folder.path, program, { to: echo.endpoint.port, user });
        await forwards(engine, started);
      }
    }
  },
);

Deno.test(`engine: names of containers, also by label${docker.because}`, docker, async () => {
  using folder = tempFolder();
  await using engine = await Engine.start();
  assertEquals(await engine.containers(), []);
  await engine.images();
  const one = await start(engine, folder.path, "haproxy", { flags: ["--label=job=1"] });
  const other = await start(engine, folder.path, "haproxy");
  assertEquals(await engine.containers(), [one.name, other.name].sort());
  assertEquals(await engine.containers("job"), [one.name]);
  assertEquals(await engine.containers("job=2"), []);
  await assertRejects(() => engine.docker("inspect", "nobody"), Error, "nobody");
});

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  const name = `engine: restart brings its containers back after ${signal}${docker.because}`;
  Deno.test(name, docker, async () => {
    await using echo = new EchoServer();
    using folder = tempFolder();
    await using engine = await Engine.start();
    await engine.images();
    const to = echo.endpoint.port;
    const always = await start(engine, folder.path, "haproxy", { to, flags: ["--restart=always"] });
    const once = await start(engine, folder.path, "haproxy", { to });
    await forwards(engine, always);
    await forwards(engine, once);

    await engine.stop(signal);
    await assertRejects(() => engine.docker("version"));
    // A killed engine leaves its containers alone.
    assertEquals(await echoes(always.address), signal === "SIGKILL");

    await engine.restart();
    await forwards(engine, always);
    assertEquals(await engine.containers(), [always.name, once.name].sort());
    assertEquals(await echoes(once.address), false);
  });
}

Deno.test(`engine: its host network is the namespace's${docker.because}`, docker, async () => {
  const namespace = `${PREFIX}-engine`;
  assertOk(await run(["ip", "netns", "add", namespace]));
  try {
    using folder = tempFolder();
    await using engine = await Engine.start({ namespace });
    await engine.images();
    assertOk(await run(["ip", "-n", namespace, "link", "set", "lo", "up"]));
    const { address } = await start(engine, folder.path, "haproxy");
    const listening = ["ss", "-Hltn"];
    await eventually("haproxy listens there", async () => {
      const { out } = assertOk(await run(["ip", "netns", "exec", namespace, ...listening]));
      return out.includes(address);
    });
    assertEquals(assertOk(await run(listening)).out.includes(address), false);
  } finally {
    assertOk(await run(["ip", "netns", "delete", namespace]));
  }
});

Deno.test(
  `engine: disposal leaves nothing, whatever its state${docker.because}`,
  docker,
  async (t) => {
    const states: Record<string, (engine: Engine, container: string) => Promise<unknown>> = {
      "with a container that runs": () => Promise.resolve(),
      "with a paused container": (engine, container) => engine.docker("pause", container),
      "stopped": (engine) => engine.stop(),
      "killed, with a container that runs": (engine) => engine.stop("SIGKILL"),
      "killed, with a paused container": async (engine, container) => {
        await engine.docker("pause", container);
        await engine.stop("SIGKILL");
      },
      "hanging": (engine) => Promise.resolve(engine.process.child.kill("SIGSTOP")),
    };
    for (const [state, bring] of Object.entries(states)) {
      await t.step(state, async () => {
        using folder = tempFolder();
        const engine = await Engine.start();
        let containers: string[] = [];
        let sockets: string[] = [];
        try {
          await engine.images();
          const { name } = await start(engine, folder.path, "haproxy", {
            flags: ["--restart=always"],
          });
          containers = await ids(engine);
          sockets = await shimSockets(engine);
          assertEquals(sockets.filter(exists).length, 1);
          assert((await traces(engine, containers)).length > 5);
          await bring(engine, name);
        } finally {
          await engine[Symbol.asyncDispose]();
        }
        assertEquals(await traces(engine, containers), []);
        assertEquals(sockets.filter(exists), []);
      });
    }
  },
);

/** The sockets of its containers' shims, which are not in its folder. */
async function shimSockets({ folder }: Engine): Promise<string[]> {
  const files = [
    "find",
    `${folder}/containerd/state`,
    "-name",
    "address",
    "-exec",
    "cat",
    "{}",
    ";",
  ];
  const { out } = assertOk(await run(files));
  return out.split("unix://").slice(1);
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

Deno.test(`engine: one that does not start leaves nothing${docker.because}`, docker, async () => {
  const before = engineFolders();
  await assertRejects(() => Engine.start({ namespace: `${PREFIX}-nowhere` }), Error, "nowhere");
  assertEquals(engineFolders(), before);
});

function engineFolders(): string[] {
  const parents = ["/tmp", Deno.env.get("TMPDIR") ?? "/tmp"];
  return parents.flatMap((parent) => [...Deno.readDirSync(parent)].map(({ name }) => name))
    .filter((name) => name.startsWith(`${PREFIX}-engine-`));
}

Deno.test(
  `engine: what a killed test process left goes at the next start${docker.because}`,
  docker,
  async () => {
    using folder = tempFolder();
    Deno.mkdirSync(`${folder.path}/haproxy`);
    const config = FILES.haproxy(freePort(), 9)["haproxy.cfg"] as string;
    Deno.writeTextFileSync(`${folder.path}/haproxy/haproxy.cfg`, config);
    const program = `import { Engine } from "${import.meta.resolve("./engine.ts")}";
    const engine = await Engine.start();
    await engine.images();
    const files = "${folder.path}/haproxy:${FOLDERS.haproxy}:ro";
    const flags = ["--network=host", "--restart=always", "-v", files];
    await engine.docker("run", "-d", ...flags, "haproxy");
    const { out } = await engine.docker("ps", "-q", "--no-trunc");
    console.log("made", engine.folder, out.trim());`;
    const options = new URL("../deno.json", import.meta.url).pathname;
    const killed = new Running([Deno.execPath(), "run", "-A", "--config", options, "-"], {
      stdin: program,
    });
    const [, left, id] = await killed.line(/made (\S+) (\S+)/);
    await killed.stop("SIGKILL");
    assert((await traces({ folder: left as string }, [id as string])).length > 3);

    await using _engine = await Engine.start();
    assertEquals(await traces({ folder: left as string }, [id as string]), []);
  },
);

Deno.test(`podman: haproxy forwards under its Docker API${podman.because}`, podman, async () => {
  await using echo = new EchoServer();
  using folder = tempFolder();
  const engine = await Podman.start();
  let containers: string[] = [];
  try {
    await engine.images();
    const { out } = await engine.docker("version", "--format", "{{json .Server}}");
    assertStringIncludes(out, "Podman");
    const started = await start(engine, folder.path, "haproxy", { to: echo.endpoint.port });
    await forwards(engine, started);
    assertEquals(await engine.containers(), [started.name]);
    containers = await ids(engine);

    await engine.stop();
    await forwards(engine, started);
    await engine.restart();
    assertEquals(await engine.containers(), [started.name]);
  } finally {
    await engine[Symbol.asyncDispose]();
  }
  assertEquals(await traces(engine, containers), []);
});
