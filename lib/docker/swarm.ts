/**
 * Swarm mode of the Docker Engine's API 1.41 to 1.47 (docs.docker.com/reference/api/engine): nodes,
 * services and their tasks, configs and secrets, as a manager knows them.
 * @module
 */
import { quote } from "../protocol/errors.ts";
import { Calls } from "./calls.ts";
import { refused } from "./errors.ts";
import { openEvents } from "./events.ts";
import type { DockerHost } from "./host.ts";
import { readLogs } from "./logs.ts";
import { swarmFilters } from "./query.ts";
import { errorMessage, parseJson, Shape } from "./shape.ts";
import { readNode, readService, readSwarmFile, readSwarmInfo, readTask } from "./swarm_answers.ts";
import type {
  Service,
  ServiceSpec,
  SwarmFile,
  SwarmInfo,
  SwarmNode,
  Task,
  Wanted,
} from "./swarm_types.ts";
import { swarmKind } from "./swarm_errors.ts";
import type { Ask } from "./transport.ts";
import type { EngineEvent, LogLine } from "./types.ts";

export * from "./swarm_types.ts";
export { DockerError, type DockerErrorKind } from "./errors.ts";
export type { EngineEvent, LogLine } from "./types.ts";

/** How long a manager may take to begin and to end an answer: it asks the Swarm's leader. */
const PATIENCE_MS = 30_000;
const MAX_LOG_BYTES = 1 << 20;

/** The two kinds of what a Swarm hands out to tasks as files. */
type FileKind = "config" | "secret";

/**
 * A Swarm, asked through one of its managers. One connection a call; safe to share.
 *
 * Every call fails with a `DockerError`, or with its signal's reason. Its kind tells apart what a
 * caller may want to know: `no-manager` (this engine is in no Swarm, or a worker), `no-leader` (too few
 * managers reach one another, or the one that led has just vanished; trying again may help), `out-of-sequence`, `in-use`, `too-long`. A
 * name that is taken is httpStatus 409, an object that is missing 404.
 */
export class Swarm {
  readonly #calls: Calls;

  /** Nothing is connected before the first call. `patienceMs` is for tests. */
  constructor(options: { host: DockerHost; patienceMs?: number }) {
    this.#calls = new Calls(options.host, options.patienceMs ?? PATIENCE_MS);
  }

