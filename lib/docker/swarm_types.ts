/**
 * What the Docker Engine's Swarm mode takes and answers, in its own names (Engine API 1.41): only the
 * fields that are used here. Answers have been checked before they come out of
 * {@linkcode ./swarm.ts}'s `Swarm`. Durations are nanoseconds, as everywhere in Swarm mode.
 * @module
 */
import type { BindMount } from "./types.ts";

/** Nanoseconds of a second. */
export const SECOND_NS = 1e9;

/** Of `GET /info`, its `Swarm`: what this engine is in its Swarm. */
export interface SwarmInfo {
  /** This engine's node; empty outside a Swarm. */
  NodeID: string;
  /** Where other nodes reach it; empty outside a Swarm. */
  NodeAddr: string;
  /** `inactive` (in no Swarm), `pending`, `active`, `error` or `locked`. */
  LocalNodeState: string;
  /** Whether it is a manager that has the Swarm's state: only then it takes the other calls. */
  ControlAvailable: boolean;
  /** Why it is in state `error`. */
  Error: string;
  /** The Swarm's own id; empty where this engine does not know it, as on workers. */
  ClusterID: string;
}

/** One of `GET /nodes`. */
export interface SwarmNode {
  ID: string;
  Spec: {
    Labels: Record<string, string>;
    /** `manager` or `worker`. */
    Role: string;
    /** `active`, `pause` (gets no new tasks) or `drain` (loses those that it has). */
    Availability: string;
  };
  Description: {
    Hostname: string;
    /** Such as `x86_64`; empty until it has said. */
    Architecture: string;
  };
  Status: {
    /** `ready`, `down`, `unknown` or `disconnected`. */
    State: string;
    /** Why, in words. */
    Message: string;
    /** Its address as the managers see it. */
    Addr: string;
  };
  /** Of managers only. */
  ManagerStatus?: {
    Leader: boolean;
    /** `reachable`, `unreachable` or `unknown`. */
    Reachability: string;
    /** `ADDRESS:PORT`. */
    Addr: string;
  };
}

/** A file system in memory inside the container (API: `Mount`). */
export interface TmpfsMount {
  Type: "tmpfs";
  /** Absolute path in the container. */
  Target: string;
  TmpfsOptions: {
    SizeBytes: number;
    /** Permission bits, such as `0o1777`. */
    Mode: number;
  };
}

/** Where a config or secret stands in the container. */
export interface FileTarget {
  /** Absolute path in the container; of a secret, one beneath /run/secrets may be a name only. */
  Name: string;
  UID: string;
  GID: string;
  /** Permission bits, such as `0o444`. */
  Mode: number;
}

/** What runs in a task's container (API: `TaskSpec.ContainerSpec`). */
export interface TaskContainerSpec {
  /**
   * An image's id (`sha256:…`): then no node asks a registry. A name is looked for there before every
   * start, which takes some 15 s where none answers; then the node's own image is taken.
   */
  Image: string;
  /** Labels of the container, not of the service. */
  Labels: Record<string, string>;
  /** In place of the image's entrypoint. */
  Command?: string[];
  /** In place of the image's command. */
  Args?: string[];
  /** `NAME=value` each. */
  Env?: string[];
  /** `uid[:gid]` or names that the image knows. */
  User?: string;
  Dir?: string;
  /** The container's host name. */
  Hostname?: string;
  ReadOnly: boolean;
  Mounts: (BindMount | TmpfsMount)[];
  /** Capabilities as `CAP_…`, or `ALL`. */
  CapabilityDrop: string[];
  /** Given back after `CapabilityDrop`. */
  CapabilityAdd?: string[];
  /** Of newer engines; 20.10 takes and ignores it. */
  Privileges?: { NoNewPrivileges: boolean };
  Ulimits?: { Name: string; Soft: number; Hard: number }[];
  /** The signal that asks it to stop, such as `SIGUSR1`. */
  StopSignal?: string;
  /** Nanoseconds between that signal and SIGKILL. */
  StopGracePeriod?: number;
  Configs?: { ConfigID: string; ConfigName: string; File: FileTarget }[];
  Secrets?: { SecretID: string; SecretName: string; File: FileTarget }[];
  /** Never true: with a terminal, logs come without the frames that tell the streams apart. */
  TTY: false;
}

