/**
 * Services of the tests' own for a real Swarm: haproxy on a node's network, from a config.
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { DockerEngine } from "../lib/docker/engine.ts";
import {
  DockerError,
  type DockerErrorKind,
  SECOND_NS,
  type ServiceSpec,
  Swarm,
  type Task,
} from "../lib/docker/swarm.ts";
import { eventually } from "./harness.ts";
import type { GatewayName, SwarmNode, SwarmOfThree } from "./swarm.ts";

/** Labels of all that is made here. */
export const LABELS = { "org.scistream.test": "swarm" };
const FILE = "/usr/local/etc/haproxy/haproxy.cfg";

/** A configuration of haproxy that forwards a port to the node's own port 9999. */
export function config(port: number): Uint8Array {
  return new TextEncoder().encode(`global
  log stderr format raw local0
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen one
  bind :${port}
  server one 127.0.0.1:9999
`);
}

/** A service of one haproxy on a node's own network. */
export function spec(
  name: string,
  image: string,
  node: SwarmNode,
  [configId, configName]: [string, string],
): ServiceSpec {
  const file = { Name: FILE, UID: "0", GID: "0", Mode: 0o444 };
  return {
    Name: name,
    Labels: LABELS,
    TaskTemplate: {
      ContainerSpec: {
        Image: image,
        Labels: { inside: "1" },
        User: "65534:65534",
        ReadOnly: true,
        Mounts: [{
          Type: "tmpfs",
          Target: "/tmp",
          TmpfsOptions: { SizeBytes: 1 << 20, Mode: 0o1777 },
        }],
        CapabilityDrop: ["ALL"],
        Privileges: { NoNewPrivileges: true },
        StopSignal: "SIGUSR1",
        StopGracePeriod: 2 * SECOND_NS,
        Configs: [{ ConfigID: configId, ConfigName: configName, File: file }],
        TTY: false,
      },
      Resources: { Limits: { MemoryBytes: 64 << 20, Pids: 64 } },
      RestartPolicy: { Condition: "any", Delay: SECOND_NS / 10 },
      Placement: { Constraints: [`node.id==${node.id}`] },
      Networks: [{ Target: "host" }],
      LogDriver: { Name: "json-file", Options: { "max-size": "1m" } },
    },
    Mode: { Replicated: { Replicas: 1 } },
    UpdateConfig: { Parallelism: 0, Order: "start-first", FailureAction: "continue" },
  };
}

/** Its managers, and the image by its id. */
export async function asked(
  cluster: SwarmOfThree,
): Promise<{ managers: [Swarm, Swarm]; image: string }> {
  const { socket } = cluster.node("gw2").engine;
  const image = await new DockerEngine({ socket }).inspectImage("haproxy:latest");
  assert(image);
  const at = (name: GatewayName) =>
    new Swarm({ host: { kind: "unix", path: cluster.node(name).engine.socket } });
  return { managers: [at("gw1"), at("gw3")], image: image.Id };
}

/** Waits for a task of this service that runs, and is none of these. */
export async function running(swarm: Swarm, service: string, others: Task[] = []): Promise<Task> {
  const known = new Set(others.map(({ ID }) => ID));
  const found = await eventually(`a task of ${service} runs`, async () => {
    const tasks = await swarm.tasks({ namePrefix: service });
    return tasks.find(({ ID, Status }) => Status.State === "running" && !known.has(ID));
  });
  return found as Task;
}

/** Waits for what is said against a service. */
export async function complaint(swarm: Swarm, service: string): Promise<string> {
  const found = await eventually(`why ${service} does not run`, async () => {
    const tasks = await swarm.tasks({ namePrefix: service });
    return tasks.map(({ Status }) => `${Status.State}: ${Status.Err}`)
      .find((text) => /: ./.test(text));
  });
  return found as string;
}

/** Asserts that a call fails so. */
export async function refused(
  kind: DockerErrorKind,
  call: () => Promise<unknown>,
): Promise<DockerError> {
  const error = await assertRejects(call, DockerError);
  assertEquals([error.kind, error.message], [kind, error.message]);
  return error;
}
