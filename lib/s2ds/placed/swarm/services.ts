/**
 * The services of sessions in a Swarm: made, changed, watched and removed.
 * @module
 */
import { DockerError } from "../../../docker/errors.ts";
import { type Service, type ServiceSpec, type Swarm, type Task } from "../../../docker/swarm.ts";
import { ScistreamError, Status } from "../../../protocol/errors.ts";
import { NodeFault, PortsInUse } from "../../data_server.ts";
import { portsInUse } from "../../proxy/ports_in_use.ts";
import { gistOf } from "../../proxy/gist.ts";
import { pause } from "../../wait.ts";
import type { Placed } from "../orchestrator.ts";
import type { Program, ProgramFile } from "../program.ts";
import type { SwarmNodes } from "./nodes.ts";
import { fileName, type FileOfSwarm, LABELS, labelsOf, nameOf } from "./spec.ts";

/** How long a node may take to fetch an image and to start its container. */
const START_MS = 120_000;
/** And an old task to stop listening, once another has taken its place. */
const LEAVE_MS = 10_000;
/** A task that no node takes may be waiting for one that has just been lost to its managers. */
const PENDING_MS = 20_000;
/** Of tasks nobody is told: they are looked at, ever less often. */
const FIRST_LOOK_MS = 50;
const LAST_LOOK_MS = 500;
/** How often an update is tried again that another came before. */
const UPDATES = 10;
const LOG_LINES = 200;

/** Where a task's container has ended, or never was. */
const OVER = ["complete", "shutdown", "failed", "rejected", "remove", "orphaned"];

/** Whether nothing of a task runs. */
export function isOver({ Status: { State } }: Task): boolean {
  return OVER.includes(State);
}

/** The one of a service's tasks that counts: the latest. */
export function latest(tasks: readonly Task[]): Task | undefined {
  return tasks.reduce<Task | undefined>(
    (last, task) => last && last.CreatedAt >= task.CreatedAt ? last : task,
    undefined,
  );
}

/** Another control server has made this session here. */
export class SessionExists extends ScistreamError {
  constructor(cause: unknown) {
    const sentence =
      "this session exists already in the Swarm, of another control server with the same --swarm-name";
    super("INVALID_UID", sentence, { status: Status.ALREADY_EXISTS, cause });
  }
}

/** What sessions' services are made through. */
export class Services {
  constructor(readonly swarm: Swarm, readonly name: string) {}

