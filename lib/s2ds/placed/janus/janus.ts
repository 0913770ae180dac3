/**
 * Sessions on data-transfer nodes through ESnet's Janus controller. A container is never changed:
 * other targets are another container, because HAProxy reads its configuration when it starts, and
 * Janus can do no more than start and stop.
 * @module
 */
import { Janus } from "../../../janus/client.ts";
import { messageOf, ScistreamError } from "../../../protocol/errors.ts";
import type { GatewayNode } from "../../data_server.ts";
import { pause } from "../../wait.ts";
import { Containers, Gone } from "./containers.ts";
import { FIRST_RETRY_MS, type Held, hold, LAST_RETRY_MS } from "./held.ts";
import { type Kept, KeptFiles, readKept, SharedFolder } from "./kept.ts";
import { OpenNodes } from "./open_nodes.ts";
import { checkJanus, doubtsOf, type JanusSettings } from "./settings.ts";
import type {
  Orchestrator,
  OrchestratorEvents,
  OrchestratorStart,
  Placed,
} from "../orchestrator.ts";

/** Janus tells nothing unasked. */
const LOOK_MS = 3_000;
/** Sessions that are looked at together: each is a call. */
const AT_ONCE = 8;

/** Runs sessions' programs in containers of Janus'. */
export class JanusNodes implements Orchestrator {
  readonly remembers = false;
  readonly #settings: JanusSettings;
  readonly #events: OrchestratorEvents;
  readonly #janus: Janus;
  readonly #over = new AbortController();
  readonly #all = new Map<string, Held>();
  readonly #nodes: OpenNodes;
  #files!: KeptFiles;
  #containers!: Containers;
  #watching?: Promise<void>;
  /** That Janus is away is told once. */
  #away = false;

  /** Nothing is connected before `start`. */
  constructor(settings: JanusSettings, events: OrchestratorEvents) {
    this.#settings = settings;
    this.#events = events;
    this.#janus = new Janus(settings.access);
    this.#nodes = new OpenNodes(this.#janus, settings.nodes, events.onLog);
  }

