/**
 * A data server whose sessions run on nodes: what every type on an orchestrator has in common.
 * @module
 */
import type { Endpoint } from "../../protocol/endpoint.ts";
import { messageOf, ScistreamError } from "../../protocol/errors.ts";
import type { Rate } from "../../protocol/values.ts";
import {
  type Abilities,
  type ChannelStatus,
  type DataServer,
  type DataServerEvents,
  type GatewayNode,
  type Home,
  idleChannel,
  type Opening,
  type Resumed,
} from "../data_server.ts";
import { reach } from "../../fault_points.ts";
import { sumOf } from "../forwarder/status.ts";
import { Tally, type Traffic, trafficOf } from "../totals.ts";
import type { Orchestrator, OrchestratorEvents, Placed } from "./orchestrator.ts";
import type { Channel, Limits, Program } from "./program.ts";

/** Each is some calls of the engine. */
const RESUMED_AT_ONCE = 16;
/** What an engine is asked about a session, it is not asked again so soon. */
const LOOK_MS = 2_000;
/** Of so many sessions an engine is asked at once: each is some calls. */
const ASKED_AT_ONCE = 64;

/** What every placed type is made with. */
export interface PlacedSettings {
  /** What one session's program may use. */
  limits: Limits;
  /** How long a released session's connections may go on. */
  drainTimeoutMs: number;
}

/** A session as long as it is open. */
interface Held {
  opening: Opening;
  channels: Channel[];
  /** The last thing that went wrong with the program as a whole. */
  trouble: string;
  /** One change at a time. */
  turn: Promise<unknown>;
  /** What its log said, and when that was asked for, by performance.now(). */
  seen?: { atMs: number; channels: Promise<ChannelStatus[]> };
  /** What was counted by programs that another has replaced. */
  before?: ChannelStatus[];
  /** What the program that runs has counted, as was read last. */
  numbers?: ChannelStatus[];
  closing?: Promise<void>;
}

/** Puts together a program and what runs it. */
export class PlacedSessions implements DataServer {
  readonly abilities: Abilities;
  readonly #sessions = new Map<string, Held>();
  /** Sessions that are being opened: what is there of them is about to be theirs. */
  readonly #opening = new Set<string>();
  /** Sessions that could not be brought back yet. */
  readonly #lost = new Map<string, Resumed>();
  readonly #orchestrator: Orchestrator;
  readonly #tally = new Tally();
  /** How many sessions the engine is asked about now. */
  #asked = 0;

  constructor(
    readonly type: string,
    readonly program: Program,
    makeOrchestrator: (events: OrchestratorEvents) => Orchestrator,
    readonly settings: PlacedSettings,
    readonly events: DataServerEvents,
  ) {
    this.#orchestrator = makeOrchestrator({
      onLog: events.onLog,
      onDown: (session, reason) => this.#down(session, reason),
      onUp: (session) => this.#up(session),
      onLost: (session, reason) => events.onLost?.(session, reason),
      onGone: (session, reason) => {
        if (this.#opening.has(session) || this.#sessions.get(session)?.closing) return;
        this.#forget(session);
        events.onGone?.(session, reason);
      },
    });
    this.abilities = { ...program.abilities, remembers: this.#orchestrator.remembers };
  }

  nodes(): readonly GatewayNode[] {
    return this.#orchestrator.nodes();
  }

