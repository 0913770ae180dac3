import net from "node:net";
import type { Networks } from "../../protocol/cidr.ts";
import type { Endpoint } from "../../protocol/endpoint.ts";
import { ScistreamError } from "../../protocol/errors.ts";
import type { Role } from "../../protocol/values.ts";
import { type ChannelStatus, idleChannel, PortsInUse } from "../data_server.ts";
import { Connection } from "./connection.ts";
import type { DescriptorBudget } from "./descriptors.ts";
import { Meter } from "./meter.ts";
import type { Shared } from "./relay.ts";
import type { GatewayTls } from "./tls.ts";

/** An accepted connection and the one to its target. */
const PER_CONNECTION = 2;
/** A listener, and the connection that it accepts before it finds that there is no room. */
const PER_LISTENER = 2;
const RESUME_MS = 10;
const RESUME_TRIES = 500;
/** Connections that may wait on one channel for its first target. */
const MOST_HELD = 256;
/** Connections that may be unproven at once: from one address, and in all. */
const MOST_PROVING_FROM = 256;
const MOST_PROVING = 1024;
/** Peers that status names. */
const MOST_PEERS = 8;
const NO_TARGET = "there is no target yet";

/** What a channel is to do, and what it shares with others. */
export interface ChannelOptions extends Shared {
  at: Endpoint;
  budget: DescriptorBudget;
  /** Other workers listen there too. */
  reusePort?: boolean;
  role?: Role;
  tls?: GatewayTls;
  /** Where connections may come from: addresses that all of these have. */
  allow?: readonly Networks[];
  /** Takes what went wrong. */
  note?: (why: string) => void;
}

/** One listener and the connections that it accepted. */
export class Channel {
  readonly #options: ChannelOptions;
  readonly #status: ChannelStatus = idleChannel();
  readonly #live = new Set<Connection>();
  /** Those whose peer is not proven yet, oldest first, and how many there are by address. */
  readonly #proving = new Set<Connection>();
  readonly #provingFrom = new Map<string, number>();
  readonly #toTarget = new Meter();
  readonly #fromTarget = new Meter();
  #server?: net.Server;
  #stopped = false;
  #target?: Endpoint;
  /** Whoever comes before there is a target does not wait for it. */
  #turnsAway = false;
  /** Those that came before there was a target. */
  readonly #held = new Set<PromiseWithResolvers<Endpoint>>();
  #onEmpty?: () => void;

  private constructor(options: ChannelOptions) {
    this.#options = options;
  }

  /** @throws {PortsInUse}, or {ScistreamError} NO_RESOURCE without descriptors */
  static async listen(options: ChannelOptions): Promise<Channel> {
    const { budget } = options;
    if (!budget.take(PER_LISTENER)) {
      throw new ScistreamError("NO_RESOURCE", "the data server is out of file descriptors");
    }
    const channel = new Channel(options);
    try {
      await channel.#listen();
    } catch (error) {
      budget.give(PER_LISTENER);
      throw error;
    }
    return channel;
  }

  #listen(): Promise<void> {
    const { at, reusePort } = this.#options;
    // A TLS handshake reads at once; what is plain waits until it has a target.
    const plain = !this.#provesPeers;
    const server = net.createServer({ allowHalfOpen: plain, pauseOnConnect: plain });
    server.on("connection", (socket) => this.#accept(socket));
    return new Promise((resolve, reject) => {
      server.on("error", (error: NodeJS.ErrnoException) => {
        if (this.#server === server) this.#tell(`listener: ${error.message}`);
        reject(error.code === "EADDRINUSE" ? new PortsInUse([at.port]) : error);
      });
      server.listen({ host: at.host, port: at.port, backlog: 1024, reusePort }, () => {
        this.#server = server;
        if (this.#stopped) server.close();
        resolve();
      });
    });
  }

  /**
   * Stops listening until descriptors are free again, so that none is used up on refusing: an accept
   * loop of node:net that meets EMFILE in Deno stops for good, without an error (seen on 2.9.3).
   */
  #pause(): void {
    this.#server?.close();
    this.#server = undefined;
    this.#options.budget.onFree(PER_CONNECTION, () => this.#resume(RESUME_TRIES));
  }

  #resume(tries: number): void {
    if (this.#stopped) return;
    this.#listen().catch((error) => {
      // The old listener's port is free a moment after it is closed.
      if (tries > 0) setTimeout(() => this.#resume(tries - 1), RESUME_MS);
      else this.#tell(`listener: ${error.message}`);
    });
  }

