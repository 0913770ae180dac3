/**
 * The Docker Engine's API 1.41 to 1.47 (docs.docker.com/reference/api/engine) over its Unix socket,
 * or over TCP.
 * @module
 */
import { quote } from "../protocol/errors.ts";
import { readContainer, readImage, readInfo, readSummary } from "./answers.ts";
import { Calls } from "./calls.ts";
import { DockerError, noImage, oneLine, refused } from "./errors.ts";
import { openEvents } from "./events.ts";
import type { DockerHost } from "./host.ts";
import { jsonLines } from "./json_lines.ts";
import { readLogs } from "./logs.ts";
import { filters, reference } from "./query.ts";
import { errorMessage, parseJson, Shape } from "./shape.ts";
import type { Ask } from "./transport.ts";
import type {
  Container,
  ContainerSpec,
  ContainerSummary,
  EngineEvent,
  EngineImage,
  EngineInfo,
  LogLine,
} from "./types.ts";

export * from "./types.ts";
export { DockerError, type DockerErrorKind } from "./errors.ts";
export type { DockerHost } from "./host.ts";

/** How long an engine may take to begin and to end an answer. */
const PATIENCE_MS = 30_000;
/** A pull's first line comes after the registry's, which may be slow to be found. */
const PULL_PATIENCE_MS = 120_000;
const MAX_LOG_BYTES = 1 << 20;

/**
 * A Docker Engine, or podman's socket that behaves like one. One connection a call; safe to share.
 *
 * Every call fails with a {@linkcode DockerError}, or with its signal's reason. Calls that name a
 * container take its id or its name.
 *
 * What podman does otherwise is in {@link ./podman.ts}.
 */
export class DockerEngine {
  readonly #calls: Calls;

  /**
   * `socket` is the path of one of this host; nothing is connected before the first call. `patienceMs` is
   * for tests.
   */
  constructor(options: ({ host: DockerHost } | { socket: string }) & { patienceMs?: number }) {
    const host: DockerHost = "host" in options
      ? options.host
      : { kind: "unix", path: options.socket };
    this.#calls = new Calls(host, options.patienceMs ?? PATIENCE_MS);
  }

  /** The version of the API that is spoken, such as `1.41`: asked once, and again after a failure. */
  version(): Promise<string> {
    return this.#calls.version();
  }

  /** What the engine says of itself and its host. */
  async info(): Promise<EngineInfo> {
    const what = "tell about itself";
    return readInfo(await this.#calls.json(what, { method: "GET", path: ["info"] }));
  }

  /**
   * Makes a container and does not start it.
   * @returns its id
   * @throws {DockerError} kind `no-image`; httpStatus 409 if the name is taken
   */
  async create(name: string, spec: ContainerSpec): Promise<string> {
    const what = `create container ${quote(name)}`;
    const answer = await this.#calls.whole(
      what,
      { method: "POST", path: ["containers", "create"], query: { name }, json: spec },
      [404],
    );
    if (answer.status === 404) {
      const cause = refused(what, 404, errorMessage(answer.bytes));
      throw noImage(spec.Image, 404, cause);
    }
    return new Shape(parseJson(answer.bytes, what), what).text("Id");
  }

  /** Starts a container; one that runs already is fine. */
  async start(id: string): Promise<void> {
    const ask: Ask = { method: "POST", path: ["containers", id, "start"] };
    await this.#calls.whole(`start container ${quote(id)}`, ask, [304]);
  }

