/**
 * What a session is made of in a Swarm: one service with its config and secrets.
 * @module
 */
import { SECOND_NS, type ServiceSpec, type TaskSpec } from "../../../docker/swarm.ts";
import type { Limits } from "../../proxy/proxy.ts";
import type { Placed } from "../orchestrator.ts";
import { type Program, type ProgramFile, RUN } from "../program.ts";

/** Labels of services, configs, secrets and nodes. */
export const LABELS = {
  /** The Swarm's name among control servers: whose a service is. */
  swarm: "org.scistream.swarm",
  /** The uid's hash: the uid is a secret. */
  session: "org.scistream.session",
  /** The session, without its uid: any control server takes it up from this. */
  record: "org.scistream.record",
  /** Of a node: the address of producers' listeners, which other gateways reach. */
  wan: "org.scistream.wan",
  /** Of a node: the address of consumers' listeners. */
  lan: "org.scistream.lan",
  /** Of a node: kilobytes per second that its sessions' rates together may reach. */
  capacity: "org.scistream.capacity",
} as const;

/** Of the uid's hash: enough that no two sessions meet, in a name of at most 63 characters. */
const HASH_DIGITS = 16;

/** A config or a secret as a service names it. */
export interface FileOfSwarm {
  id: string;
  name: string;
  path: string;
}

/** What all of a Swarm's sessions have in common. */
export interface Making {
  /** The Swarm's name among control servers. */
  swarm: string;
  program: Program;
  /** An image's id, or its name with a digest. */
  image: string;
  limits: Limits;
  drainMs: number;
}

/** `scistream-NAME-1a2b3c4d5e6f7a8b`: of the service, and the beginning of its files' names. */
export function nameOf(swarm: string, session: string): string {
  return `scistream-${swarm}-${session.slice(0, HASH_DIGITS)}`;
}

/** What everything of a session is labelled with. */
export function labelsOf(swarm: string, session: string): Record<string, string> {
  return { [LABELS.swarm]: swarm, [LABELS.session]: session };
}

/** A session's service. */
export function serviceSpec(
  placed: Placed,
  nodeId: string,
  files: { config: FileOfSwarm; secrets: readonly FileOfSwarm[] },
  { swarm, program, image, limits, drainMs }: Making,
): ServiceSpec {
  const [command = "", ...args] = program.command(placed.config);
  const labels = labelsOf(swarm, placed.session);
  return {
    Name: nameOf(swarm, placed.session),
    Labels: { ...labels, [LABELS.record]: placed.record },
    TaskTemplate: {
      ContainerSpec: {
        Image: image,
        Labels: labels,
        Command: [command],
        Args: args,
        Env: Object.entries(program.env ?? {}).map(([name, value]) => `${name}=${value}`),
        User: `${program.user}:${program.user}`,
        ReadOnly: true,
        Mounts: [inMemory(RUN), inMemory("/tmp")],
        CapabilityDrop: ["ALL"],
        Privileges: { NoNewPrivileges: true },
        StopSignal: program.stopSignal,
        // In nanoseconds, as all times of a Swarm.
        StopGracePeriod: drainMs * (SECOND_NS / 1000),
        Configs: [configRef(files.config, program)],
        Secrets: files.secrets.map((file) => secretRef(file, program)),
        TTY: false,
      },
      Resources: { Limits: { MemoryBytes: limits.memory * (1 << 20), Pids: program.mostTasks } },
      // Whatever ends by itself is started again, at its node.
      RestartPolicy: { Condition: "any", Delay: SECOND_NS },
      Placement: { Constraints: [at(nodeId)] },
      Networks: [{ Target: "host" }],
      LogDriver: { Name: "json-file", Options: { "max-size": "1m", "max-file": "2" } },
    },
    Mode: { Replicated: { Replicas: 1 } },
    UpdateConfig: {
      Parallelism: 1,
      Order: program.sharesPorts ? "start-first" : "stop-first",
      // It is looked at, and taken back, here.
      FailureAction: "pause",
    },
  };
}

/** The same service with another configuration, or at another node. */
export function rolled(
  spec: ServiceSpec,
  placed: Placed,
  nodeId: string,
  config: FileOfSwarm,
  program: Program,
): ServiceSpec {
  const { TaskTemplate } = spec;
  const template: TaskSpec = {
    ...TaskTemplate,
    ContainerSpec: { ...TaskTemplate.ContainerSpec, Configs: [configRef(config, program)] },
    Placement: { Constraints: [at(nodeId)] },
  };
  return noted({ ...spec, TaskTemplate: template }, placed.record);
}

/** The same service with another record. */
export function noted(spec: ServiceSpec, record: string): ServiceSpec {
  return { ...spec, Labels: { ...spec.Labels, [LABELS.record]: record } };
}

/** The same service, whose tasks wind up. */
export function windingUp(spec: ServiceSpec): ServiceSpec {
  return { ...spec, Mode: { Replicated: { Replicas: 0 } } };
}

/** The files of a session, each with the name that it has in the Swarm. */
export function fileName(swarm: string, session: string, { path }: ProgramFile): string {
  const base = path.slice(path.lastIndexOf("/") + 1).replaceAll(/[^0-9A-Za-z]/g, "-");
  return `${nameOf(swarm, session)}-${base}-${crypto.randomUUID().slice(0, 8)}`;
}

function at(nodeId: string): string {
  return `node.id==${nodeId}`;
}

function inMemory(path: string) {
  return {
    Type: "tmpfs" as const,
    Target: path,
    TmpfsOptions: { SizeBytes: 1 << 20, Mode: 0o1777 },
  };
}

/** Whom a file belongs to in the container, who alone reads it. */
function fileAt(path: string, { user }: Program) {
  return { Name: path, UID: String(user), GID: String(user), Mode: 0o400 };
}

function configRef({ id, name, path }: FileOfSwarm, program: Program) {
  return { ConfigID: id, ConfigName: name, File: fileAt(path, program) };
}

function secretRef({ id, name, path }: FileOfSwarm, program: Program) {
  return { SecretID: id, SecretName: name, File: fileAt(path, program) };
}