  get #provesPeers(): boolean {
    return this.#options.tls !== undefined && this.#options.role === "PROD";
  }

  get status(): ChannelStatus {
    const peers = new Set<string>();
    for (const connection of this.#live) {
      if (peers.size >= MOST_PEERS) break;
      if (!this.#proving.has(connection) && connection.peer) peers.add(connection.peer);
    }
    return {
      ...this.#status,
      connectionsOpen: this.#live.size,
      peers: [...peers],
      speedToTarget: this.#toTarget.perSecond,
      speedFromTarget: this.#fromTarget.perSecond,
    };
  }

  /** Measures; to be called every TICK_MS. */
  tick(now: number): void {
    this.#toTarget.tick(this.#status.bytesToTarget, now);
    this.#fromTarget.tick(this.#status.bytesFromTarget, now);
  }

  /** New connections go there from now on, and those that waited for a first target. */
  target(to: Endpoint): void {
    this.#target = to;
    for (const held of this.#held) held.resolve(to);
    this.#held.clear();
  }

  /** Nobody waits for a first target any more. */
  turnAway(): void {
    this.#turnsAway = true;
    this.#giveUp(NO_TARGET);
  }

  /** Stops listening and cuts whoever still waits for a target. */
  stopListening(): void {
    this.#stopped = true;
    this.#server?.close();
    this.#options.budget.give(PER_LISTENER);
    this.#giveUp("released before it had a target");
  }

  #giveUp(why: string): void {
    for (const held of this.#held) held.reject(new Error(why));
    this.#held.clear();
  }

  /** Resolves when no connection is left. Call after {@linkcode Channel.stopListening}. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#live.size === 0) return resolve();
      this.#onEmpty = resolve;
    });
  }

  /** Cuts every connection with an RST. */
  cut(): void {
    for (const connection of this.#live) connection.cut("cut while connecting");
  }

  #accept(socket: net.Socket): void {
    const { allow, budget } = this.#options;
    this.#status.connectionsTotal++;
    // Until a relay takes it over, a socket that fails must not take the process with it.
    socket.on("error", () => {});
    const from = allow?.length || this.#provesPeers ? socket.remoteAddress ?? "" : "";
    const closed = allow?.find((networks) => !networks.has(from));
    if (closed) {
      return this.#refuse(socket, `${from} is not in the networks that are allowed (${closed})`);
    }
    if (this.#provesPeers && !this.#roomToProve(from)) {
      return this.#refuse(socket, `${from}: ${MOST_PROVING_FROM} of its connections are unproven`);
    }
    if (!budget.take(PER_CONNECTION)) {
      this.#status.connectionsFailed++;
      this.#tell("out of file descriptors: too many connections at once");
      socket.resetAndDestroy();
      return this.#pause();
    }
    const connection = new Connection(socket, {
      ...this.#options,
      status: this.#status,
      target: () => this.#firstTarget(),
      tell: (why) => this.#tell(why),
    });
    this.#live.add(connection);
    if (this.#provesPeers) this.#prove(connection);
    connection.done.finally(() => {
      this.#live.delete(connection);
      budget.give(PER_CONNECTION);
      if (this.#live.size === 0) this.#onEmpty?.();
    });
  }

  #firstTarget(): Promise<Endpoint> {
    if (this.#target) return Promise.resolve(this.#target);
    if (this.#turnsAway) return Promise.reject(new Error(NO_TARGET));
    if (this.#held.size >= MOST_HELD) {
      return Promise.reject(new Error(`more than ${MOST_HELD} connections wait for a target`));
    }
    const held = Promise.withResolvers<Endpoint>();
    this.#held.add(held);
    return held.promise;
  }

  /** Whether another connection from there may begin to prove itself; the oldest one makes room. */
  #roomToProve(from: string): boolean {
    if ((this.#provingFrom.get(from) ?? 0) >= MOST_PROVING_FROM) return false;
    if (this.#proving.size >= MOST_PROVING) {
      const [oldest] = this.#proving;
      oldest?.cut(`${oldest.peer} was cut: too many connections are unproven`);
    }
    return true;
  }

  #prove(connection: Connection): void {
    const { peer } = connection;
    this.#proving.add(connection);
    this.#provingFrom.set(peer, (this.#provingFrom.get(peer) ?? 0) + 1);
    connection.proven.then(() => {
      this.#proving.delete(connection);
      const left = (this.#provingFrom.get(peer) ?? 1) - 1;
      if (left > 0) this.#provingFrom.set(peer, left);
      else this.#provingFrom.delete(peer);
    });
  }

  #refuse(socket: net.Socket, why: string): void {
    this.#status.connectionsRefused++;
    this.#tell(why);
    socket.resetAndDestroy();
  }

  #tell(why: string): void {
    this.#status.lastError = why;
    this.#status.lastErrorMs = Date.now();
    this.#options.note?.(why);
  }
}