  async start({ folder, gateway }: Home, resumed: readonly Resumed[]): Promise<void> {
    const { limits, drainTimeoutMs } = this.settings;
    await this.#orchestrator.start({
      program: this.program,
      ...{ gateway, folder, limits },
      drainMs: drainTimeoutMs,
      kept: resumed.map(({ opening }) => opening.uid.hash),
    });
    for (let i = 0; i < resumed.length; i += RESUMED_AT_ONCE) {
      await Promise.all(resumed.slice(i, i + RESUMED_AT_ONCE).map((each) => this.#resume(each)));
    }
    // Nodes may have been lost while nobody looked.
    if (resumed.length > 0) await this.reconcile();
  }

  /** Takes over what runs for it, or runs it anew. */
  async #resume(resumed: Resumed): Promise<void> {
    const { opening, targets, drainMs } = resumed;
    const { hash } = opening.uid;
    const held = hold(opening, targets);
    try {
      if (await this.#orchestrator.adopt(this.#placed(held))) {
        this.#sessions.set(hash, held);
        reach("recovery.adopted");
        // Nobody waits for it.
        if (drainMs !== undefined) this.#closeUnasked(hash);
      } else if (drainMs === undefined) await this.#again(resumed);
    } catch (error) {
      if (drainMs === undefined) this.#lost.set(hash, resumed);
      this.events.onFault(hash, `could not be brought back: ${messageOf(error)}`);
    }
  }

  #closeUnasked(session: string): void {
    this.close(session).catch((error) => this.events.onLog("error", messageOf(error)));
  }

  async #again({ opening, targets }: Resumed): Promise<void> {
    await this.open(opening);
    if (targets.length > 0) await this.target(opening.uid.hash, targets, opening.record);
  }

  async found({ folder }: Home): Promise<string[]> {
    return await this.#orchestrator.found(folder);
  }

  async reconcile(): Promise<void> {
    await this.#orchestrator.reconcile((session) =>
      this.#sessions.has(session) || this.#opening.has(session)
    );
    for (const [session, resumed] of [...this.#lost]) {
      try {
        await this.#again(resumed);
      } catch {
        continue;
      }
      // Released while it was brought back.
      if (!this.#lost.delete(session)) await this.close(session);
      else this.events.onUp(session);
    }
  }

  async open(opening: Opening): Promise<void> {
    const { hash } = opening.uid;
    // Of the same uid one may still be ending.
    await this.#sessions.get(hash)?.closing?.catch(() => {});
    this.#opening.add(hash);
    try {
      const held = hold(opening, []);
      const plan = this.#plan(held, held.channels);
      const secrets = await this.program.secrets(opening.uid, plan);
      await this.#orchestrator.run({ ...this.#placed(held), secrets });
      this.#sessions.set(hash, held);
    } finally {
      this.#opening.delete(hash);
    }
  }

  async target(session: string, targets: readonly Endpoint[], record: string): Promise<void> {
    await this.#change(session, (held) => hold({ ...held.opening, record }, targets));
  }

  async limit(session: string, limit: Rate): Promise<void> {
    if (!this.program.abilities.limit) return;
    await this.#change(session, ({ opening, channels }) => ({
      ...hold({ ...opening, limit }, []),
      channels,
    }));
  }

  async move(opening: Opening, targets: readonly Endpoint[]): Promise<void> {
    await this.#change(opening.uid.hash, () => hold(opening, targets));
  }

  /** Has what runs for a session replaced; where that fails, it is as before. */
  async #change(session: string, next: (held: Held) => Held): Promise<void> {
    const held = this.#sessions.get(session);
    if (!held || held.closing) {
      throw new ScistreamError("CONN_ERROR", "the data server does not hold this session");
    }
    const change = held.turn.then(async () => {
      const { opening, channels } = next(held);
      const placed = this.#placed({ ...held, opening, channels });
      reach("update.prepared");
      if (this.program.count) await this.#read(session, held);
      await this.#orchestrator.roll(placed);
      this.#replaced(session, held);
      held.opening = opening;
      held.channels = channels;
    });
    held.turn = change.catch(() => {});
    await change;
  }

  note(session: string, record: string): void {
    const held = this.#sessions.get(session);
    if (!held || held.closing || held.opening.record === record) return;
    held.opening = { ...held.opening, record };
    held.turn = held.turn.then(() => this.#orchestrator.note(session, record)).catch((error) =>
      this.events.onLog("warn", `session ${held.opening.uid.session}: ${messageOf(error)}`)
    );
  }

  /** Its connections have the time that its program was started with: no engine changes that. */
  async close(session: string): Promise<void> {
    this.#lost.delete(session);
    const held = this.#sessions.get(session);
    if (!held) return;
    held.closing ??= (async () => {
      await held.turn;
      try {
        // With its container, its log goes.
        if (this.program.count) await this.#read(session, held);
        await this.#orchestrator.end(session);
      } finally {
        this.#forget(session);
        reach("release.ended");
      }
    })();
    await held.closing;
  }

  #forget(session: string): void {
    this.#sessions.delete(session);
    this.#lost.delete(session);
    this.#tally.end(session);
  }

  async status(session: string): Promise<ChannelStatus[]> {
    const held = this.#sessions.get(session);
    return held ? await this.#look(session, held) : [];
  }

  /**
   * What its log says of the channels: asked once for all who want to know it at about this time. A list
   * asks for all at once, and an engine cannot tell of thousands each second: then each has its turn, and
   * of the others the last is told.
   */
  async #look(session: string, held: Held): Promise<ChannelStatus[]> {
    const now = performance.now();
    const round = 1_000 * this.#sessions.size / ASKED_AT_ONCE;
    const isOld = !held.seen || now - held.seen.atMs > Math.max(LOOK_MS, round);
    if (isOld && this.#asked < ASKED_AT_ONCE) {
      this.#asked++;
      const channels = this.#read(session, held).finally(() => this.#asked--);
      held.seen = { atMs: now, channels };
    }
    return await held.seen?.channels ?? held.channels.map(() => this.#unread());
  }

  /** A channel of which nothing has been read yet. */
  #unread(): ChannelStatus {
    return { ...idleChannel(), counted: this.program.count !== undefined };
  }

  async #read(session: string, held: Held): Promise<ChannelStatus[]> {
    const trouble = await this.#orchestrator.trouble(session) || held.trouble;
    const log = await this.#orchestrator.log(session).catch(() => []);
    const { count } = this.program;
    // Of a node that is away the last is told; a program that has just been started has no numbers yet.
    const numbers = count?.(log, held.channels.length) ?? (log.length === 0 ? held.numbers : []);
    if (count && this.#sessions.has(session)) this.#tally.read(session, trafficOf(numbers ?? []));
    held.numbers = numbers;
    return held.channels.map((channel, i) => {
      const now = numbers?.[i] ?? this.#unread();
      const before = held.before?.[i];
      const all = before ? sumOf([before, now]) : now;
      const said = this.program.complaint(log, channel, i) || all.lastError;
      return { ...all, lastError: trouble || said };
    });
  }

  /** Another program has taken the place of the one that counted. */
  #replaced(session: string, held: Held): void {
    const { numbers, before } = held;
    held.before = numbers?.map((channel, i) =>
      sumOf([
        { ...channel, connectionsOpen: 0, peers: [], speedToTarget: 0, speedFromTarget: 0 },
        ...before?.[i] ? [before[i]] : [],
      ])
    ) ?? before;
    held.numbers = undefined;
    held.seen = undefined;
    this.#tally.end(session);
  }

  async traffic(): Promise<Traffic | undefined> {
    if (!this.program.count) return undefined;
    const all = [...this.#sessions];
    for (let i = 0; i < all.length; i += ASKED_AT_ONCE) {
      const some = all.slice(i, i + ASKED_AT_ONCE);
      await Promise.all(some.map(([session, held]) => this.#look(session, held)));
    }
    return this.#tally.traffic;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#sessions.keys()].map((session) => this.close(session)));
    await this.#orchestrator.stop();
  }

  async leave(): Promise<void> {
    // What was noted last may be on its way.
    await Promise.all([...this.#sessions.values()].map(({ turn }) => turn));
    await this.#orchestrator.leave();
  }

  #down(session: string, reason: string): void {
    const held = this.#sessions.get(session);
    if (!held || held.closing) return;
    this.events.onLog("error", `session ${held.opening.uid.session}: ${reason}`);
    held.trouble = reason;
    this.events.onRestart?.();
    this.events.onDown(session, reason);
  }

  #up(session: string): void {
    const held = this.#sessions.get(session);
    if (!held?.trouble) return;
    held.trouble = "";
    this.events.onLog(
      "info",
      `session ${held.opening.uid.session}: ${this.program.name} runs again`,
    );
    this.events.onUp(session);
  }

  #plan({ opening: { role, allow, limit } }: Held, channels: readonly Channel[]) {
    return { role, channels, allow, limit, limits: this.settings.limits };
  }

  #placed(held: Held): Placed {
    const { uid, node, listeners, record } = held.opening;
    const config = this.program.config(this.#plan(held, held.channels));
    return { session: uid.hash, id: uid.session, node, listeners, config, record };
  }
}

function hold(opening: Opening, targets: readonly Endpoint[]): Held {
  const channels = opening.listeners.map((listener, i) => ({ listener, target: targets[i] }));
  return { opening, channels, trouble: "", turn: Promise.resolve() };
}
