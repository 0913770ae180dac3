// Swarm mode's calls against managers that misbehave; tests/swarm_api_test.ts has real ones.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { swarmFilters } from "./query.ts";
import { DockerError, type ServiceSpec, Swarm } from "./swarm.ts";
import { answer, fakeEngine, HEAD } from "./test_peer.ts";

const SPEC = { Name: "x" } as ServiceSpec;

/** Every call whose answer is looked at. */
const CALLS: Record<string, (swarm: Swarm) => Promise<unknown>> = {
  info: (swarm) => swarm.info(),
  nodes: (swarm) => swarm.nodes(),
  createService: (swarm) => swarm.createService(SPEC),
  service: (swarm) => swarm.service("x"),
  services: (swarm) => swarm.services({}),
  tasks: (swarm) => swarm.tasks({}),
  createConfig: (swarm) => swarm.createConfig("x", {}, new Uint8Array()),
  configs: (swarm) => swarm.configs({}),
  createSecret: (swarm) => swarm.createSecret("x", {}, new Uint8Array()),
  secrets: (swarm) => swarm.secrets({}),
};

Deno.test("swarm: an answer of any other shape is a DockerError, for every call", async () => {
  const VALUES = [
    7,
    "x",
    {},
    [null],
    [[]],
    { ID: 7 },
    { Swarm: null },
    { Swarm: [] },
    { Swarm: { LocalNodeState: 7 } },
    { Swarm: { LocalNodeState: "active", Cluster: 7 } },
    [{ ID: "x" }],
    [{ ID: "x", Spec: {}, Status: {} }],
    [{ ID: "x", Spec: { Labels: { a: 1 } }, Status: { State: "x" } }],
    [{ ID: "x", Spec: { Name: "x", Labels: [] }, Version: { Index: "1" } }],
    { ID: 7, Spec: { Name: "x" }, Version: { Index: 1 } },
    { ID: {}, Spec: { Name: "x", Mode: { Replicated: { Replicas: "1" } } }, Version: { Index: 1 } },
    [{ ID: "x", DesiredState: "x", Status: { State: "x", ContainerStatus: { ExitCode: "0" } } }],
    [{ ID: "x", DesiredState: "x", Status: { State: "x", ContainerStatus: [] } }],
    { __proto__: null },
  ];
  let now = "";
  await using peer = fakeEngine(() => answer(now));
  const swarm = new Swarm({ host: { kind: "unix", path: peer.socket } });
  for (const [name, call] of Object.entries(CALLS)) {
    for (const value of VALUES) {
      now = JSON.stringify(value);
      const error = await call(swarm).then(() => undefined, (error) => error);
      assert(error instanceof DockerError && error.kind === "engine", `${name} ${now}: ${error}`);
    }
  }
});

Deno.test("swarm: what an answer may leave out", async () => {
  let now: unknown = null;
  await using peer = fakeEngine(() => answer(JSON.stringify(now)));
  const swarm = new Swarm({ host: { kind: "unix", path: peer.socket } });
  for (const call of [swarm.nodes(), swarm.services({}), swarm.tasks({}), swarm.configs({})]) {
    assertEquals(await call, []);
  }
  // A node that has only just joined, a task that no node has taken, a service without replicas.
  const role = { Role: "worker", Availability: "active" };
  now = [{ ID: "a", Spec: role, Status: { State: "unknown" } }];
  assertEquals(await swarm.nodes(), [{
    ID: "a",
    Spec: { Labels: {}, ...role },
    Description: { Hostname: "", Architecture: "" },
    Status: { State: "unknown", Message: "", Addr: "" },
    ManagerStatus: undefined,
  }]);
  now = [{ ID: "t", DesiredState: "running", Status: { State: "new" } }];
  const [task] = await swarm.tasks({});
  assertEquals([task?.NodeID, task?.Slot, task?.Status.ContainerStatus], ["", 0, undefined]);
  now = { ID: "s", Version: { Index: 3 }, Spec: { Name: "n", Mode: { Global: {} } } };
  const service = await swarm.service("s");
  assertEquals([service?.Version.Index, service?.Spec.Mode.Replicated.Replicas], [3, 0]);
  assertEquals(service?.RawSpec, { Name: "n", Mode: { Global: {} } });
});

Deno.test("swarm: errors are told apart by their words, also where the status is another's", async () => {
  const LEADER =
    "rpc error: code = Unknown desc = The swarm does not have a leader. It's possible …";
  let now = { status: 200, message: "" };
  await using peer = fakeEngine(() => answer(JSON.stringify({ message: now.message }), now.status));
  const swarm = new Swarm({ host: { kind: "unix", path: peer.socket } });
  for (
    const [kind, status, message] of [
      ["no-leader", 500, LEADER],
      ["no-leader", 404, `could not find the corresponding predefined swarm network: ${LEADER}`],
      ["no-leader", 500, "rpc error: code = DeadlineExceeded desc = context deadline exceeded"],
      ["no-manager", 503, "This node is not a swarm manager. Worker nodes can't be used to …"],
      ["out-of-sequence", 500, "rpc error: code = Unknown desc = update out of sequence"],
      ["in-use", 400, "config 'x' is in use by the following services: a, b"],
      ["engine", 409, "name conflicts with an existing object: service x already exists"],
    ] as const
  ) {
    now = { status, message };
    for (
      const call of [
        () => swarm.createService(SPEC),
        () => swarm.updateService("x", 1, SPEC),
        () => swarm.service("x"),
        () => swarm.removeService("x"),
        () => swarm.removeConfig("x"),
        () => swarm.removeSecret("x"),
      ]
    ) {
      const error = await assertRejects(call, DockerError);
      assertEquals([error.kind, error.httpStatus, error.code], [kind, status, "CONN_ERROR"]);
    }
  }
  now = { status: 404, message: "service x not found" };
  assertEquals(await swarm.service("x"), undefined);
  await swarm.removeService("x");
  await swarm.removeConfig("x");
});

Deno.test("swarm: a list beyond all bounds is asked for in parts", async () => {
  await using peer = fakeEngine(async (line, caller) => {
    if (line.includes(encodeURIComponent('"name":["a"]'))) return answer("[]");
    await caller.say(`${HEAD}\r\n[`);
    for (;;) await caller.say(" ".repeat(1 << 20));
  });
  const swarm = new Swarm({ host: { kind: "unix", path: peer.socket } });
  const error = await assertRejects(() => swarm.tasks({}), DockerError, "over 16777216 bytes");
  assertEquals(error.kind, "too-long");
  assertEquals(await swarm.tasks({ namePrefix: "a" }), []);
});

Deno.test("swarm: what goes out", async () => {
  const lines: string[] = [];
  await using peer = fakeEngine((line) => {
    lines.push(line.replace(" HTTP/1.1", ""));
    return answer('{"ID":"x"}');
  });
  const swarm = new Swarm({ host: { kind: "unix", path: peer.socket } });
  await swarm.updateService("a/b", 7, SPEC);
  await swarm.removeConfig("a?b");
  await assertRejects(() => swarm.removeService(".."), Error, "names no");
  assertEquals(lines, [
    "POST /v1.41/services/a%2Fb/update?version=7",
    "DELETE /v1.41/configs/a%3Fb",
  ]);
  assertEquals(swarmFilters({}), "{}");
  assertEquals(
    swarmFilters({ labels: { a: "b=c" }, namePrefix: "n" }),
    '{"label":["a=b=c"],"name":["n"]}',
  );
});
