// lib/docker's Swarm against a real Swarm of three Docker Engines.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { type LogLine, Swarm, type Task } from "../lib/docker/swarm.ts";
import { Engine, whyNoEngine } from "./engine.ts";
import { eventually, leftOutIf } from "./harness.ts";
import { patiently, type SwarmNode, SwarmOfThree } from "./swarm.ts";
import { asked, complaint, config, LABELS, refused, running, spec } from "./swarm_services.ts";
import { unavailable } from "./topology.ts";

const { ignore, because } = leftOutIf(whyNoEngine() ?? unavailable());

Deno.test({
  name: `swarm: every call, through managers on other nodes${because}`,
  ignore,
  async fn() {
    await using cluster = await SwarmOfThree.start();
    const { managers: [swarm, other], image } = await asked(cluster);
    const stop = new AbortController();
    const seen: string[] = [];
    const events = await swarm.events(["service", "config", "secret", "node"], stop.signal);
    const watching = (async () => {
      for await (const { Type, Action, Actor } of events) {
        const { name, "availability.new": now = "" } = Actor.Attributes;
        seen.push(`${Type} ${Action} ${name} ${now}`.trim());
      }
    })();

    const info = await swarm.info();
    const gw1 = cluster.node("gw1");
    const gw2 = cluster.node("gw2");
    assertEquals(
      [info.NodeID, info.NodeAddr, info.LocalNodeState, info.ControlAvailable, info.Error],
      [gw1.id, gw1.lan, "active", true, ""],
    );
    assertMatch(info.ClusterID, /^[0-9a-z]{25}$/);
    await cluster.label("gw2", { site: "here" });
    const nodes = await other.nodes();
    assertEquals(nodes.map(({ Description }) => Description.Hostname).sort(), [
      "gw1",
      "gw2",
      "gw3",
    ]);
    const second = nodes.find(({ ID }) => ID === gw2.id);
    assertEquals(second?.Spec, {
      Labels: { site: "here" },
      Role: "manager",
      Availability: "active",
    });
    assertEquals([second?.Status.State, second?.Status.Addr], ["ready", gw2.lan]);
    assertEquals(second?.ManagerStatus?.Leader, false);

    // Configs and secrets.
    const one = await swarm.createConfig("one", LABELS, config(7001));
    const two = await swarm.createConfig("two", {}, config(7002));
    const taken = await refused("engine", () => swarm.createConfig("one", {}, config(7001)));
    assertEquals(taken.httpStatus, 409);
    const [listed, ...more] = await other.configs({ labels: LABELS });
    assertEquals([listed?.ID, listed?.Name, listed?.Labels, more], [one, "one", LABELS, []]);
    assertEquals((await other.configs({ namePrefix: "tw" })).map(({ ID }) => ID), [two]);
    const secret = await swarm.createSecret("key", LABELS, new TextEncoder().encode("hush"));
    assertEquals((await other.secrets({ labels: LABELS })).map(({ ID }) => ID), [secret]);

    // A service on another node, its task and its lines.
    const first = spec("x-one", image, gw2, [one, "one"]);
    first.TaskTemplate.ContainerSpec.Secrets = [{
      SecretID: secret,
      SecretName: "key",
      File: { Name: "key", UID: "0", GID: "0", Mode: 0o400 },
    }];
    const id = await swarm.createService(first);
    const task = await running(other, "x-one");
    assertEquals([task.ServiceID, task.NodeID, task.Slot, task.DesiredState], [
      id,
      gw2.id,
      1,
      "running",
    ]);
    assertEquals(task.Labels, { inside: "1" });
    assertEquals(task.Status.ContainerStatus?.ExitCode, 0);
    await gw2.host.listening(7001);
    assertEquals(await gw2.engine.containers(), [`x-one.1.${task.ID}`]);
    assertEquals((await refused("in-use", () => swarm.removeConfig(one))).httpStatus, 400);
    await refused("in-use", () => swarm.removeSecret(secret));
    assertEquals((await swarm.tasks({ labels: LABELS })).map(({ ID }) => ID), [task.ID]);
    assertEquals(await swarm.tasks({ labels: { inside: "1" } }), []);
    let said: LogLine[] = [];
    await eventually("its lines come", async () => {
      said = await other.taskLogs(task.ID);
      return said.some(({ text }) => text.includes("Loading success"));
    });
    // As the program wrote them: no node, no task.
    assert(said.every(({ stream, text }) => stream === "stderr" && text.startsWith("[")));
    assertEquals(await swarm.taskLogs(task.ID, { tail: 1 }), said.slice(-1));
    const lines: string[] = [];
    swarm.followTaskLogs(task.ID, ({ text }) => lines.push(text), stop.signal);

    // Another label leaves the task alone; another config has it replaced, the new one first.
    const before = await swarm.service(id);
    assert(before);
    assertEquals(before.Spec, { Name: "x-one", Labels: LABELS, Mode: first.Mode });
    const labels = { ...LABELS, note: "2" };
    await swarm.updateService(id, before.Version.Index, { ...before.RawSpec, Labels: labels });
    const late = await refused(
      "out-of-sequence",
      () => swarm.updateService(id, before.Version.Index, first),
    );
    assertEquals(late.httpStatus, 500);
    assertEquals((await other.services({ labels: { note: "2" } })).map(({ ID }) => ID), [id]);
    assertEquals(await other.services({ namePrefix: "none" }), []);
    // A task keeps the labels that its service had when it was made.
    assertEquals(await swarm.tasks({ labels: { note: "2" } }), []);
    const now = await swarm.service("x-one");
    assert(now);
    const next = { ...spec("x-one", image, gw2, [two, "two"]), Labels: labels };
    await other.updateService(id, now.Version.Index, next);
    const replaced = await running(swarm, "x-one", [task]);
    await gw2.host.listening(7002);
    await eventually("the first one ends by its signal", async () => {
      const tasks = await swarm.tasks({ namePrefix: "x-one" });
      const { Status } = tasks.find(({ ID }) => ID === task.ID) as Task;
      return Status.State === "shutdown" && Status.ContainerStatus?.ExitCode === 0;
    });
    await eventually("its lines are followed", () => lines.some((line) => /Exiting/.test(line)));
    assertEquals((await swarm.tasks({ labels: { note: "2" } })).map(({ ID }) => ID), [replaced.ID]);

    // The ends: a name that is taken, a service that is missing, one that no node can run.
    assertEquals((await refused("engine", () => swarm.createService(next))).httpStatus, 409);
    assertEquals(
      (await refused("engine", () => swarm.updateService("no", 1, next))).httpStatus,
      404,
    );
    assertEquals((await refused("engine", () => swarm.taskLogs("none"))).httpStatus, 404);
    const nowhere = spec("y-nowhere", image, { ...gw2, id: "none" }, [two, "two"]);
    await swarm.createService(nowhere);
    const noImage = spec("y-noimage", `sha256:${"0".repeat(64)}`, gw2, [two, "two"]);
    // Tasks that follow one another are taken off the list, and a service that is removed at such a moment
    // takes the leader with it (docs/developer-guide.md).
    noImage.TaskTemplate.RestartPolicy = { Condition: "none" };
    await swarm.createService(noImage);
    assertMatch(await complaint(swarm, "y-nowhere"), /^pending: no suitable node/);
    assertMatch(await complaint(swarm, "y-noimage"), /^rejected: No such image: sha256:000/);

    // What is removed: its tasks are listed until their containers have ended.
    await swarm.removeService("y-nowhere");
    await swarm.removeService("y-noimage");
    await swarm.removeService(id);
    await swarm.removeService(id);
    assertEquals(await swarm.service(id), undefined);
    await eventually("its task is gone", async () => {
      return (await other.tasks({ namePrefix: "x-one" })).length === 0;
    });
    const { out } = await gw2.engine.docker("ps", "--quiet");
    assertEquals(out, "");
    for (const name of ["one", two]) await swarm.removeConfig(name);
    await swarm.removeConfig(two);
    await swarm.removeSecret(secret);
    await swarm.removeSecret("key");
    assertEquals([await swarm.configs({}), await swarm.secrets({})], [[], []]);

    await gw1.engine.docker("node", "update", "--availability", "drain", gw2.id);
    const told = [
      "config create one",
      "secret create key",
      "service create x-one",
      "service update x-one",
      "service remove x-one",
      "config remove two",
      "node update gw2 drain",
    ];
    await eventually("events tell it all", () => told.every((line) => seen.includes(line)));
    stop.abort(new Error("enough"));
    await assertRejects(() => watching, Error, "enough");
  },
});

