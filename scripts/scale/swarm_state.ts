/**
 * A simulated Swarm: its nodes, and the services, tasks and files of sessions on them. What a node would do
 * is done at once.
 * @module
 */
import type { ServiceSpec, TaskSpec } from "../../lib/docker/swarm.ts";
import type { GatewayNode } from "../../lib/s2ds/data_server.ts";
import { LABELS, nameOf } from "../../lib/s2ds/placed/swarm/spec.ts";
import { Broken } from "./watched.ts";

/** Events that are told to whoever asks for a moment that is just past. */
const EVENTS_KEPT = 1000;

/** One of `GET /nodes`. */
export interface Node {
  ID: string;
  Version: { Index: number };
  Spec: { Labels: Record<string, string>; Role: string; Availability: string };
  Description: { Hostname: string };
  Status: { State: string; Message: string; Addr: string };
}

/** One of `GET /tasks`. */
export interface Task {
  ID: string;
  ServiceID: string;
  NodeID: string;
  Slot: number;
  CreatedAt: string;
  DesiredState: string;
  Spec: TaskSpec;
  Status: { State: string; Timestamp: string; ContainerStatus: object };
}

/** One of `GET /services`. */
export interface Service {
  ID: string;
  Version: { Index: number };
  CreatedAt: string;
  UpdatedAt: string;
  Spec: ServiceSpec;
  PreviousSpec?: ServiceSpec;
}

/** One of `GET /configs` or `GET /secrets`. */
export interface File {
  ID: string;
  CreatedAt: string;
  Spec: { Name: string; Labels: Record<string, string>; Data?: string };
}

/** One of `GET /events`. */
export interface Event {
  type: string;
  atMs: number;
  line: string;
}

/** Which a list has. */
export interface Filters {
  label?: string[];
  name?: string[];
}

/** A Swarm of simulated nodes. */
export class SwarmState {
  readonly nodes: readonly Node[];
  readonly #services = new Map<string, Service>();
  readonly #byName = new Map<string, Service>();
  readonly #tasks = new Map<string, Task[]>();
  readonly #files = { configs: new Map<string, File>(), secrets: new Map<string, File>() };
  readonly #events: Event[] = [];
  readonly #listeners = new Set<(event: Event) => void>();
  #index = 10;

  constructor(nodes: readonly GatewayNode[]) {
    this.nodes = nodes.map(({ name, PROD, CONS, capacity }) => ({
      ID: newId(),
      Version: { Index: 1 },
      Spec: {
        Labels: {
          [LABELS.wan]: PROD.bound,
          [LABELS.lan]: CONS.bound,
          ...capacity > 0 ? { [LABELS.capacity]: String(capacity) } : {},
        },
        Role: "worker",
        Availability: "active",
      },
      Description: { Hostname: name },
      Status: { State: "ready", Message: "", Addr: PROD.bound },
    }));
  }