  /**
   * What `pick` makes of every service of this name. They are asked for in parts where there are more
   * than one answer holds, and nothing else of them is kept: all together may be hundreds of megabytes.
   */
  async all<T>(pick: (service: Service) => T): Promise<T[]> {
    const labels = { [LABELS.swarm]: this.name };
    return await this.#inParts(
      this.#prefix,
      async (namePrefix) => (await this.swarm.services({ labels, namePrefix })).map(pick),
    );
  }

  /** What `pick` makes of every task of these services, likewise. */
  async allTasks<T>(pick: (task: Task) => T): Promise<T[]> {
    return await this.#inParts(
      this.#prefix,
      async (namePrefix) => (await this.swarm.tasks({ namePrefix })).map(pick),
    );
  }

  get #prefix(): string {
    return `scistream-${this.name}-`;
  }

  async #inParts<T>(prefix: string, list: (prefix: string) => Promise<T[]>): Promise<T[]> {
    try {
      return await list(prefix);
    } catch (error) {
      if (!(error instanceof DockerError && error.kind === "too-long")) throw error;
      const parts: T[][] = [];
      for (const digit of "0123456789abcdef") {
        parts.push(await this.#inParts(`${prefix}${digit}`, list));
      }
      return parts.flat();
    }
  }

  /** The service of a session; undefined if there is none. */
  async of(session: string): Promise<Service | undefined> {
    const service = await this.swarm.service(nameOf(this.name, session));
    return service?.Spec.Labels[LABELS.session] === session ? service : undefined;
  }

  /** The tasks of a session's service, those too that it leaves behind for a moment when it is removed. */
  tasks(session: string): Promise<Task[]> {
    return this.swarm.tasks({ namePrefix: nameOf(this.name, session) });
  }

  /** @throws {SessionExists} */
  async create(spec: ServiceSpec): Promise<string> {
    try {
      return await this.swarm.createService(spec);
    } catch (error) {
      if (!(error instanceof DockerError && error.httpStatus === 409)) throw error;
      throw new SessionExists(error);
    }
  }

  /** Changes a service as it is at that moment. */
  async update(id: string, change: (spec: ServiceSpec) => ServiceSpec): Promise<ServiceSpec> {
    for (let n = 1;; n++) {
      const service = await this.swarm.service(id);
      if (!service) throw new ScistreamError("CONN_ERROR", "its service is gone from the Swarm");
      // Made here, and kept by the Swarm with what it adds.
      const spec = service.RawSpec as unknown as ServiceSpec;
      try {
        await this.swarm.updateService(id, service.Version.Index, change(spec));
        return spec;
      } catch (error) {
        const again = error instanceof DockerError && error.kind === "out-of-sequence";
        if (!again || n === UPDATES) throw error;
      }
    }
  }

  /** Puts a file of a session into the Swarm. */
  async put(kind: "config" | "secret", session: string, file: ProgramFile): Promise<FileOfSwarm> {
    const name = fileName(this.name, session, file);
    const bytes = new TextEncoder().encode(file.text);
    const labels = labelsOf(this.name, session);
    const id = kind === "config"
      ? await this.swarm.createConfig(name, labels, bytes)
      : await this.swarm.createSecret(name, labels, bytes);
    return { id, name, path: file.path };
  }

  /** Removes a session's configs that its service does not name; with `secrets` its secrets too. */
  async removeFiles(session: string, options: { secrets: boolean }): Promise<void> {
    const wanted = { labels: labelsOf(this.name, session) };
    const inUse = (error: unknown) => {
      if (!(error instanceof DockerError && error.kind === "in-use")) throw error;
    };
    const configs = await this.swarm.configs(wanted);
    await Promise.all(configs.map(({ ID }) => this.swarm.removeConfig(ID).catch(inUse)));
    if (!options.secrets) return;
    const secrets = await this.swarm.secrets(wanted);
    await Promise.all(secrets.map(({ ID }) => this.swarm.removeSecret(ID).catch(inUse)));
  }

  /** The sessions that configs or secrets are there for. */
  async withFiles(): Promise<Set<string>> {
    const wanted = { labels: { [LABELS.swarm]: this.name } };
    const [configs, secrets] = [await this.swarm.configs(wanted), await this.swarm.secrets(wanted)];
    return new Set([...configs, ...secrets].map(({ Labels }) => Labels[LABELS.session] ?? ""));
  }

  /**
   * Waits until a task of this service that is none of `before` listens. (A service of the same name that
   * was removed a moment ago may have some still.)
   * @throws {PortsInUse}
   * @throws {NodeFault}
   * @throws {ScistreamError} CONN_ERROR
   */
  async listening(
    { session, node, listeners }: Placed,
    service: string,
    program: Program,
    before: ReadonlySet<string>,
    lossOf: (node: string) => string,
    signal: AbortSignal,
  ): Promise<Task> {
    const fault = (why: string) => new NodeFault(node, `node ${node} cannot run it: ${why}`);
    const start = performance.now();
    for (let wait = FIRST_LOOK_MS;; wait = Math.min(wait * 1.5, LAST_LOOK_MS)) {
      const tasks = await this.tasks(session);
      const task = latest(
        tasks.filter((each) => each.ServiceID === service && !before.has(each.ID)),
      );
      const { State = "", Err = "", ContainerStatus } = task?.Status ?? {};
      const waited = performance.now() - start;
      if (task && State === "running") {
        if (program.listens(await this.log(task))) return task;
      } else if (task && isOver(task)) {
        const lines = await this.log(task).catch(() => []);
        const ports = portsInUse(lines, listeners);
        if (ports.length > 0) throw new PortsInUse(ports);
        if (!ContainerStatus?.ContainerID || State === "rejected") throw fault(Err || State);
        throw new ScistreamError(
          "CONN_ERROR",
          `${program.name} ended with exit code ${ContainerStatus.ExitCode} on node ${node}: ${
            gistOf(lines)
          }`,
        );
      }
      const loss = lossOf(node);
      if (loss) throw new NodeFault(node, loss);
      if (waited > START_MS || State === "pending" && Err && waited > PENDING_MS) {
        throw fault(`it is ${State || "not begun"} after ${Math.round(waited / 1000)} s. ${Err}`);
      }
      await pause(wait, signal);
      signal.throwIfAborted();
    }
  }

  /** Waits until none of these tasks takes connections any more: others have taken their place. */
  async left(
    session: string,
    ids: ReadonlySet<string>,
    program: Program,
    nodes: () => SwarmNodes,
    signal: AbortSignal,
  ): Promise<void> {
    const start = performance.now();
    for (let wait = FIRST_LOOK_MS;; wait = Math.min(wait * 1.5, LAST_LOOK_MS)) {
      const old = (await this.tasks(session)).filter((task) =>
        ids.has(task.ID) && !isOver(task) && nodes().isHeard(task.NodeID)
      );
      const leaving = await Promise.all(
        old.map(async (task) => program.leaves(await this.log(task).catch(() => []))),
      );
      if (!leaving.includes(false) || performance.now() - start > LEAVE_MS) return;
      await pause(wait, signal);
      signal.throwIfAborted();
    }
  }

  /**
   * Waits until no container of the session runs, and the Swarm has taken off its list what is to be
   * removed; as far as its nodes are heard of. (Tasks that were replaced stay, as history.)
   */
  async ended(session: string, nodes: () => SwarmNodes, signal: AbortSignal): Promise<void> {
    for (let wait = FIRST_LOOK_MS;; wait = Math.min(wait * 1.5, LAST_LOOK_MS)) {
      const tasks = await this.tasks(session);
      const left = tasks.filter((task) => !isOver(task) || task.DesiredState === "remove");
      if (!left.some(({ NodeID }) => nodes().isHeard(NodeID))) return;
      await pause(wait, signal);
      signal.throwIfAborted();
    }
  }

  /** A task's last lines. */
  async log({ ID }: Task): Promise<string[]> {
    return (await this.swarm.taskLogs(ID, { tail: LOG_LINES })).map(({ text }) => text);
  }
}

/** Why a task does not run, a sentence; empty if it does. */
export function troubleOf(task: Task | undefined, program: Program): string {
  const { State = "", Err = "", Message = "", ContainerStatus } = task?.Status ?? {};
  if (State === "running") return "";
  if (!task) return `${program.name} is not begun yet`;
  const code = ContainerStatus?.ExitCode;
  const how = isOver(task) && code ? ` with exit code ${code}` : "";
  return `${program.name} is ${State}${how}${why(Err || Message)}; the Swarm starts it again`;
}

function why(words: string): string {
  return words && ` (${words.slice(0, 200)})`;
}