  /**
   * Asks a container to stop and kills it after so many seconds; one that does not run is fine.
   * Comes back when it has stopped. An abort ends the waiting, not the stopping.
   */
  async stop(id: string, timeoutSeconds: number, signal?: AbortSignal): Promise<void> {
    const what = `stop container ${quote(id)}`;
    await this.#calls.whole(what, {
      method: "POST",
      path: ["containers", id, "stop"],
      query: { t: timeoutSeconds },
      headMs: timeoutSeconds * 1_000 + PATIENCE_MS,
      signal,
    }, [304]);
  }

  /** Sends a signal, such as `SIGUSR2`, to a container's first process. httpStatus 409 if it does not run. */
  async kill(id: string, signalName: string): Promise<void> {
    await this.#calls.whole(`send ${quote(signalName)} to container ${quote(id)}`, {
      method: "POST",
      path: ["containers", id, "kill"],
      query: { signal: signalName },
    });
  }

  /**
   * Removes a container with its anonymous volumes; one that is not there is fine, and one that is
   * being removed already is waited for. Without `force`, httpStatus 409 if it runs.
   */
  async remove(id: string, options: { force: boolean }): Promise<void> {
    const what = `remove container ${quote(id)}`;
    const ask: Ask = {
      method: "DELETE",
      path: ["containers", id],
      query: { force: options.force, v: true },
    };
    let answer = await this.#calls.whole(what, ask, [404, 409, 500]);
    // podman could not kill it, because it ended at that moment.
    if (
      answer.status === 500 && /container state improper: stopped/.test(errorMessage(answer.bytes))
    ) {
      answer = await this.#calls.whole(what, ask, [404, 409, 500]);
    }
    if (answer.status < 409) return;
    const message = errorMessage(answer.bytes);
    if (!/already in progress/i.test(message)) throw refused(what, answer.status, message);
    const gone: Ask = {
      method: "POST",
      path: ["containers", id, "wait"],
      query: { condition: "removed" },
    };
    await this.#calls.whole(what, gone, [404]);
  }

  /**
   * Waits until a container does not run.
   * @returns its exit code, 0 at once for one that was never started
   */
  async wait(id: string, signal?: AbortSignal): Promise<number> {
    const what = `wait for container ${quote(id)}`;
    const answer = await this.#calls.json(what, {
      method: "POST",
      path: ["containers", id, "wait"],
      headMs: Infinity,
      bodyMs: Infinity,
      signal,
    });
    return answer.number("StatusCode");
  }

  /** A container as it is now; undefined if there is none. */
  async inspect(id: string): Promise<Container | undefined> {
    const what = `inspect container ${quote(id)}`;
    const ask: Ask = { method: "GET", path: ["containers", id, "json"] };
    const answer = await this.#calls.jsonIfAny(what, ask);
    return answer && readContainer(answer);
  }

  /** The containers that have all these labels: those that run, or all. */
  async list(
    options: { labels: Record<string, string>; all?: boolean },
  ): Promise<ContainerSummary[]> {
    const what = "list containers";
    const answer = await this.#calls.whole(what, {
      method: "GET",
      path: ["containers", "json"],
      query: { all: options.all ?? false, filters: filters({ labels: options.labels }) },
    });
    return Shape.list(parseJson(answer.bytes, what), what).map(readSummary);
  }

  /**
   * The lines that a container wrote: the last `tail`, or all. Reading ends at 1 MiB, and the last
   * line may then be cut.
   */
  async logs(id: string, options: { tail?: number } = {}): Promise<LogLine[]> {
    const what = `give the logs of container ${quote(id)}`;
    const answer = await this.#calls.open(what, {
      method: "GET",
      path: ["containers", id, "logs"],
      query: { stdout: true, stderr: true, tail: options.tail ?? "all" },
    });
    const found: LogLine[] = [];
    await readLogs(answer.body, (line) => found.push(line), MAX_LOG_BYTES);
    return found;
  }

  /**
   * Calls back for each line that a container writes from now on, or has since its start, until aborted
   * or until the container ends. Comes back when no further line is missed.
   */
  async followLogs(
    id: string,
    onLine: (line: LogLine) => void,
    signal: AbortSignal,
    from: "now" | "start" = "now",
  ): Promise<void> {
    const since = from === "now" ? await this.#calls.now() : undefined;
    this.#calls.open(`give the logs of container ${quote(id)}`, {
      method: "GET",
      path: ["containers", id, "logs"],
      query: {
        stdout: true,
        stderr: true,
        follow: true,
        // So that no line is missed, whenever the engine gets to it; podman begins its answer only
        // with the first line.
        since,
      },
      headMs: Infinity,
      bodyMs: Infinity,
      signal,
    }).then(({ body }) => readLogs(body, onLine)).catch(() => {
      // Nobody waits any more, or the container is gone, which its events tell.
    });
  }

  /** The last lines that a container wrote to either stream, one under the other. */
  async logText(id: string, tail: number): Promise<string> {
    return (await this.logs(id, { tail })).map(({ text }) => text).join("\n");
  }

  /**
   * What happens to what has all these labels, from this call on: comes back once the engine is
   * listening. An event may come twice. Ends when the engine ends it; throws the signal's reason.
   * Only the signal interrupts a wait for the next event.
   */
  async events(
    options: { labels: Record<string, string>; types?: string[] },
    signal: AbortSignal,
  ): Promise<AsyncGenerator<EngineEvent>> {
    return await openEvents(this.#calls, { ...options, since: await this.#calls.now() }, signal);
  }

  /** An image that the engine has, by name or id; undefined if it has not. */
  async inspectImage(name: string): Promise<EngineImage | undefined> {
    const what = `inspect image ${quote(name)}`;
    const ask: Ask = { method: "GET", path: ["images", name, "json"] };
    const answer = await this.#calls.jsonIfAny(what, ask);
    return answer && readImage(answer);
  }

  /**
   * Has the engine fetch an image; without tag and digest, `latest`. `onProgress` gets a line for
   * each step.
   */
  async pull(
    name: string,
    onProgress: (line: string) => void,
    signal?: AbortSignal,
  ): Promise<void> {
    const what = `pull image ${quote(name)}`;
    const answer = await this.#calls.open(what, {
      method: "POST",
      path: ["images", "create"],
      query: reference(name),
      headMs: PULL_PATIENCE_MS,
      bodyMs: Infinity,
      signal,
    });
    for await (const line of jsonLines(answer.body, what)) {
      const step = new Shape(line, what);
      // The status was 200 long before this went wrong.
      const error = step.text("error", "");
      if (error) {
        throw new DockerError("engine", `the Docker Engine could not ${what}: ${oneLine(error)}`);
      }
      const [id, status, progress] = ["id", "status", "progress"].map((key) => step.text(key, ""));
      const said = [id && status ? `${id}:` : id, status, progress].filter(Boolean).join(" ");
      if (said) onProgress(oneLine(said));
    }
  }

  /** Removes the volumes that have all these labels and no container, such as one that was removed by hand. */
  async pruneVolumes(labels: Record<string, string>): Promise<void> {
    await this.#calls.whole("remove volumes", {
      method: "POST",
      path: ["volumes", "prune"],
      query: { filters: filters({ labels }) },
    });
  }

  /** Unpacks a tar archive into a folder of a container, which need not run. */
  async putArchive(id: string, path: string, tar: Uint8Array): Promise<void> {
    await this.#calls.whole(`put files into container ${quote(id)}`, {
      method: "PUT",
      path: ["containers", id, "archive"],
      query: { path },
      bytes: { type: "application/x-tar", bytes: tar },
    });
  }
}
