// What the calls make of answers, of other versions and engines, and of a socket that may not be used.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { type ContainerSpec, DockerEngine, DockerError } from "./engine.ts";
import { answer, fakeEngine, HEAD, Peer } from "./test_peer.ts";

const SPEC: ContainerSpec = {
  Image: "a/b:1",
  Cmd: [],
  Labels: {},
  Tty: false,
  HostConfig: {
    NetworkMode: "none",
    ReadonlyRootfs: true,
    Mounts: [],
    CapDrop: [],
    SecurityOpt: [],
    Memory: 0,
    MemorySwap: 0,
    PidsLimit: 0,
    LogConfig: { Type: "none", Config: {} },
    RestartPolicy: { Name: "no" },
  },
};

/** Every call whose answer is looked at. */
const CALLS: Record<string, (engine: DockerEngine) => Promise<unknown>> = {
  info: (engine) => engine.info(),
  create: (engine) => engine.create("x", SPEC),
  wait: (engine) => engine.wait("x"),
  inspect: (engine) => engine.inspect("x"),
  list: (engine) => engine.list({ labels: {} }),
  logs: (engine) => engine.logs("x"),
  inspectImage: (engine) => engine.inspectImage("x"),
  pull: (engine) => engine.pull("x", () => {}),
  events: async (engine) => {
    const stop = new AbortController();
    for await (const _ of await engine.events({ labels: {} }, stop.signal));
  },
};

Deno.test("engine: an answer of any other shape is a DockerError, for every call", async () => {
  const VALUES = [
    null,
    7,
    "x",
    [],
    {},
    [null],
    [[]],
    { Id: 7 },
    { Id: "x", State: null },
    {
      Id: "x",
      Name: "x",
      Image: "x",
      State: { Status: "x", Running: 1 },
    },
    { StatusCode: "0" },
    { error: 7 },
    { status: [] },
    { ServerVersion: "1", SecurityOptions: 7 },
    {
      Type: "container",
      Action: "die",
      Actor: { Attributes: { a: 1 } },
    },
    { Id: "x", RepoTags: [7] },
    [{ Id: "x", Names: "x" }],
    { __proto__: null },
  ];
  let now = "";
  await using peer = fakeEngine(() => answer(now));
  const engine = new DockerEngine({ socket: peer.socket });
  let refused = 0;
  for (const [name, call] of Object.entries(CALLS)) {
    for (const value of VALUES) {
      now = JSON.stringify(value);
      try {
        await call(engine);
      } catch (error) {
        assert(error instanceof DockerError, `${name} ${now}: ${error}`);
        refused++;
      }
    }
  }
  // What some calls may take: null for no containers, {} for an image without names, and the like.
  assert(refused > 0.7 * VALUES.length * Object.keys(CALLS).length, `${refused}`);
});

Deno.test("engine: lists and maps hold strings only, and may be null", async () => {
  let now: unknown;
  await using peer = fakeEngine(() => answer(JSON.stringify(now)));
  const engine = new DockerEngine({ socket: peer.socket });
  now = { Id: "x", RepoTags: [7] };
  await assertRejects(() => engine.inspectImage("x"), DockerError, 'no valid "RepoTags"');
  now = { Id: "x", RepoTags: null };
  assertEquals(await engine.inspectImage("x"), { Id: "x", RepoTags: [], RepoDigests: [] });
  now = [{ Id: "x", State: "running", Names: ["/n"], Labels: { a: 1 } }];
  await assertRejects(() => engine.list({ labels: {} }), DockerError, 'no valid "Labels"');
  now = [{ Id: "x", State: "running", Names: ["/n"], Labels: null }];
  assertEquals(await engine.list({ labels: {} }), [
    { Id: "x", Names: ["n"], Image: "", Labels: {}, State: "running" },
  ]);
});

Deno.test("engine: the version is asked again after a failure, and of an engine that was replaced", async () => {
  let version = "1.40";
  let next = answer("[]");
  await using peer = new Peer(async (caller) => {
    const line = await caller.request();
    await caller.say(
      line.includes("/_ping")
        ? `${HEAD}Api-Version: ${version}\r\nContent-Length: 0\r\n\r\n`
        : next,
    );
  });
  const engine = new DockerEngine({ socket: peer.socket });
  const list = () => engine.list({ labels: {} });
  await assertRejects(list, DockerError, 'has API "1.40", at least 1.41 is needed; update it');
  version = "1.99";
  assertEquals(await list(), []);
  assertEquals(await engine.version(), "1.47");
  version = "1.43";
  const message = "client version 1.47 is too new. Maximum supported API version is 1.43";
  next = answer(JSON.stringify({ message }), 400);
  await assertRejects(list, DockerError, "too new");
  next = answer("[]");
  assertEquals(await engine.version(), "1.43");
  assertEquals(await list(), []);
  version = "1.44";
  next = "";
  await assertRejects(list, DockerError, "went away");
  assertEquals(await engine.version(), "1.44");
});