  /** What this engine is in its Swarm; also of one that is in none. */
  async info(): Promise<SwarmInfo> {
    const what = "tell about its Swarm";
    return readSwarmInfo(await this.#calls.json(what, { method: "GET", path: ["info"] }));
  }

  /** All nodes, those that are away too. */
  async nodes(): Promise<SwarmNode[]> {
    return (await this.#list("list the Swarm's nodes", "nodes", {})).map(readNode);
  }

  /**
   * Makes a service. That its image, its mounts or a node for it are missing is told by its tasks.
   * @returns its id
   * @throws {DockerError} httpStatus 409 if the name is taken
   */
  async createService(spec: ServiceSpec): Promise<string> {
    const what = `create service ${quote(spec.Name)}`;
    const ask: Ask = { method: "POST", path: ["services", "create"], json: spec };
    return (await this.#calls.json(what, ask)).text("ID");
  }

  /** A service by its id or name, as it is now; undefined if there is none. */
  async service(id: string): Promise<Service | undefined> {
    const what = `inspect service ${quote(id)}`;
    const bytes = await this.#unlessMissing(what, { method: "GET", path: ["services", id] });
    return bytes && readService(new Shape(parseJson(bytes, what), what));
  }

  /** The services that have all these labels, and names that begin so. */
  async services(wanted: Wanted): Promise<Service[]> {
    return (await this.#list("list services", "services", wanted)).map(readService);
  }

  /**
   * Gives a service another spec. `version` is the `Version.Index` of the service that the spec was
   * made from. Its tasks are replaced only if `TaskTemplate` is another.
   * @throws {DockerError} kind `out-of-sequence` if it has changed since: then read it again
   */
  async updateService(
    id: string,
    version: number,
    spec: ServiceSpec | Readonly<Record<string, unknown>>,
  ): Promise<void> {
    await this.#calls.whole(`update service ${quote(id)}`, {
      method: "POST",
      path: ["services", id, "update"],
      query: { version },
      json: spec,
    });
  }

  /**
   * Removes a service; one that is not there is fine. Its tasks are asked to stop then, and are listed
   * by {@linkcode tasks} until they have.
   */
  async removeService(id: string): Promise<void> {
    const ask: Ask = { method: "DELETE", path: ["services", id] };
    await this.#unlessMissing(`remove service ${quote(id)}`, ask);
  }

  /**
   * Tasks, those that have ended too: a Swarm keeps the last five of a slot. `labels` are those of
   * their services, `namePrefix` is the beginning of their service's name.
   */
  async tasks(wanted: Wanted): Promise<Task[]> {
    return (await this.#list("list tasks", "tasks", wanted)).map(readTask);
  }

  /**
   * Makes a config.
   * @returns its id
   * @throws {DockerError} httpStatus 409 if the name is taken
   */
  createConfig(name: string, labels: Record<string, string>, bytes: Uint8Array): Promise<string> {
    return this.#createFile("config", name, labels, bytes);
  }

  /** The configs that have all these labels, and names that begin so. */
  configs(wanted: Wanted): Promise<SwarmFile[]> {
    return this.#files("config", wanted);
  }

  /**
   * Removes a config by its id or name; one that is not there is fine.
   * @throws {DockerError} kind `in-use` while a service has it
   */
  removeConfig(id: string): Promise<void> {
    return this.#removeFile("config", id);
  }

  /** Makes a secret, as {@linkcode createConfig} does. */
  createSecret(name: string, labels: Record<string, string>, bytes: Uint8Array): Promise<string> {
    return this.#createFile("secret", name, labels, bytes);
  }

  /** The secrets that have all these labels, and names that begin so. */
  secrets(wanted: Wanted): Promise<SwarmFile[]> {
    return this.#files("secret", wanted);
  }

  /** Removes a secret, as {@linkcode removeConfig} does. */
  removeSecret(id: string): Promise<void> {
    return this.#removeFile("secret", id);
  }

  /**
   * The lines that a task's container wrote, wherever it runs: the last `tail`, or all. Reading ends at
   * 1 MiB, and the last line may then be cut. Of a node that is down, a line says that there is no
   * more; one that has just vanished may be waited for in vain, so give a signal where that matters.
   */
  async taskLogs(
    id: string,
    options: { tail?: number; signal?: AbortSignal } = {},
  ): Promise<LogLine[]> {
    const answer = await this.#calls.open(`give the logs of task ${quote(id)}`, {
      method: "GET",
      path: ["tasks", id, "logs"],
      query: { stdout: true, stderr: true, tail: options.tail ?? "all" },
      signal: options.signal,
    });
    const found: LogLine[] = [];
    await readLogs(answer.body, (line) => found.push(line), MAX_LOG_BYTES);
    return found;
  }

  /**
   * Calls back for each line that a task's container writes from this call on, until aborted or until
   * the container ends.
   */
  followTaskLogs(id: string, onLine: (line: LogLine) => void, signal: AbortSignal): void {
    this.#calls.open(`give the logs of task ${quote(id)}`, {
      method: "GET",
      path: ["tasks", id, "logs"],
      query: {
        stdout: true,
        stderr: true,
        follow: true,
        since: (Date.now() / 1000).toFixed(3),
      },
      headMs: Infinity,
      bodyMs: Infinity,
      signal,
    }).then(({ body }) => readLogs(body, onLine)).catch(() => {
      // Nobody waits any more, or the task is gone, which a look at it tells.
    });
  }

  /**
   * What happens to objects of these types (`service`, `node`, `config`, `secret`), from this call on:
   * comes back once the manager is listening. An event may come twice. Ends when the manager ends it;
   * throws the signal's reason. Only the signal interrupts a wait for the next event.
   */
  async events(
    types: readonly string[],
    signal: AbortSignal,
  ): Promise<AsyncGenerator<EngineEvent>> {
    const since = await this.#calls.now();
    return await openEvents(this.#calls, { labels: {}, types, since }, signal);
  }

  async #list(what: string, kind: string, wanted: Wanted): Promise<Shape[]> {
    const query = { filters: swarmFilters(wanted) };
    const answer = await this.#calls.whole(what, { method: "GET", path: [kind], query });
    return Shape.list(parseJson(answer.bytes, what), what);
  }

  async #createFile(
    kind: FileKind,
    name: string,
    labels: Record<string, string>,
    bytes: Uint8Array,
  ): Promise<string> {
    const json = { Name: name, Labels: labels, Data: bytes.toBase64() };
    const ask: Ask = { method: "POST", path: [`${kind}s`, "create"], json };
    return (await this.#calls.json(`create ${kind} ${quote(name)}`, ask)).text("ID");
  }

  async #files(kind: FileKind, wanted: Wanted): Promise<SwarmFile[]> {
    return (await this.#list(`list ${kind}s`, `${kind}s`, wanted)).map(readSwarmFile);
  }

  async #removeFile(kind: FileKind, id: string): Promise<void> {
    const ask: Ask = { method: "DELETE", path: [`${kind}s`, id] };
    await this.#unlessMissing(`remove ${kind} ${quote(id)}`, ask);
  }

  /** The answer, undefined if there is no such object. Without a leader some calls are 404, too. */
  async #unlessMissing(what: string, ask: Ask): Promise<Uint8Array | undefined> {
    const { status, bytes } = await this.#calls.whole(what, ask, [404]);
    if (status !== 404) return bytes;
    const message = errorMessage(bytes);
    if (swarmKind(message)) throw refused(what, status, message);
    return undefined;
  }
}