  async start({ program, folder, kept }: OrchestratorStart): Promise<void> {
    const { access, configDir, profile } = this.#settings;
    for (const doubt of doubtsOf(access)) this.#events.onLog("warn", doubt);
    const image = this.#settings.image ?? program.image;
    const there = await checkJanus(this.#janus, this.#settings, image);
    const shared = new SharedFolder(configDir, there);
    shared.check();
    this.#files = new KeptFiles(folder);
    this.#containers = new Containers(this.#janus, {
      ...{ program, image, profile },
      shared,
      gateway: this.#files.gateway,
      onLog: this.#events.onLog,
    });
    await this.#nodes.look(this.#over.signal);
    const wanted = new Set(kept);
    await this.#sweep((session) => wanted.has(session));
    this.#watching = this.#watch();
  }

  nodes(): readonly GatewayNode[] {
    return this.#nodes.list;
  }

  found(folder: string): Promise<string[]> {
    return Promise.resolve(readKept(folder).map(({ record }) => record));
  }

  async run(placed: Placed): Promise<void> {
    // One that could not be adopted, or not be ended.
    const before = this.#files.all().find(({ session }) => session === placed.session);
    if (before) {
      await this.#containers.discard(before);
      this.#files.delete(before.session);
    }
    const kept = await this.#containers.launch(placed);
    await this.#keep(kept);
    this.#hold(placed, kept);
  }

  async adopt(placed: Placed): Promise<boolean> {
    const kept = this.#files.all().find(({ session }) => session === placed.session);
    if (!kept) return false;
    if (!await this.#containers.isThere(kept)) {
      await this.#containers.discard(kept);
      this.#files.delete(kept.session);
      return false;
    }
    this.#hold(placed, kept);
    // An update was written down, and perhaps not done.
    const same = kept.node === placed.node && this.#containers.has(kept, placed.config.text);
    if (!same) await this.roll(placed);
    return true;
  }

  async roll(placed: Placed): Promise<void> {
    await this.#inTurn(placed.session, async (held) => {
      const { kept } = held;
      const next = kept.node === placed.node
        ? await this.#containers.replace(kept, placed)
        // The old one may be out of reach; it is removed as soon as it can be.
        : await this.#containers.launch(placed);
      await this.#keep(next);
      held.placed = placed;
      held.kept = next;
      this.#up(held);
      await this.#containers.discardLater(kept);
    });
  }

  async note(session: string, record: string): Promise<void> {
    await this.#inTurn(session, (held) => {
      held.placed = { ...held.placed, record };
      held.kept = { ...held.kept, record };
      this.#files.put(held.kept);
    });
  }

  async end(session: string): Promise<void> {
    const held = this.#all.get(session);
    if (!held) return;
    held.ended = true;
    await held.turn;
    this.#all.delete(session);
    try {
      await this.#containers.discard(held.kept);
    } finally {
      // What is left of it is known by its name.
      this.#files.delete(session);
    }
  }

  trouble(session: string): Promise<string> {
    return Promise.resolve(this.#all.get(session)?.trouble ?? "");
  }

  async log(session: string): Promise<string[]> {
    const held = this.#all.get(session);
    return held ? await this.#containers.log(held.kept) : [];
  }

  async reconcile(has: (session: string) => boolean): Promise<void> {
    await this.#sweep(has);
    await this.#look();
  }

  async stop(): Promise<void> {
    await this.#letGo();
    // Otherwise it did not start.
    if (this.#watching) await this.#sweep(() => false);
    this.#tidy();
  }

  async leave(): Promise<void> {
    await this.#letGo();
    this.#tidy();
  }

  async #letGo(): Promise<void> {
    this.#over.abort();
    await this.#watching;
    await Promise.all([...this.#all.values()].map(({ turn }) => turn));
  }

  /** Removes whatever an earlier control server left of other sessions than these. */
  async #sweep(has: (session: string) => boolean): Promise<void> {
    const wanted = new Map<string, number>();
    for (const { session, name, janus } of this.#files.all()) {
      if (has(session)) wanted.set(name, janus);
      else this.#files.delete(session);
    }
    await this.#containers.sweep(wanted);
  }

  /** Where nothing is left to be known, no file is. */
  #tidy(): void {
    if (this.#watching && this.#containers.isClean) this.#files.end();
  }

  #hold(placed: Placed, kept: Kept): void {
    this.#all.set(placed.session, hold(placed, kept));
  }

  /** One that is not kept must not run: nobody would end it. */
  async #keep(kept: Kept): Promise<void> {
    try {
      this.#files.put(kept);
    } catch (error) {
      await this.#containers.discardLater(kept);
      throw error;
    }
  }

  async #inTurn(session: string, work: (held: Held) => Promise<void> | void): Promise<void> {
    const held = this.#all.get(session);
    if (!held) throw new ScistreamError("CONN_ERROR", "no container of Janus' is held for it");
    const done = held.turn.then(() => work(held));
    held.turn = done.catch(() => {});
    await done;
  }

  async #watch(): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      await pause(LOOK_MS, signal);
      if (!signal.aborted) await this.#look();
    }
  }

  /** Looks at everything that runs. Never throws: whatever is wrong is told as each session's trouble. */
  async #look(): Promise<void> {
    try {
      await this.#nodes.look(this.#over.signal);
      // A node that does not answer would hold up the others.
      void this.#containers.removeLeft();
      if (this.#away) this.#events.onLog("info", "Janus is back");
      this.#away = false;
    } catch (error) {
      if (this.#over.signal.aborted) return;
      if (!this.#away) this.#events.onLog("error", messageOf(error));
      this.#away = true;
      for (const held of this.#all.values()) this.#down(held, messageOf(error));
      return;
    }
    const all = [...this.#all.keys()];
    for (let i = 0; i < all.length; i += AT_ONCE) {
      const some = all.slice(i, i + AT_ONCE);
      await Promise.all(some.map((session) => this.#lookAt(session)));
    }
  }

  async #lookAt(session: string): Promise<void> {
    await this.#inTurn(session, async (held) => {
      const { kept, ended } = held;
      if (ended || this.#over.signal.aborted) return;
      try {
        if (!this.#nodes.has(kept.node)) {
          return this.#down(held, `Janus does not reach node ${kept.node}`);
        }
        if (await this.#containers.isUp(kept)) return this.#up(held);
        await this.#remake(held, `its container on node ${kept.node} has ended`);
      } catch (error) {
        if (error instanceof Gone) await this.#remake(held, error.message);
        else this.#down(held, messageOf(error));
      }
    }).catch(() => {
      // It ended meanwhile.
    });
  }

  async #remake(held: Held, reason: string): Promise<void> {
    if (performance.now() < held.nextMs) return;
    this.#down(held, `${reason}; it is made anew`);
    const { kept } = held;
    try {
      await this.#containers.discardLater(kept);
      const next = await this.#containers.launch(held.placed);
      await this.#keep(next);
      held.kept = next;
      held.waitMs = FIRST_RETRY_MS;
      this.#up(held);
    } catch (error) {
      held.nextMs = performance.now() + held.waitMs;
      held.waitMs = Math.min(held.waitMs * 2, LAST_RETRY_MS);
      this.#down(held, `${reason}, and could not be made anew: ${messageOf(error)}`);
    }
  }

  #down(held: Held, reason: string): void {
    if (held.ended || held.trouble === reason) return;
    held.trouble = reason;
    this.#events.onDown(held.placed.session, reason);
  }

  #up(held: Held): void {
    if (!held.trouble) return;
    held.trouble = "";
    this.#events.onUp(held.placed.session);
  }
}
