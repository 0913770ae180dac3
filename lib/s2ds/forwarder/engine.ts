import type { Networks } from "../../protocol/cidr.ts";
import type { Endpoint } from "../../protocol/endpoint.ts";
import type { Role } from "../../protocol/values.ts";
import { type ChannelStatus, PortsInUse } from "../data_server.ts";
import { Channel } from "./channel.ts";
import type { DescriptorBudget } from "./descriptors.ts";
import { Limit } from "./limit.ts";
import { Budget, MEMORY } from "./budget.ts";
import { TICK_MS } from "./meter.ts";
import { add, noTotals, type Traffic, trafficOf } from "../totals.ts";
import { sumOf } from "./status.ts";
import { GatewayTls } from "./tls.ts";
import { UdpChannel } from "./udp.ts";

/** What a forwarder is to hold for a session. */
export interface SessionOptions {
  /** One a channel. */
  listeners: readonly Endpoint[];
  /** Whether other processes listen there too. */
  share?: boolean;
  /** Which of its sides is the other gateway; neither if not given. */
  role?: Role;
  /** Encrypts towards the other gateway, both proven by this secret. */
  secret?: Uint8Array;
  /** Where connections may come from: addresses that all of these have. */
  allow?: readonly Networks[];
  /** Bytes per second, each direction; 0 is no limit. */
  rate?: number;
  /** Forwards datagrams too. */
  udp?: boolean;
}

interface Session {
  channels: Channel[];
  datagrams: UdpChannel[];
  limits: { toTarget: Limit; fromTarget: Limit };
  tls?: GatewayTls;
  /** Settled when all its listeners are there, or none. */
  opening?: Promise<void>;
  /** Set once the session is being closed. */
  closing?: {
    deadline: number;
    hurry: (drainMs: number) => void;
    done: Promise<ChannelStatus[]>;
  };
}

/** The built-in forwarding engine: sessions' channels in this process. What its calls do stands at DataServer. */
export class Engine {
  readonly #sessions = new Map<string, Session>();
  readonly #budget: DescriptorBudget;
  readonly #note: (session: string, why: string) => void;
  readonly #memory: Budget;
  /** What sessions carried that have ended. */
  readonly #ended = noTotals();
  #ticking?: ReturnType<typeof setInterval>;

  /**
   * @param note takes what goes wrong on a session's channels
   * @param memory bytes for blocks of all its connections
   */
  constructor(
    budget: DescriptorBudget,
    note: (session: string, why: string) => void = () => {},
    memory = MEMORY,
  ) {
    this.#budget = budget;
    this.#memory = new Budget(memory);
    this.#note = note;
  }

