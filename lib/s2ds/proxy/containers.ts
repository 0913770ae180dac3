/**
 * Proxies as containers of a Docker Engine, which restarts them itself when they end, and after its
 * own restart.
 * @module
 */
import {
  type Container,
  type ContainerSpec,
  DockerEngine,
  DockerError,
  type DockerHost,
} from "../../docker/engine.ts";
import type { Endpoint } from "../../protocol/endpoint.ts";
import { messageOf, ScistreamError } from "../../protocol/errors.ts";
import { containerName, containerSpec, LABELS } from "./container_spec.ts";
import { gist } from "./gist.ts";
import { DidNotStart } from "./ports_in_use.ts";
import type { Job, Paths, Proxy, Runner, RunnerEvents } from "./proxy.ts";
import { type Reach, SentFiles, SharedFolder } from "./reach.ts";
import { pause } from "../wait.ts";

/** A container may take this long to listen, and a check to end. */
const PATIENCE_MS = 30_000;
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 10_000;
/** Where containers come from. */
export interface ContainerSettings {
  /** The data server type, which containers are named and labelled after. */
  type: string;
  /** Where the engine is. */
  host: DockerHost;
  /** Taken instead of the proxy's own image. */
  image?: string;
}

/** A container that is to be there. */
interface Kept {
  job: Job;
  command: string[];
  id: string;
  /** Set while it is being brought back. */
  down: boolean;
  /** Set once it is to be brought back no more; resolved when it ends. */
  ending?: PromiseWithResolvers<void>;
}

/** Runs each session's proxy in a container of its own. */
export class Containers implements Runner {
  readonly #settings: ContainerSettings;
  readonly #events: RunnerEvents;
  readonly #engine: DockerEngine;
  readonly #reach: Reach;
  readonly #all = new Map<string, Kept>();
  /** Released while the engine was away: removed when it is back. */
  readonly #left = new Set<string>();
  readonly #over = new AbortController();
  /** Of the events that are being followed. */
  #connected = new AbortController();
  #gateway = "";
  #image = "";
  /** Rootless engines map root to whoever runs them. */
  #rootless = false;
  #following?: Promise<void>;

  constructor(settings: ContainerSettings, events: RunnerEvents) {
    this.#settings = settings;
    this.#events = events;
    this.#engine = new DockerEngine({ host: settings.host });
    this.#reach = settings.host.kind === "unix" ? new SharedFolder() : new SentFiles(this.#engine);
  }

  get isHere(): boolean {
    return this.#reach.isHere;
  }

  async start(
    proxy: Proxy,
    gateway: Endpoint,
    _sessions: string,
    kept: readonly Job[],
  ): Promise<void> {
    this.#gateway = String(gateway);
    this.#image = this.#settings.image ?? proxy.image;
    const info = await this.#engine.info();
    this.#rootless = info.SecurityOptions.some((option) => option.includes("rootless"));
    await this.#ensureImage();
    const left = await this.#engine.list({ labels: this.#mine, all: true });
    const sessions = new Set(kept.map(({ session }) => session));
    await Promise.all(left.map(async ({ Id, Names, Labels }) => {
      if (sessions.has(Labels[LABELS.session] ?? "")) return;
      this.#events.onLog("warn", `removing ${Names[0]}, which an earlier control server left`);
      await this.#engine.remove(Id, { force: true });
    }));
    await this.#reach.tidy(this.#mine);
    const following = Promise.withResolvers<void>();
    this.#following = this.#follow(following.resolve);
    await following.promise;
  }

