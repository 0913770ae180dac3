/**
 * Type `S2DS`: the built-in forwarder, in processes that share all sessions of the gateway.
 * @module
 */
import type { Endpoint } from "../protocol/endpoint.ts";
import { ScistreamError } from "../protocol/errors.ts";
import type { Rate } from "../protocol/values.ts";
import {
  type Abilities,
  type ChannelStatus,
  type DataServer,
  type DataServerEvents,
  type Home,
  type Opening,
  PortsInUse,
  type Resumed,
} from "./data_server.ts";
import { reach } from "../fault_points.ts";
import { Child } from "./forwarder/child.ts";
import { descriptorLimit } from "./forwarder/descriptors.ts";
import { channelSecret } from "./forwarder/secret.ts";
import { sumOf } from "./forwarder/status.ts";
import type { Open } from "./forwarder/wire.ts";
import { probePorts } from "./probe.ts";
import { Tally, type Traffic } from "./totals.ts";

/** sockaddr_un, unix(7), less its end. */
const LONGEST_SOCKET_PATH = 107;
const KILOBYTE = 1000;

/** Whether what goes between gateways is encrypted. */
export type Wan = "tls" | "plain";

/** Settings of the built-in data server. */
export interface S2dsSettings {
  /** Whether what goes between gateways is encrypted. */
  wan: Wan;
  /** Processes that share the connections. */
  workers: number;
  /** Forwards UDP beside TCP; never with `wan` tls. */
  udp: boolean;
  /** Holds sessions to their rates. */
  enforce: boolean;
}

/** Shares the sessions among its children, and adds up what they did. */
export class S2ds implements DataServer {
  readonly type = "S2DS";
  readonly abilities: Abilities;
  readonly #settings: S2dsSettings;
  readonly #events: DataServerEvents;
  #children: Child[] = [];
  /** The children that hold a session. */
  readonly #homes = new Map<string, Child[]>();
  readonly #tally = new Tally();

  constructor(settings: S2dsSettings, events: DataServerEvents) {
    this.#settings = settings;
    this.abilities = { limit: true, allow: true, protects: settings.wan === "tls" };
    this.#events = events;
  }

  async start({ folder }: Home, resumed: readonly Resumed[]): Promise<void> {
    const { workers, wan } = this.#settings;
    const maxFiles = await descriptorLimit();
    this.#children = Array.from(
      { length: workers },
      (_, i) => new Child({ folder, name: `s2ds-${i}`, maxFiles }, this.#events),
    );
    const longest = this.#children.at(-1)?.socket ?? "";
    if (new TextEncoder().encode(longest).length > LONGEST_SOCKET_PATH) {
      throw new ScistreamError(
        "BAD_FORMAT",
        `the socket path ${longest} is longer than the ${LONGEST_SOCKET_PATH} characters that the system takes; choose a shorter --state-dir`,
      );
    }
    await this.#endOthers(folder);
    try {
      const held = await Promise.all(this.#children.map((child) => child.attach()));
      for (const { opening, targets, drainMs } of resumed) {
        const { hash } = opening.uid;
        if (drainMs !== undefined) {
          for (const child of this.#children) child.letEnd(hash, drainMs);
          continue;
        }
        const children = this.#homeOf(this.#children.filter((_, i) => held[i]?.has(hash)));
        this.#homes.set(hash, children);
        for (const [child, open] of this.#opens(opening, children)) {
          child.want(open, targets.map(String));
        }
        reach("recovery.adopted");
      }
      await Promise.all(this.#children.map((child) => child.settle()));
      // One runtime: one of them finds out for all.
      if (wan === "tls") await this.#children[0]?.test();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async found({ folder }: Home): Promise<string[]> {
    const all = new Map<string, string>();
    for (const socket of socketsIn(folder)) {
      for (const [session, record] of await Child.recordsAt(socket)) all.set(session, record);
    }
    return [...all.values()];
  }

  async reconcile(): Promise<void> {
    const results = await Promise.all(this.#children.map((child) => child.reconcile()));
    const missing = new Set(results.flatMap((each) => each.missing));
    for (const session of new Set(results.flatMap((each) => each.back))) {
      if (!missing.has(session)) this.#events.onUp(session);
    }
  }

  /** An earlier control server may have had more children. */
  async #endOthers(folder: string): Promise<void> {
    const ours = new Set(this.#children.map(({ socket }) => socket));
    for (const socket of socketsIn(folder)) if (!ours.has(socket)) await Child.end(socket);
  }

  async open(opening: Opening): Promise<void> {
    const { uid, listeners } = opening;
    // Several processes may share a port, so that nothing but this tells that a stranger has it.
    if (this.#children.length > 1) probePorts(listeners, this.#settings.udp);
    const children = this.#homeOf([]);
    const opened = await Promise.allSettled(
      this.#opens(opening, children).map(([child, open]) => child.open(open)),
    );
    const failures = opened.flatMap((each) => each.status === "rejected" ? [each.reason] : []);
    if (failures.length === 0) return void this.#homes.set(uid.hash, children);
    await Promise.allSettled(
      children.flatMap((child, i) =>
        opened[i]?.status === "fulfilled" ? [child.close(uid.hash, 0)] : []
      ),
    );
    const other = failures.find((failure) => !(failure instanceof PortsInUse));
    if (other) throw other;
    throw new PortsInUse([
      ...new Set((failures as PortsInUse[]).flatMap((failure) => failure.ports)),
    ]);
  }

  async target(session: string, targets: readonly Endpoint[], record: string): Promise<void> {
    const change = (child: Child) => child.target(session, targets.map(String), record);
    await this.#change(session, change, (child) => {
      const { targets, record = "" } = child.held(session);
      return targets && (() => child.target(session, targets, record));
    });
  }

  async limit(session: string, limit: Rate): Promise<void> {
    await this.#change(session, (child) => child.limit(session, limit * KILOBYTE), (child) => {
      const { rate } = child.held(session);
      return rate !== undefined && (() => child.limit(session, rate));
    });
  }

  async close(session: string, drainMs: number): Promise<void> {
    const children = this.#homes.get(session) ?? this.#children;
    await Promise.all(children.map((child) => child.close(session, drainMs)));
    this.#homes.delete(session);
  }

  async status(session: string): Promise<ChannelStatus[]> {
    const replies = await this.#all(session, (child) => child.status(session));
    const parts = replies.map((reply) => "channels" in reply ? reply.channels : []);
    const channels = Math.max(0, ...parts.map((part) => part.length));
    return Array.from(
      { length: channels },
      (_, i) => sumOf(parts.flatMap((part) => part[i] ? [part[i]] : [])),
    );
  }

  async traffic(): Promise<Traffic> {
    const processes = await Promise.all(this.#children.map(async (child) => {
      const each = await child.traffic();
      // At once: a child's answers are in the order of its counts.
      if (each) this.#tally.read(each.process, each.traffic);
      return each?.process;
    }));
    // A child that died was another process, whose connections are gone with it.
    const alive = new Set(processes);
    if (!alive.has(undefined)) this.#tally.keep(alive);
    return this.#tally.traffic;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.stop()));
  }

