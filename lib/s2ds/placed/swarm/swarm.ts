/**
 * Docker Swarm: each session is a service, held to the node that was chosen for it. The Swarm keeps
 * the sessions, starts what ends, and hands out configurations and keys.
 * @module
 */
import { DockerEngine } from "../../../docker/engine.ts";
import type { DockerHost } from "../../../docker/host.ts";
import { Swarm, type Task } from "../../../docker/swarm.ts";
import { reach } from "../../../fault_points.ts";
import { messageOf, ScistreamError } from "../../../protocol/errors.ts";
import { NodeFault } from "../../data_server.ts";
import { pause } from "../../wait.ts";
import type {
  Orchestrator,
  OrchestratorEvents,
  OrchestratorStart,
  Placed,
} from "../orchestrator.ts";
import { SwarmNodes } from "./nodes.ts";
import { latest, Services, SessionExists, troubleOf } from "./services.ts";
import {
  type FileOfSwarm,
  LABELS,
  type Making,
  noted,
  rolled,
  serviceSpec,
  windingUp,
} from "./spec.ts";

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 10_000;
/** Beside the time that connections are given to finish: for the engines to notice. */
const SLACK_MS = 15_000;

/** Where a Swarm is, and whose its sessions are. */
export interface SwarmSettings {
  /** The Docker Engine of a manager. */
  host: DockerHost;
  /** Whichever control server has this name has the sessions. */
  name: string;
  /** Taken instead of the program's own image. */
  image?: string;
}

/** A session as long as it is there. */
interface Kept {
  id: string;
  node: string;
  service: string;
  /** Why it does not run, as was told last. */
  down: string;
  ending: boolean;
  /** Its latest task, as was seen last. */
  task?: Task;
}

/** Runs each session's program as a service of a Swarm. */
export class SwarmOrchestrator implements Orchestrator {
  readonly remembers = true;
  readonly #settings: SwarmSettings;
  readonly #events: OrchestratorEvents;
  readonly #swarm: Swarm;
  readonly #services: Services;
  readonly #all = new Map<string, Kept>();
  /** Being made, perhaps anew. */
  readonly #opening = new Set<string>();
  /** Whose a service is, by its id. */
  readonly #sessionOf = new Map<string, string>();
  /** The services that were there at the beginning, by their sessions, until they are taken over. */
  #found?: Map<string, { id: string; name: string }>;
  /** Ended while no manager answered: removed when one does. */
  readonly #left = new Set<string>();
  /** Being removed. */
  readonly #removing = new Map<string, Promise<void>>();
  readonly #over = new AbortController();
  #nodes = new SwarmNodes([], () => {});
  /** What was said of nodes' labels, once each. */
  readonly #warned = new Set<string>();
  #making?: Making;
  #following?: Promise<void>;

  constructor(settings: SwarmSettings, events: OrchestratorEvents) {
    const { host, name } = settings;
    this.#settings = settings;
    this.#events = events;
    this.#swarm = new Swarm({ host });
    this.#services = new Services(this.#swarm, name);
  }

  async start({ program, limits, drainMs, kept }: OrchestratorStart): Promise<void> {
    await this.#assertManager();
    const image = await this.#image(this.#settings.image ?? program.image);
    this.#making = { swarm: this.#settings.name, program, image, limits, drainMs };
    await this.#lookAtNodes();
    if (this.#nodes.open.length === 0) {
      this.#events.onLog(
        "warn",
        `no node of the Swarm is a gateway yet; make one: docker node update --label-add ${LABELS.wan}=IP --label-add ${LABELS.lan}=IP NODE`,
      );
    }
    const known = new Set(kept);
    this.#found ??= await this.#find();
    const services = new Set(this.#found.keys());
    for (const [session, { name }] of this.#found) {
      if (known.has(session)) continue;
      this.#found.delete(session);
      this.#events.onLog("warn", `service ${name} is of no session that can be read; it stays`);
    }
    await this.#sweep(services);
    const following = Promise.withResolvers<void>();
    this.#following = this.#follow(following.resolve);
    await following.promise;
  }

  nodes() {
    return this.#nodes.open;
  }

  async found(): Promise<string[]> {
    await this.#assertManager();
    const records: string[] = [];
    this.#found = await this.#find((record) => records.push(record));
    return records;
  }