  /** Keys of the sessions that it holds. */
  get sessions(): string[] {
    return [...this.#sessions.keys()];
  }

  /** Of these, those that are not being closed. */
  get held(): string[] {
    return this.sessions.filter((session) => !this.#sessions.get(session)?.closing);
  }

  async open(session: string, options: SessionOptions): Promise<void> {
    if (this.#sessions.has(session)) throw new Error(`session ${session} is open already`);
    const { role, secret, rate = 0 } = options;
    const side = role === "PROD" ? "server" : "client";
    const record: Session = {
      channels: [],
      datagrams: [],
      limits: { toTarget: new Limit(rate), fromTarget: new Limit(rate) },
      tls: secret && new GatewayTls(side, async () => {
        // Not for those who do without it: it takes 20 ms to load, and 8 MB.
        const { makeCredentials } = await import("./identity.ts");
        return await makeCredentials(secret, side);
      }),
    };
    this.#sessions.set(session, record);
    record.opening = this.#listen(session, record, options);
    try {
      await record.opening;
    } finally {
      record.opening = undefined;
    }
  }

  async #listen(session: string, record: Session, options: SessionOptions): Promise<void> {
    const { listeners, share, role, allow, udp = false } = options;
    const shared = {
      budget: this.#budget,
      reusePort: share,
      allow,
      note: (why: string) => this.#note(session, why),
      ...record.limits,
    };
    const more = { memory: this.#memory, role, tls: record.tls };
    const results = await Promise.allSettled(
      listeners.map((at) => Channel.listen({ ...shared, ...more, at })),
    );
    const failures: unknown[] = [];
    for (const result of results) {
      if (result.status === "fulfilled") record.channels.push(result.value);
      else failures.push(result.reason);
    }
    for (const at of udp ? listeners : []) {
      try {
        record.datagrams.push(UdpChannel.listen({ ...shared, at }));
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length === 0) return this.#tick();
    for (const channel of record.channels) channel.stopListening();
    for (const channel of record.datagrams) channel.close();
    this.#forget(session, record);
    const other = failures.find((failure) => !(failure instanceof PortsInUse));
    if (other) throw other;
    throw new PortsInUse((failures as PortsInUse[]).flatMap((failure) => failure.ports));
  }

  target(session: string, targets: readonly Endpoint[]): Promise<void> {
    const record = this.#open(session);
    if (targets.length !== record.channels.length) {
      throw new Error(`${targets.length} targets for ${record.channels.length} channels`);
    }
    // A certificate takes some milliseconds: in neither this call's time nor the first connection's.
    if (record.tls) setTimeout(() => record.tls?.prepare().catch(() => {}));
    targets.forEach((to, i) => {
      record.channels[i]?.target(to);
      record.datagrams[i]?.target(to);
    });
    return Promise.resolve();
  }

  /** Until a session has targets, whoever connects is turned away, and does not wait. */
  turnAway(session: string): void {
    for (const channel of this.#open(session).channels) channel.turnAway();
  }

  limit(session: string, rate: number): Promise<void> {
    const { toTarget, fromTarget } = this.#open(session).limits;
    toTarget.rate = rate;
    fromTarget.rate = rate;
    return Promise.resolve();
  }

  /** Answers the session's last numbers. */
  close(session: string, drainMs: number): Promise<ChannelStatus[]> {
    const record = this.#sessions.get(session);
    if (!record) return Promise.resolve([]);
    // Whoever asked may have given up; what is half open cannot be closed.
    if (record.opening) {
      return record.opening.catch(() => {}).then(() => this.close(session, drainMs));
    }
    if (record.closing) {
      record.closing.hurry(drainMs);
      return record.closing.done;
    }
    for (const channel of record.channels) channel.stopListening();
    for (const channel of record.datagrams) channel.close();
    const cut = () => record.channels.forEach((channel) => channel.cut());
    let timer = setTimeout(cut, drainMs);
    const done = Promise.all(record.channels.map((channel) => channel.drained())).then(() => {
      clearTimeout(timer);
      record.limits.toTarget.close();
      record.limits.fromTarget.close();
      this.#forget(session, record);
      this.#tick();
      return statusOf(record);
    });
    record.closing = {
      deadline: performance.now() + drainMs,
      hurry: (ms) => {
        if (performance.now() + ms >= (record.closing?.deadline ?? 0)) return;
        clearTimeout(timer);
        timer = setTimeout(cut, ms);
      },
      done,
    };
    return done;
  }

  status(session: string): Promise<ChannelStatus[]> {
    const record = this.#sessions.get(session);
    return Promise.resolve(record ? statusOf(record) : []);
  }

  /** What all sessions have carried since this process began. */
  get traffic(): Traffic {
    const traffic = trafficOf([...this.#sessions.values()].flatMap(statusOf));
    add(traffic.totals, this.#ended);
    return traffic;
  }

  #forget(session: string, record: Session): void {
    add(this.#ended, trafficOf(statusOf(record)).totals);
    this.#sessions.delete(session);
  }

  #open(session: string): Session {
    const record = this.#sessions.get(session);
    if (!record || record.closing) throw new Error(`no session ${session}`);
    return record;
  }

  /** Speeds are measured while there are sessions. */
  #tick(): void {
    clearInterval(this.#ticking);
    this.#ticking = undefined;
    if (this.#sessions.size === 0) return;
    this.#ticking = setInterval(() => {
      const now = performance.now();
      for (const { channels, datagrams } of this.#sessions.values()) {
        for (const channel of channels) channel.tick(now);
        for (const channel of datagrams) channel.tick(now);
      }
    }, TICK_MS);
  }
}

function statusOf({ channels, datagrams }: Session): ChannelStatus[] {
  return channels.map((channel, i) =>
    sumOf([channel.status, ...datagrams[i] ? [datagrams[i].status] : []])
  );
}