  async leave(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.leave()));
  }

  /** The children for a session; one of those that hold it already where it can be only one. */
  #homeOf(holding: Child[]): Child[] {
    // One bucket holds a session to its rate: all its connections are in one process.
    return this.#settings.enforce ? [holding[0] ?? this.#leastLoaded()] : this.#children;
  }

  /** What each child is told to open. */
  #opens(
    { uid, role, listeners, allow, limit, record }: Opening,
    children: Child[],
  ): [Child, Open][] {
    const { wan, udp } = this.#settings;
    const open: Open = {
      op: "open",
      session: uid.hash,
      listeners: listeners.map(String),
      share: children.length > 1,
      role,
      secret: wan === "tls" ? channelSecret(uid.reveal()).toHex() : undefined,
      allow: allow.map(({ texts }) => texts),
      rate: limit * KILOBYTE,
      udp: false,
      record,
    };
    return children.map((child, i) => [child, { ...open, udp: udp && i === 0 }]);
  }

  /**
   * Has all children of a session change it, or none: where one does not, what the others did is taken
   * back; and one that did not answer in time, and may do it yet, is asked for that next.
   */
  async #change(
    session: string,
    change: (child: Child) => Promise<void>,
    back: (child: Child) => (() => Promise<void>) | undefined | false,
  ): Promise<void> {
    const children = this.#homes.get(session) ?? [];
    const undo = children.map(back);
    const done = await Promise.allSettled(children.map(change));
    const failed = done.find((each) => each.status === "rejected");
    if (!failed) return;
    // Not awaited: it comes after what was asked before, however late that is done.
    for (const each of undo) if (each) each().catch(() => {});
    throw failed.reason;
  }

  #all<T>(session: string, ask: (child: Child) => Promise<T>): Promise<T[]> {
    return Promise.all((this.#homes.get(session) ?? []).map(ask));
  }

  #leastLoaded(): Child {
    return this.#children.reduce((least, child) => child.load < least.load ? child : least);
  }
}

/** The control sockets of data servers, running or not, in a gateway's folder. */
function socketsIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].filter(({ name }) => /^s2ds-\d+\.sock$/.test(name))
    .map(({ name }) => `${folder}/${name}`);
}