/** What a task is made of (API: `TaskSpec`). A change of it replaces the tasks that run. */
export interface TaskSpec {
  ContainerSpec: TaskContainerSpec;
  Resources?: {
    /** 0 is no limit. */
    Limits: { MemoryBytes: number; NanoCPUs?: number; Pids?: number };
  };
  RestartPolicy: {
    Condition: "none" | "on-failure" | "any";
    /** Nanoseconds between a task's end and the next one's start; 5 s unless given. */
    Delay?: number;
    /** 0 is without end. */
    MaxAttempts?: number;
  };
  /** Such as `node.id==ID` or `node.labels.KEY==VALUE`; all of them hold. */
  Placement: { Constraints: string[] };
  /** `[{ Target: "host" }]` is the network of whichever host the task runs on. */
  Networks: { Target: string }[];
  LogDriver?: { Name: string; Options: Record<string, string> };
  /** Another number replaces the tasks although nothing else has changed. */
  ForceUpdate?: number;
}

/** The body of `POST /services/create`. */
export interface ServiceSpec {
  /** At most 63 letters, digits, `-`, `_` and `.`; one service only has it. */
  Name: string;
  /** Labels of the service: they can change while its tasks run on. */
  Labels: Record<string, string>;
  TaskTemplate: TaskSpec;
  Mode: { Replicated: { Replicas: number } };
  /** How tasks are replaced when `TaskTemplate` changes. */
  UpdateConfig?: {
    /** How many at a time; 0 is all. */
    Parallelism: number;
    Order: "start-first" | "stop-first";
    FailureAction: "continue" | "pause" | "rollback";
    /** Nanoseconds that a new task must run to be counted a success. */
    Monitor?: number;
  };
}

/** Of `GET /services/{id}`. */
export interface Service {
  ID: string;
  /** What an update must name: it changes with every change. */
  Version: { Index: number };
  /** RFC 3339. */
  CreatedAt: string;
  /** RFC 3339. */
  UpdatedAt: string;
  Spec: {
    Name: string;
    Labels: Record<string, string>;
    Mode: { Replicated: { Replicas: number } };
  };
  /** The whole spec as the Swarm keeps it, unchecked: for an update that changes a part of it. */
  RawSpec: Readonly<Record<string, unknown>>;
  /** `updating`, `paused`, `completed`, `rollback_started`, …; undefined before the first update. */
  UpdateStatus?: { State: string; Message: string };
}

/** One of `GET /tasks`: one attempt to run a service's container. */
export interface Task {
  ID: string;
  ServiceID: string;
  /** Empty until it is assigned. */
  NodeID: string;
  /** From 1 on; tasks that follow one another have the same. */
  Slot: number;
  /** Labels of its container. */
  Labels: Record<string, string>;
  /** RFC 3339. */
  CreatedAt: string;
  /** `running`, `shutdown`, or `remove` once its service is removed or it is one too many. */
  DesiredState: string;
  Status: TaskStatus;
}

/** How it is with a task. */
export interface TaskStatus {
  /**
   * `new`, `pending` (no node fits), `assigned`, `accepted`, `preparing`, `ready`, `starting`,
   * `running`, `complete`, `shutdown`, `failed`, `rejected`, `remove` or `orphaned` (its node has been
   * away for a day).
   */
  State: string;
  /** RFC 3339. */
  Timestamp: string;
  /** What the state means, in words. */
  Message: string;
  /** Why it went wrong, or cannot go on; empty if neither. */
  Err: string;
  /** Once there is a container. */
  ContainerStatus?: {
    ContainerID: string;
    PID: number;
    /** 0 while it runs; 128 + n after signal n. */
    ExitCode: number;
  };
}

/** One of `GET /configs` or `GET /secrets`: what it holds is not told. */
export interface SwarmFile {
  ID: string;
  Name: string;
  Labels: Record<string, string>;
  /** RFC 3339. */
  CreatedAt: string;
}

/** Which of the Swarm's objects a list has: those that fulfil all that is given. */
export interface Wanted {
  labels?: Record<string, string>;
  /** The beginning of their names; of tasks, that of their service's. */
  namePrefix?: string;
}