  paths({ proxy }: Job): Paths {
    return { config: proxy.configFolder, run: this.#reach.run };
  }

  async check(job: Job, command: string[]): Promise<void> {
    const spec = this.#spec(job, command);
    spec.HostConfig.RestartPolicy = { Name: "no" };
    const name = `${containerName(this.#settings.type, job)}-check-${
      crypto.randomUUID().slice(0, 8)
    }`;
    const id = await this.#engine.create(name, spec);
    try {
      await this.#reach.deliver(id, job, this.#rootless);
      await this.#engine.start(id);
      const code = await this.#engine.wait(id, AbortSignal.timeout(PATIENCE_MS));
      if (code === 0) return;
      throw new ScistreamError(
        "CONN_ERROR",
        `${job.proxy.name} refuses its configuration: ${await this.#gist(id, job)}`,
      );
    } finally {
      await this.#engine.remove(id, { force: true });
    }
  }

  async run(job: Job, command: string[]): Promise<void> {
    const id = await this.#launch(job, command);
    this.#all.set(job.session, { job, command, id, down: false });
  }

  async adopt(job: Job, command: string[]): Promise<boolean> {
    const labels = { ...this.#mine, [LABELS.session]: job.session };
    const found = await this.#engine.list({ labels, all: true });
    const running = found.find(({ State }) => State === "running");
    for (const { Id } of found) {
      if (Id !== running?.Id) await this.#engine.remove(Id, { force: true });
    }
    if (!running) return false;
    this.#all.set(job.session, { job, command, id: running.Id, down: false });
    return true;
  }

  async reconcile(has: (session: string) => boolean): Promise<void> {
    try {
      await this.#reconcileAll(has);
    } catch (error) {
      // Over TCP events just do not come any more from a host that is cut off.
      if (error instanceof DockerError && error.kind === "unreachable") {
        this.#connected.abort(error);
      }
      throw error;
    }
  }

  async #reconcileAll(has: (session: string) => boolean): Promise<void> {
    await this.#removeLeft();
    for (
      const { Id, Names, Labels } of await this.#engine.list({ labels: this.#mine, all: true })
    ) {
      if (has(Labels[LABELS.session] ?? "") || this.#left.has(Id)) continue;
      this.#events.onLog("warn", `removing ${Names[0]}, which no session has`);
      await this.#engine.remove(Id, { force: true });
    }
    await this.#reach.tidy(this.#mine);
  }

  endIn(): Promise<void> {
    // What runs for a session is found by its labels.
    return Promise.resolve();
  }

  async deliver(job: Job): Promise<void> {
    const kept = this.#all.get(job.session);
    if (kept) await this.#reach.deliver(kept.id, job, this.#rootless);
  }

  async signal(job: Job, signal: Deno.Signal): Promise<void> {
    await this.#engine.kill(this.#idOf(job), signal);
  }

  async log(job: Job): Promise<string[]> {
    const kept = this.#all.get(job.session);
    if (!kept) return [];
    return (await this.#engine.logText(kept.id, 200)).split("\n").filter(Boolean);
  }

  async follow(job: Job, onLine: (line: string) => void, signal: AbortSignal): Promise<void> {
    await this.#engine.followLogs(this.#idOf(job), ({ text }) => onLine(text), signal);
  }

  async end(
    job: Job,
    drain: () => Promise<void>,
    drainMs: number,
    hurry: AbortSignal,
  ): Promise<void> {
    const kept = this.#all.get(job.session);
    if (!kept) return;
    kept.ending = Promise.withResolvers();
    try {
      if (drainMs > 0 && !hurry.aborted && !kept.down) {
        const enough = AbortSignal.any([hurry, AbortSignal.timeout(drainMs)]);
        enough.addEventListener("abort", () => kept.ending?.resolve(), { once: true });
        drain().catch((error) => {
          // One that has ended, or is not given the time, need not answer.
          if (hurry.aborted) return;
          this.#events.onLog("warn", `session ${job.id}: ${messageOf(error)}`);
          kept.ending?.resolve();
        });
        await kept.ending.promise;
      }
    } finally {
      this.#all.delete(job.session);
      this.#left.add(kept.id);
      await this.#removeLeft();
    }
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await this.#following;
    const left = await this.#engine.list({ labels: this.#mine, all: true });
    await Promise.all(left.map(({ Id }) => this.#engine.remove(Id, { force: true })));
  }

  async leave(): Promise<void> {
    this.#over.abort();
    await this.#following;
  }

  get #mine(): Record<string, string> {
    return { [LABELS.gateway]: this.#gateway };
  }

  #idOf(job: Job): string {
    const kept = this.#all.get(job.session);
    if (kept && !kept.down) return kept.id;
    throw new ScistreamError(
      "CONN_ERROR",
      `the container of ${job.proxy.name} is not running; it is being started`,
    );
  }

  async #ensureImage(): Promise<void> {
    if (await this.#engine.inspectImage(this.#image)) return;
    const { onLog } = this.#events;
    onLog("info", `image ${this.#image} is not on this engine; pulling it`);
    let last = 0;
    try {
      await this.#engine.pull(this.#image, (line) => {
        // Progress comes many times a second.
        if (Date.now() - last < 1_000) return;
        last = Date.now();
        onLog("info", `pulling ${this.#image}: ${line}`);
      });
    } catch (error) {
      throw new ScistreamError(
        "CONN_ERROR",
        `${
          messageOf(error)
        }; load the image, make one with scripts/images.sh, or name another with --image`,
        { cause: error },
      );
    }
    onLog("info", `image ${this.#image} is here`);
  }

  /** Creates and starts the container, and waits until the proxy listens. */
  async #launch(job: Job, command: string[]): Promise<string> {
    await this.#reach.forget(job);
    const id = await this.#create(
      containerName(this.#settings.type, job),
      this.#spec(job, command),
    );
    const stop = new AbortController();
    try {
      const patience = AbortSignal.any([stop.signal, AbortSignal.timeout(PATIENCE_MS)]);
      await this.#reach.deliver(id, job, this.#rootless);
      await this.#engine.start(id);
      const ready = this.#reach.listening(id, job, patience);
      const ended = this.#engine.wait(id, stop.signal);
      ready.catch(() => {});
      ended.catch(() => {});
      const code = await Promise.race([ready, ended]);
      if (code === undefined) return id;
      const lines = (await this.#engine.logText(id, 20)).split("\n");
      throw new DidNotStart(
        `${job.proxy.name} ended with exit code ${code}: ${gist(lines, job)}`,
        lines,
      );
    } catch (error) {
      const late = error instanceof DOMException;
      const said = late ? `${job.proxy.name} does not start: ${await this.#gist(id, job)}` : "";
      await this.#engine.remove(id, { force: true });
      throw late ? new ScistreamError("CONN_ERROR", said) : error;
    } finally {
      stop.abort();
    }
  }

  /**
   * Creates a session's container. Where its name is taken, by one of ours that goes, or by the other
   * side's gateway on the same engine, which has the same session: then the gateway is added.
   */
  async #create(name: string, spec: ContainerSpec): Promise<string> {
    const longer = `${name}-${this.#gateway.replaceAll(/[^0-9A-Za-z]+/g, "-")}`;
    for (const each of [name, longer, longer]) {
      try {
        return await this.#engine.create(each, spec);
      } catch (error) {
        if (!isConflict(error)) throw error;
        const other = await this.#engine.inspect(each);
        if (other?.Config.Labels[LABELS.gateway] === this.#gateway) {
          await this.#engine.remove(other.Id, { force: true });
        }
      }
    }
    throw new ScistreamError(
      "CONN_ERROR",
      `the Docker Engine has containers named ${name} and ${longer} that are not ours; remove them`,
    );
  }

  #spec(job: Job, command: string[]): ContainerSpec {
    return containerSpec(job, {
      command,
      type: this.#settings.type,
      image: this.#image,
      gateway: this.#gateway,
      access: this.#reach.access(job, this.#rootless, this.#mine),
    });
  }

