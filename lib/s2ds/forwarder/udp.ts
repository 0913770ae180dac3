import type { Networks } from "../../protocol/cidr.ts";
import type { Endpoint } from "../../protocol/endpoint.ts";
import { type ChannelStatus, idleChannel, PortsInUse } from "../data_server.ts";
import type { DescriptorBudget } from "./descriptors.ts";
import type { Limit } from "./limit.ts";
import { Meter } from "./meter.ts";

/** A source that is silent for so long is forgotten. */
const IDLE_MS = 60_000;
const SWEEP_MS = 5_000;
/** Sources at once, of one channel. */
const MOST_FLOWS = 1024;
/** Largest datagram, bytes (RFC 768). */
const LARGEST = 65_535;

/** What a UDP channel is to do, and what it shares with others. */
export interface UdpOptions {
  at: Endpoint;
  budget: DescriptorBudget;
  reusePort?: boolean;
  allow?: readonly Networks[];
  toTarget?: Limit;
  fromTarget?: Limit;
  note?: (why: string) => void;
  /** How long a silent source is kept. */
  idleMs?: number;
}

/** A source, and the socket that stands for it towards the target. */
interface Flow {
  socket: Deno.DatagramConn;
  lastMs: number;
}

/**
 * Forwards datagrams from a port to a target, and answers back to whom they are for. A flow is a
 * source address and port. Datagrams for which there is no room are dropped and counted: whoever
 * sends UDP reckons with that.
 */
export class UdpChannel {
  readonly #options: UdpOptions;
  readonly #socket: Deno.DatagramConn;
  readonly #status: ChannelStatus = idleChannel();
  readonly #flows = new Map<string, Flow>();
  readonly #toTarget = new Meter();
  readonly #fromTarget = new Meter();
  readonly #sweep: ReturnType<typeof setInterval>;
  #target?: Deno.NetAddr;
  #stopped = false;

  private constructor(options: UdpOptions, socket: Deno.DatagramConn) {
    this.#options = options;
    this.#socket = socket;
    this.#sweep = setInterval(
      () => this.#forgetIdle(),
      Math.min(SWEEP_MS, options.idleMs ?? IDLE_MS),
    );
    this.#receive();
  }

  /** @throws {PortsInUse} */
  static listen(options: UdpOptions): UdpChannel {
    const { at: { host: hostname, port }, reusePort } = options;
    try {
      const socket = Deno.listenDatagram({
        transport: "udp",
        hostname,
        port,
        reuseAddress: reusePort,
      });
      options.budget.take(1);
      return new UdpChannel(options, socket);
    } catch (error) {
      if (error instanceof Deno.errors.AddrInUse) throw new PortsInUse([port]);
      throw error;
    }
  }

  get status(): ChannelStatus {
    return {
      ...this.#status,
      connectionsOpen: this.#flows.size,
      speedToTarget: this.#toTarget.perSecond,
      speedFromTarget: this.#fromTarget.perSecond,
    };
  }

  /** Measures; to be called every TICK_MS. */
  tick(now: number): void {
    this.#toTarget.tick(this.#status.bytesToTarget, now);
    this.#fromTarget.tick(this.#status.bytesFromTarget, now);
  }

  /** Datagrams go there from now on, also those of known sources. */
  target({ host: hostname, port }: Endpoint): void {
    this.#target = { transport: "udp", hostname, port };
  }

  /** Ends it: datagrams have nothing to finish. */
  close(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#sweep);
    this.#socket.close();
    this.#options.budget.give(1);
    for (const key of this.#flows.keys()) this.#forget(key);
  }

  async #receive(): Promise<void> {
    const buffer = new Uint8Array(LARGEST);
    while (!this.#stopped) {
      try {
        const [data, from] = await this.#socket.receive(buffer);
        await this.#forward(data, from as Deno.NetAddr);
      } catch (error) {
        if (this.#stopped) return;
        this.#drop(`udp: ${(error as Error).message}`);
      }
    }
  }

  async #forward(data: Uint8Array, from: Deno.NetAddr): Promise<void> {
    const { allow, toTarget } = this.#options;
    const target = this.#target;
    const closed = allow?.find((networks) => !networks.has(from.hostname));
    if (closed) {
      return this.#drop(
        `udp: ${from.hostname} is not in the networks that are allowed (${closed})`,
      );
    }
    if (!target) return this.#drop("udp: there is no target yet");
    if (toTarget && !toTarget.open) return this.#drop("udp: more than the session's rate");
    const key = `${from.hostname} ${from.port}`;
    const flow = this.#flows.get(key) ?? this.#open(key, from);
    if (!flow) return;
    flow.lastMs = performance.now();
    toTarget?.spend(data.length, () => {});
    await flow.socket.send(data, target);
    this.#status.bytesToTarget += data.length;
  }

  #open(key: string, from: Deno.NetAddr): Flow | undefined {
    const { budget } = this.#options;
    if (this.#flows.size >= MOST_FLOWS || !budget.take(1)) {
      this.#drop(`udp: more than ${MOST_FLOWS} sources at once, or out of file descriptors`);
      return;
    }
    const hostname = this.#options.at.host.includes(":") ? "::" : "0.0.0.0";
    const socket = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
    const flow = { socket, lastMs: performance.now() };
    this.#flows.set(key, flow);
    this.#status.connectionsTotal++;
    this.#answer(flow, from);
    return flow;
  }

  /** What the target sends back to this source. */
  async #answer(flow: Flow, to: Deno.NetAddr): Promise<void> {
    const { fromTarget } = this.#options;
    const buffer = new Uint8Array(LARGEST);
    for (;;) {
      try {
        const [data] = await flow.socket.receive(buffer);
        flow.lastMs = performance.now();
        if (fromTarget && !fromTarget.open) {
          this.#drop("udp: more than the session's rate");
          continue;
        }
        fromTarget?.spend(data.length, () => {});
        await this.#socket.send(data, to);
        this.#status.bytesFromTarget += data.length;
      } catch (error) {
        if (error instanceof Deno.errors.BadResource || this.#stopped) return;
        this.#drop(`udp: target: ${(error as Error).message}`);
      }
    }
  }

  #forgetIdle(): void {
    const before = performance.now() - (this.#options.idleMs ?? IDLE_MS);
    for (const [key, { lastMs }] of this.#flows) if (lastMs < before) this.#forget(key);
  }

  #forget(key: string): void {
    this.#flows.get(key)?.socket.close();
    this.#flows.delete(key);
    this.#options.budget.give(1);
  }

  #drop(why: string): void {
    this.#status.datagramsDropped++;
    this.#status.lastError = why;
    this.#status.lastErrorMs = Date.now();
    this.#options.note?.(why);
  }
}