Deno.test({
  name: `swarm: an engine that is none of its managers${because}`,
  ignore,
  async fn() {
    await using engine = await Engine.start();
    const swarm = new Swarm({ host: { kind: "unix", path: engine.socket } });
    assertEquals(await swarm.info(), {
      NodeID: "",
      NodeAddr: "",
      LocalNodeState: "inactive",
      ControlAvailable: false,
      Error: "",
      ClusterID: "",
    });
    const node = { id: "x" } as SwarmNode;
    const calls = [
      () => swarm.nodes(),
      () => swarm.createService(spec("x", "x", node, ["x", "x"])),
      () => swarm.service("x"),
      () => swarm.services({}),
      () => swarm.updateService("x", 1, {}),
      () => swarm.removeService("x"),
      () => swarm.tasks({}),
      () => swarm.taskLogs("x"),
      () => swarm.createConfig("x", {}, new Uint8Array(1)),
      () => swarm.configs({}),
      () => swarm.removeConfig("x"),
      () => swarm.createSecret("x", {}, new Uint8Array(1)),
      () => swarm.secrets({}),
      () => swarm.removeSecret("x"),
    ];
    for (const call of calls) {
      const error = await refused("no-manager", call);
      assertMatch(error.message, /This node is not a swarm manager/);
      assertEquals(error.httpStatus, 503);
    }
  },
});

Deno.test({
  name: `swarm: two managers of three that lose their power${because}`,
  ignore,
  async fn() {
    await using cluster = await SwarmOfThree.start();
    const { managers: [swarm], image } = await asked(cluster);
    const gw3 = cluster.node("gw3");
    const id = await swarm.createConfig("one", {}, config(7001));
    await swarm.createService(spec("stays", image, gw3, [id, "one"]));
    await Promise.all([cluster.crash("gw2"), cluster.crash("gw3")]);
    await patiently("it has no leader", () => swarm.nodes().then(() => false, () => true));
    const service = spec("x", image, gw3, [id, "one"]);
    for (
      const call of [
        () => swarm.nodes(),
        () => swarm.createService(service),
        () => swarm.service("stays"),
        () => swarm.updateService("stays", 1, service),
        () => swarm.removeService("stays"),
        () => swarm.tasks({}),
        () => swarm.createConfig("two", {}, config(7001)),
        () => swarm.removeConfig("none"),
      ]
    ) await refused("no-leader", call);
    assertMatch((await swarm.info()).Error, /does not have a leader/);
  },
});