  /** Watches the engine's events for as long as this lives. */
  async #follow(established: () => void): Promise<void> {
    const { signal } = this.#over;
    for (let wait = FIRST_RETRY_MS; !signal.aborted; wait = Math.min(wait * 2, LAST_RETRY_MS)) {
      this.#connected = new AbortController();
      try {
        const events = await this.#engine.events(
          { labels: this.#mine, types: ["container"] },
          AbortSignal.any([signal, this.#connected.signal]),
        );
        established();
        await this.#reconcile();
        wait = FIRST_RETRY_MS;
        for await (const { Action, Actor } of events) {
          const kept = [...this.#all.values()].find(({ id }) => id === Actor.ID);
          if (kept?.ending && Action === "die") kept.ending.resolve();
          else if (kept && !kept.ending) this.#see(kept, Action, Actor.Attributes);
        }
        throw new Error("it ended its events");
      } catch (error) {
        if (signal.aborted) return;
        const reason = `the Docker Engine is gone: ${messageOf(error)}`;
        for (const kept of this.#all.values()) this.#down(kept, reason);
        if (wait === FIRST_RETRY_MS) this.#events.onLog("error", reason);
      }
      await pause(wait, signal);
    }
  }

  #see(kept: Kept, action: string, attributes: Record<string, string>): void {
    const { proxy } = kept.job;
    if (action === "oom") {
      this.#events.onLog("error", `session ${kept.job.id}: the container ran out of memory`);
    } else if (action === "die") {
      this.#down(
        kept,
        `${proxy.name} ended with exit code ${attributes.exitCode}; it is being started again`,
      );
      // The engine restarts what ends by itself, and takes this call for done; but what was killed or
      // stopped through its API it leaves.
      const { id } = kept;
      this.#engine.start(id).catch((error) => {
        // One that was removed is made anew when that is told, and perhaps has been by now.
        const isGone = error instanceof DockerError && error.httpStatus === 404;
        if (kept.id === id && !isGone) this.#down(kept, messageOf(error));
      });
    } else if (action === "start") {
      this.#up(kept);
    } else if (action === "destroy") {
      this.#down(kept, "the container was removed; it is made anew");
      this.#remake(kept);
    }
  }

  async #removeLeft(): Promise<void> {
    await Promise.all([...this.#left].map(async (id) => {
      await this.#engine.remove(id, { force: true });
      this.#left.delete(id);
    }));
  }

  /** After the engine was away: what is there runs or is started, what is not is made anew. */
  async #reconcile(): Promise<void> {
    await this.#removeLeft();
    await Promise.all([...this.#all.values()].map(async (kept) => {
      if (kept.ending) return;
      const found: Container | undefined = await this.#engine.inspect(kept.id);
      if (!found) return await this.#remake(kept);
      if (!found.State.Running) await this.#engine.start(kept.id);
      this.#up(kept);
    }));
  }

  async #remake(kept: Kept): Promise<void> {
    const wanted = () => !kept.ending && !this.#over.signal.aborted;
    for (let wait = FIRST_RETRY_MS; wanted(); wait = Math.min(wait * 2, LAST_RETRY_MS)) {
      try {
        await this.#reach.tidy(this.#mine);
        const id = await this.#launch(kept.job, kept.command);
        if (!wanted()) return await this.#engine.remove(id, { force: true });
        kept.id = id;
        return this.#up(kept);
      } catch (error) {
        this.#down(kept, `${messageOf(error)}; next try within ${wait} ms`);
        await pause(wait, this.#over.signal);
      }
    }
  }

  #down(kept: Kept, reason: string): void {
    if (kept.ending) return;
    kept.down = true;
    this.#events.onDown(kept.job, reason);
  }

  #up(kept: Kept): void {
    if (!kept.down) return;
    kept.down = false;
    this.#events.onUp(kept.job);
  }

  async #gist(id: string, job: Job): Promise<string> {
    return gist((await this.#engine.logText(id, 20)).split("\n"), job);
  }
}

/** The name is taken. */
function isConflict(error: unknown): boolean {
  return error instanceof DockerError && error.httpStatus === 409;
}