Deno.test("engine: a removal that goes on already is waited for; another conflict is an error", async () => {
  let message = "removal of container x is already in progress";
  const lines: string[] = [];
  await using peer = fakeEngine((line) => {
    lines.push(line.split(" ", 2).join(" "));
    if (line.startsWith("DELETE")) return answer(JSON.stringify({ message }), 409);
    return answer('{"message":"No such container: x"}', 404);
  });
  const engine = new DockerEngine({ socket: peer.socket });
  await engine.remove("x", { force: true });
  assertEquals(lines, [
    "DELETE /v1.41/containers/x?force=true&v=true",
    "POST /v1.41/containers/x/wait?condition=removed",
  ]);
  message = "You cannot remove a running container";
  const error = await assertRejects(() => engine.remove("x", { force: false }), DockerError);
  assertEquals(error.httpStatus, 409);
});

Deno.test("engine: a container that podman could not kill, because it had just ended, is removed", async () => {
  const message = "cannot remove container x as it could not be stopped: sending SIGKILL to " +
    "container x: container state improper: stopped";
  let asked = 0;
  await using peer = fakeEngine(() =>
    asked++ === 0 ? answer(JSON.stringify({ message }), 500) : answer("", 204)
  );
  const engine = new DockerEngine({ socket: peer.socket });
  await engine.remove("x", { force: true });
  assertEquals(asked, 2);
});

Deno.test("engine: podman's 500 for a conflict counts as Docker's 409, and is told as it was", async () => {
  const message = 'the container name "x" is already in use by 123';
  await using peer = fakeEngine(() => answer(JSON.stringify({ message }), 500));
  const engine = new DockerEngine({ socket: peer.socket });
  const error = await assertRejects(() => engine.create("x", SPEC), DockerError);
  assertEquals(error.httpStatus, 409);
  assertMatch(error.message, /already in use by 123 \(HTTP status 500\)$/);
});

Deno.test("engine: wait has no time limit, stop has the container's beside its own", async () => {
  await using peer = fakeEngine(async () => {
    await new Promise((resolve) => setTimeout(resolve, 500));
    return answer('{"StatusCode":3}');
  });
  const engine = new DockerEngine({ socket: peer.socket, patienceMs: 250 });
  assertEquals(await engine.wait("x"), 3);
  await engine.stop("x", 1);
});

Deno.test("engine: an image that is not there says how to get it, as it is named", async () => {
  await using peer = fakeEngine(() => answer('{"message":"No such image"}', 404));
  const engine = new DockerEngine({ socket: peer.socket });
  const digest = `registry.example.org:5000/a/haproxy@sha256:${"0".repeat(64)}`;
  const error = await assertRejects(
    () => engine.create("x", { ...SPEC, Image: digest }),
    DockerError,
  );
  assertEquals([error.kind, error.httpStatus], ["no-image", 404]);
  assertMatch(error.message, /^no such image "registry\S+0{64}" on this engine; /);
  assert(error.message.includes(`docker pull ${digest}, scripts/images.sh`));
  const odd = { ...SPEC, Image: "x; rm -rf /\n" };
  const quoted = await assertRejects(() => engine.create("x", odd), DockerError);
  assertMatch(quoted.message, /docker pull "x; rm -rf \/\\n", /);
});

// Root may use any socket; setpriv takes that from it. Whoever else runs this owns the socket.
const root = Deno.uid() === 0;
const canDrop = !root ||
  new Deno.Command("sh", { args: ["-c", "command -v setpriv"], stdout: "null" }).outputSync()
    .success;

Deno.test({
  name: "engine: a socket that may not be used" + (canDrop ? "" : " (there is no setpriv)"),
  ignore: !canDrop,
  async fn() {
    await using peer = new Peer(() => Promise.resolve());
    await Deno.chmod(peer.socket, 0);
    const program = `import { DockerEngine } from ${
      JSON.stringify(new URL("engine.ts", import.meta.url).href)
    };
      const error = await new DockerEngine({ socket: Deno.args[0] }).info().catch((e) => e);
      console.log(JSON.stringify([error.kind, error.message]));`;
    const command = [Deno.execPath(), "eval", "--no-check", program, peer.socket];
    if (root) command.unshift("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--");
    const { stdout, stderr } = await new Deno.Command(command[0] as string, {
      args: command.slice(1),
    }).output();
    assertEquals(new TextDecoder().decode(stderr), "");
    const [kind, message] = JSON.parse(new TextDecoder().decode(stdout));
    assertEquals(kind, "permission");
    assertMatch(message, /^no permission to use the Docker Engine's socket ".*"; run s2cs as/);
  },
});