  /** All services by their sessions; `tell` is told their records. */
  async #find(tell: (record: string) => void = () => {}) {
    return new Map(
      await this.#services.all(({ ID: id, Spec: { Name: name, Labels } }) => {
        const { [LABELS.record]: record, [LABELS.session]: session = "" } = Labels;
        if (record !== undefined) tell(record);
        return [session, { id, name }] as const;
      }),
    );
  }

  async run(placed: Placed): Promise<void> {
    const { session, id, node } = placed;
    const made = this.#made;
    const nodeId = this.#nodeId(node);
    this.#opening.add(session);
    try {
      await this.#removing.get(session)?.catch(() => {});
      const [config, ...secrets] = await Promise.all([
        this.#services.put("config", session, placed.config),
        ...(placed.secrets ?? []).map((file) => this.#services.put("secret", session, file)),
      ]) as [FileOfSwarm, ...FileOfSwarm[]];
      reach("req.prepared");
      const spec = serviceSpec(placed, nodeId, { config, secrets }, made);
      const service = await this.#services.create(spec);
      const kept: Kept = { id, node, service, down: "", ending: false };
      kept.task = await this.#listening(placed, service, new Set());
      this.#keep(session, kept);
    } catch (error) {
      // What another control server has of this session is not ours to end; its files are in use.
      if (error instanceof SessionExists) {
        await this.#services.removeFiles(session, { secrets: true });
      } else await this.#remove(session, SLACK_MS);
      throw error;
    } finally {
      this.#opening.delete(session);
    }
  }

  async adopt({ session, id, node }: Placed): Promise<boolean> {
    const service = this.#found?.get(session)?.id ?? (await this.#services.of(session))?.ID;
    this.#found?.delete(session);
    if (service === undefined) {
      await this.#services.removeFiles(session, { secrets: true });
      return false;
    }
    this.#keep(session, { id, node, service, down: "", ending: false });
    return true;
  }

  #keep(session: string, kept: Kept): void {
    this.#all.set(session, kept);
    this.#sessionOf.set(kept.service, session);
  }

  #drop(session: string): void {
    this.#sessionOf.delete(this.#all.get(session)?.service ?? "");
    this.#all.delete(session);
  }

  async roll(placed: Placed): Promise<void> {
    const { session, node } = placed;
    const kept = this.#keptOf(session);
    const nodeId = this.#nodeId(node);
    const before = new Set((await this.#services.tasks(session)).map(({ ID }) => ID));
    const config = await this.#services.put("config", session, placed.config);
    const { service } = kept;
    const old = await this.#services.update(
      service,
      (spec) => rolled(spec, placed, nodeId, config, this.#made.program),
    );
    try {
      kept.task = await this.#listening(placed, service, before);
      kept.node = node;
      const { signal } = this.#over;
      const nodes = () => this.#nodes;
      await this.#services.left(session, before, this.#made.program, nodes, signal);
    } catch (error) {
      // What runs for the old one runs on, where it can.
      await this.#services.update(service, () => old);
      throw error;
    } finally {
      await this.#services.removeFiles(session, { secrets: false });
    }
  }

  async note(session: string, record: string): Promise<void> {
    const { service } = this.#keptOf(session);
    await this.#services.update(service, (spec) => noted(spec, record));
  }

  async end(session: string): Promise<void> {
    const kept = this.#all.get(session);
    if (!kept) return;
    kept.ending = true;
    this.#drop(session);
    this.#left.add(session);
    // A container's grace is set when it is made: no Swarm gives it less.
    await this.#remove(session, this.#made.drainMs + SLACK_MS);
  }

  /**
   * Removes all of a session, in two steps: its containers wind up, by a service that says so to whoever
   * takes it over meanwhile, and then the service goes. The leader of a Swarm of Docker 20.10 dies (a
   * panic in SetServiceTasksRemove) when a service is removed at the moment that a task of it is.
   */
  #remove(session: string, ms: number): Promise<void> {
    const removing = this.#removing.get(session) ??
      this.#removeNow(session, ms).finally(() => this.#removing.delete(session));
    this.#removing.set(session, removing);
    return removing;
  }

  async #removeNow(session: string, ms: number): Promise<void> {
    const service = await this.#services.of(session);
    if (service) {
      const enough = AbortSignal.any([AbortSignal.timeout(ms), this.#over.signal]);
      try {
        await this.#services.update(service.ID, windingUp);
        await this.#services.ended(session, () => this.#nodes, enough);
      } catch (error) {
        if (!enough.aborted) throw error;
      }
      await this.#swarm.removeService(service.ID);
    }
    await this.#services.removeFiles(session, { secrets: true });
    this.#left.delete(session);
  }

  /** Removes the files of sessions without a service: of a control server that died before it made one. */
  async #sweep(services: ReadonlySet<string>): Promise<void> {
    for (const session of await this.#services.withFiles()) {
      if (!services.has(session)) await this.#services.removeFiles(session, { secrets: true });
    }
  }

  async trouble(session: string): Promise<string> {
    const kept = this.#all.get(session);
    if (!kept) return "";
    try {
      this.#judge(session, kept, await this.#services.tasks(session));
      return kept.down;
    } catch (error) {
      return messageOf(error);
    }
  }

  async log(session: string): Promise<string[]> {
    const task = this.#all.get(session)?.task;
    return task ? await this.#services.log(task) : [];
  }

  async reconcile(): Promise<void> {
    await this.#removeLeft();
    await this.#lookAtNodes();
    const services = new Set(await this.#services.all(({ ID }) => ID));
    const all = await this.#services.allTasks((task) => task);
    const tasks = Map.groupBy(all, ({ ServiceID }) => ServiceID);
    for (const [session, kept] of [...this.#all]) {
      if (kept.ending) continue;
      // One that was made after the list is asked for by itself.
      if (!services.has(kept.service) && !await this.#services.of(session)) this.#gone(session);
      else this.#judge(session, kept, tasks.get(kept.service) ?? []);
    }
  }

  async stop(): Promise<void> {
    await this.#removeLeft();
    await this.leave();
  }

  async leave(): Promise<void> {
    this.#over.abort();
    await this.#following;
  }

  get #made(): Making {
    if (!this.#making) throw new TypeError("not started");
    return this.#making;
  }

  #keptOf(session: string): Kept {
    const kept = this.#all.get(session);
    if (kept) return kept;
    throw new ScistreamError("CONN_ERROR", "the Swarm does not hold this session");
  }

  /** @throws {NodeFault} */
  #nodeId(name: string): string {
    const id = this.#nodes.idOf(name);
    if (id === undefined) throw new NodeFault(name, `node ${name} is not in the Swarm any more`);
    return id;
  }

  #listening(placed: Placed, service: string, before: ReadonlySet<string>): Promise<Task> {
    const lossOf = (node: string) => this.#nodes.lossOf(node);
    const { program } = this.#made;
    return this.#services.listening(placed, service, program, before, lossOf, this.#over.signal);
  }

  async #assertManager(): Promise<void> {
    const { ControlAvailable, LocalNodeState } = await this.#swarm.info();
    if (ControlAvailable) return;
    throw new ScistreamError(
      "CONN_ERROR",
      `this Docker Engine is no manager of a Swarm (it is ${LocalNodeState}); make it one with docker swarm init or docker swarm join, or name a manager's with --docker-socket`,
    );
  }

  /**
   * What all nodes take for this image, without asking a registry at every start: its digest, or its id
   * where it came from no registry.
   */
  async #image(name: string): Promise<string> {
    const engine = new DockerEngine({ host: this.#settings.host });
    const image = await engine.inspectImage(name);
    if (image) return image.RepoDigests[0] ?? image.Id;
    this.#events.onLog(
      "warn",
      `image ${name} is not on this manager; each node looks for it in its registry at every start`,
    );
    return name;
  }

  async #lookAtNodes(): Promise<void> {
    this.#nodes = new SwarmNodes(await this.#swarm.nodes(), (sentence) => {
      if (this.#warned.has(sentence)) return;
      this.#warned.add(sentence);
      this.#events.onLog("warn", sentence);
    });
    for (const [session, { node, ending }] of [...this.#all]) {
      const loss = ending ? "" : this.#nodes.lossOf(node);
      if (loss) this.#events.onLost(session, loss);
    }
  }

  /** Watches what the Swarm tells of nodes and services for as long as this lives. */
  async #follow(established: () => void): Promise<void> {
    const { signal } = this.#over;
    for (let wait = FIRST_RETRY_MS; !signal.aborted; wait = Math.min(wait * 2, LAST_RETRY_MS)) {
      try {
        const events = await this.#swarm.events(["node", "service"], signal);
        established();
        await this.#lookAtNodes();
        await this.#removeLeft();
        wait = FIRST_RETRY_MS;
        for await (const { Type, Action, Actor } of events) {
          if (Type === "node") await this.#lookAtNodes();
          else if (Action === "remove") this.#removed(Actor.ID);
        }
        throw new Error("it ended its events");
      } catch (error) {
        if (signal.aborted) return;
        if (wait === FIRST_RETRY_MS) {
          this.#events.onLog(
            "error",
            `the Swarm's manager is gone: ${messageOf(error)}; streams go on without it`,
          );
        }
      }
      await pause(wait, signal);
    }
  }

  #removed(service: string): void {
    const session = this.#sessionOf.get(service);
    if (session !== undefined && !this.#all.get(session)?.ending) this.#gone(session);
  }

  #gone(session: string): void {
    this.#drop(session);
    // Its files are left.
    this.#left.add(session);
    this.#events.onGone(session, "its service was removed from the Swarm");
    this.#removeLeft().catch(() => {
      // Tried again when a manager answers.
    });
  }

  async #removeLeft(): Promise<void> {
    for (const session of [...this.#left]) {
      const isBack = this.#all.has(session) || this.#opening.has(session);
      if (!isBack) await this.#remove(session, SLACK_MS);
    }
  }

  /** Tells whether a session runs, if it has not been told. */
  #judge(session: string, kept: Kept, tasks: readonly Task[]): void {
    // One that it had on a node that is lost may be told as running for ever.
    const here = this.#nodes.idOf(kept.node);
    const ours = tasks.filter(({ ServiceID, NodeID }) =>
      ServiceID === kept.service && (NodeID === here || NodeID === "")
    );
    kept.task =
      ours.find(({ Status, DesiredState }) =>
        Status.State === "running" && DesiredState === "running"
      ) ?? latest(ours);
    const trouble = this.#nodes.lossOf(kept.node) || troubleOf(kept.task, this.#made.program);
    if (trouble === kept.down) return;
    kept.down = trouble;
    if (trouble) this.#events.onDown(session, trouble);
    else this.#events.onUp(session);
  }
}