  /** How many services, configs and secrets there are. */
  get sizes(): { services: number; files: number } {
    const { configs, secrets } = this.#files;
    return { services: this.#services.size, files: configs.size + secrets.size };
  }

  /** The node of this name. */
  node(name: string): Node {
    const node = this.nodes.find(({ Description }) => Description.Hostname === name);
    if (node) return node;
    throw new Broken(`there is no node ${name}`);
  }

  /** A node's engine is heard of no more, or again. */
  setDown(name: string, isDown: boolean): void {
    const node = this.node(name);
    node.Status = {
      ...node.Status,
      State: isDown ? "down" : "ready",
      Message: isDown ? "heartbeat failure" : "",
    };
    this.#tell("node", "update", node.ID);
  }

  /** A service by its id or name. */
  service(id: string): Service | undefined {
    return this.#services.get(id) ?? this.#byName.get(id);
  }

  /** Makes a service. */
  create(spec: ServiceSpec): Service {
    const now = new Date().toISOString();
    const service: Service = {
      ID: newId(),
      Version: { Index: this.#index++ },
      CreatedAt: now,
      UpdatedAt: now,
      Spec: spec,
    };
    this.#services.set(service.ID, service);
    this.#byName.set(spec.Name, service);
    this.#begin(service);
    this.#tell("service", "create", service.ID);
    return service;
  }

  /** Gives a service another spec, and the tasks that follow from it. */
  update(service: Service, spec: ServiceSpec): void {
    const before = service.Spec;
    service.PreviousSpec = before;
    service.Spec = spec;
    service.UpdatedAt = new Date().toISOString();
    this.touch(service);
    this.#replace(service, before);
    this.#tell("service", "update", service.ID);
  }

  /** Changes a service's version alone, as somebody else's update does. */
  touch(service: Service): void {
    service.Version = { Index: this.#index++ };
  }

  /** Removes a service, as anybody may who reaches a manager. */
  remove({ ID, Spec }: Service): void {
    this.#services.delete(ID);
    this.#byName.delete(Spec.Name);
    this.#tasks.delete(ID);
    this.#tell("service", "remove", ID);
  }

  /** Its tasks as the new spec has them. */
  #replace(service: Service, before: ServiceSpec): void {
    const { Mode, TaskTemplate } = service.Spec;
    // Those that have ended are taken off the list.
    if (Mode.Replicated.Replicas === 0) return void this.#tasks.delete(service.ID);
    if (JSON.stringify(TaskTemplate) === JSON.stringify(before.TaskTemplate)) return;
    const last = this.#tasks.get(service.ID)?.at(-1);
    if (last) {
      last.DesiredState = "shutdown";
      last.Status = { ...last.Status, State: "shutdown" };
    }
    this.#begin(service);
  }

  /** A task at the node that the service is held to. */
  #begin({ ID, Spec: { TaskTemplate } }: Service): void {
    const now = new Date().toISOString();
    const constraint = TaskTemplate.Placement.Constraints[0] ?? "";
    const task: Task = {
      ID: newId(),
      ServiceID: ID,
      NodeID: constraint.replace("node.id==", ""),
      Slot: 1,
      CreatedAt: now,
      DesiredState: "running",
      Spec: TaskTemplate,
      Status: {
        State: "running",
        Timestamp: now,
        ContainerStatus: { ContainerID: newId(), PID: 1 },
      },
    };
    // The one before is still listed.
    this.#tasks.set(ID, [...this.#tasks.get(ID)?.slice(-1) ?? [], task]);
  }

  /** The services that a filter wants. */
  services({ label, name: [prefix = ""] = [] }: Filters = {}): IteratorObject<Service> {
    return this.#named(prefix).filter(({ Spec }) => hasLabels(Spec.Labels, label));
  }

  /** The tasks of services with such names. */
  tasks({ name: [prefix = ""] = [] }: Filters): IteratorObject<Task> {
    return this.#named(prefix).flatMap(({ ID }) => this.#tasks.get(ID) ?? []);
  }

  #named(prefix: string): IteratorObject<Service> {
    const one = this.#byName.get(prefix);
    if (one) return [one].values();
    return this.#services.values().filter(({ Spec }) => Spec.Name.startsWith(prefix));
  }

  /** The configs or secrets that a filter wants. */
  files(kind: "configs" | "secrets", { label }: Filters): IteratorObject<File> {
    return this.#files[kind].values().filter(({ Spec }) => hasLabels(Spec.Labels, label));
  }

  /** Makes a config or a secret; what it holds is nobody's to ask for. */
  createFile(kind: "configs" | "secrets", { Name, Labels }: File["Spec"]): File {
    const file = { ID: newId(), CreatedAt: new Date().toISOString(), Spec: { Name, Labels } };
    this.#files[kind].set(file.ID, file);
    return file;
  }

  /** Removes one; answers whether it was there, or who has it. */
  removeFile(kind: "configs" | "secrets", id: string): boolean | { user: string } {
    const labels = this.#files[kind].get(id)?.Spec.Labels ?? {};
    const { [LABELS.swarm]: swarm = "", [LABELS.session]: session = "" } = labels;
    const user = this.#byName.get(nameOf(swarm, session))?.Spec;
    const has = user?.TaskTemplate.ContainerSpec.Configs?.some(({ ConfigID }) => ConfigID === id);
    return has ? { user: user?.Name ?? "" } : this.#files[kind].delete(id);
  }

  /** Tells of what happens since that moment; answers what ends it. */
  follow(sinceMs: number, tell: (event: Event) => void): () => void {
    for (const event of this.#events) if (event.atMs >= sinceMs) tell(event);
    this.#listeners.add(tell);
    return () => void this.#listeners.delete(tell);
  }

  #tell(type: string, Action: string, ID: string): void {
    const atMs = Date.now();
    const told = { Type: type, Action, Actor: { ID, Attributes: {} }, timeNano: atMs * 1e6 };
    const event = { type, atMs, line: `${JSON.stringify(told)}\n` };
    this.#events.push(event);
    if (this.#events.length > EVENTS_KEPT) this.#events.shift();
    for (const tell of this.#listeners) tell(event);
  }
}

function hasLabels(labels: Record<string, string>, wanted: readonly string[] = []): boolean {
  return wanted.every((pair) => {
    const [key = "", ...value] = pair.split("=");
    return labels[key] === value.join("=");
  });
}

/** 25 digits, as a Swarm's ids are. */
function newId(): string {
  return crypto.randomUUID().replaceAll("-", "").slice(0, 25);
}
