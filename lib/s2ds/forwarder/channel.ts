import net from "node:net";
import type { Endpoint } from "../../protocol/endpoint.ts";
import { ScistreamError } from "../../protocol/errors.ts";
import { type ChannelStatus, idleChannel, PortsInUse } from "../data_server.ts";
import type { DescriptorBudget } from "./descriptors.ts";
import { dial, Relay } from "./relay.ts";

/** An accepted connection and the one to its target. */
const PER_CONNECTION = 2;
/** A listener, and the connection that it accepts before it finds that there is no room. */
const PER_LISTENER = 2;
const RESUME_MS = 10;
const RESUME_TRIES = 500;
/** Connections that may wait on one channel for its first target. */
const MOST_HELD = 256;
const CONNECT_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 60_000;

/** One listener and the connections that it accepted. */
export class Channel {
  readonly #at: Endpoint;
  readonly #budget: DescriptorBudget;
  readonly #status: ChannelStatus = idleChannel();
  /** Accepted before there was a target. */
  readonly #held = new Set<net.Socket>();
  /** Ends of connections that cut them: those still being connected, and relays. */
  readonly #live = new Set<() => void>();
  #server?: net.Server;
  #stopped = false;
  #target?: Endpoint;
  #onEmpty?: () => void;

  private constructor(at: Endpoint, budget: DescriptorBudget) {
    this.#at = at;
    this.#budget = budget;
  }

  /** @throws {PortsInUse}, or {ScistreamError} NO_RESOURCE without descriptors */
  static async listen(at: Endpoint, budget: DescriptorBudget): Promise<Channel> {
    if (!budget.take(PER_LISTENER)) {
      throw new ScistreamError("NO_RESOURCE", "the data server is out of file descriptors");
    }
    const channel = new Channel(at, budget);
    try {
      await channel.#listen();
    } catch (error) {
      budget.give(PER_LISTENER);
      throw error;
    }
    return channel;
  }

  #listen(): Promise<void> {
    const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
    server.on("connection", (socket) => this.#accept(socket));
    return new Promise((resolve, reject) => {
      server.on("error", (error: NodeJS.ErrnoException) => {
        if (this.#server === server) this.#fail(`listener: ${error.message}`);
        reject(error.code === "EADDRINUSE" ? new PortsInUse([this.#at.port]) : error);
      });
      server.listen({ host: this.#at.host, port: this.#at.port, backlog: 1024 }, () => {
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
    this.#budget.onFree(PER_CONNECTION, () => this.#resume(RESUME_TRIES));
  }

  #resume(tries: number): void {
    if (this.#stopped) return;
    this.#listen().catch((error) => {
      // The old listener's port is free a moment after it is closed.
      if (tries > 0) setTimeout(() => this.#resume(tries - 1), RESUME_MS);
      else this.#fail(`listener: ${error.message}`);
    });
  }

  get status(): ChannelStatus {
    return { ...this.#status, connectionsOpen: this.#live.size + this.#held.size };
  }

  /** New connections go there from now on, and those that waited for a first target. */
  target(to: Endpoint): void {
    this.#target = to;
    for (const socket of this.#held) {
      this.#held.delete(socket);
      this.#connect(socket, to);
    }
  }

  /** Stops listening and cuts whoever still waits for a target. */
  stopListening(): void {
    this.#stopped = true;
    this.#server?.close();
    this.#budget.give(PER_LISTENER);
    for (const socket of this.#held) {
      this.#held.delete(socket);
      this.#turnAway(socket, "released before it had a target");
    }
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
    for (const end of this.#live) end();
  }

  #accept(socket: net.Socket): void {
    this.#status.connectionsTotal++;
    // Until a relay takes it over, a socket that fails must not take the process with it.
    socket.on("error", () => {});
    if (!this.#budget.take(PER_CONNECTION)) {
      this.#refuse(socket, "out of file descriptors: too many connections at once");
      return this.#pause();
    }
    if (this.#target) return this.#connect(socket, this.#target);
    if (this.#held.size >= MOST_HELD) {
      return this.#turnAway(socket, `more than ${MOST_HELD} connections wait for a target`);
    }
    this.#held.add(socket);
  }

  #connect(accepted: net.Socket, to: Endpoint): void {
    const dialled = dial();
    const { socket } = dialled;
    let settled = false;
    const giveUp = (why: string) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      this.#forget(giveUpNow);
      socket.destroy();
      this.#turnAway(accepted, `target ${to}: ${why}`);
    };
    const giveUpNow = () => giveUp("cut while connecting");
    const timer = setTimeout(
      () => giveUp(`no answer within ${CONNECT_TIMEOUT_MS / 1000} s`),
      CONNECT_TIMEOUT_MS,
    );
    this.#live.add(giveUpNow);
    socket.once("error", (error: NodeJS.ErrnoException) => giveUp(error.code ?? error.message));
    socket.connect({ host: to.host, port: to.port }, () => {
      if (accepted.destroyed) return giveUp("the client hung up");
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      this.#relay(accepted, dialled, giveUpNow);
    });
  }

  #relay(accepted: net.Socket, dialled: ReturnType<typeof dial>, replaces: () => void): void {
    for (const socket of [accepted, dialled.socket]) {
      socket.setNoDelay(true);
      socket.setKeepAlive(true, KEEP_ALIVE_MS);
    }
    const relay = new Relay(accepted, dialled, {
      toTarget: (n) => this.#status.bytesToTarget += n,
      fromTarget: (n) => this.#status.bytesFromTarget += n,
    });
    const end = () => relay.reset();
    this.#live.add(end);
    this.#live.delete(replaces);
    relay.done.then((error) => {
      if (error) this.#status.lastError = error;
      this.#budget.give(PER_CONNECTION);
      this.#forget(end);
    });
  }

  /** Ends an accepted connection that reaches no target. */
  #turnAway(accepted: net.Socket, why: string): void {
    this.#budget.give(PER_CONNECTION);
    this.#refuse(accepted, why);
  }

  #refuse(accepted: net.Socket, why: string): void {
    this.#fail(why);
    accepted.resetAndDestroy();
  }

  #fail(why: string): void {
    this.#status.connectionsFailed++;
    this.#status.lastError = why;
  }

  #forget(end: () => void): void {
    this.#live.delete(end);
    if (this.#live.size === 0) this.#onEmpty?.();
  }
}
