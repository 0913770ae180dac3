/**
 * A session at both gateways, and the traffic through it, which is checked byte by byte.
 * @module
 */
import type { Endpoint } from "../../lib/protocol/endpoint.ts";
import { messageOf, ScistreamError } from "../../lib/protocol/errors.ts";
import { Uid } from "../../lib/protocol/uid.ts";
import { within } from "../../lib/s2ds/wait.ts";
import { connect } from "../../lib/s2uc/connect.ts";
import { releaseSession } from "../../lib/s2uc/requests.ts";
import { echoes, EchoServer } from "../../tests/echo.ts";
import { EndlessFlow } from "../../tests/endless_flow.ts";
import type { Gateways, Side } from "./gateways.ts";

/** Blocks come back in milliseconds; this is for what hangs. */
const STALL_MS = 30_000;
/** Whatever was hurt works again by then, or never. */
const RECOVERY_MS = 60_000;
/** Between two looks at whether it does. */
const LOOK_MS = 50;
const LONGEST_SILENCE_MS = 150;

/** An echo that counts who came. */
export class Application extends EchoServer {
  connections = 0;

  protected override talk(conn: Deno.TcpConn): Promise<void> {
    this.connections++;
    return super.talk(conn);
  }
}

/** Resolves after so many milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Nothing comes, and no end. */
class Stall extends Error {
  constructor() {
    super("it stands still");
  }
}

/** Connections over one listener: a new one whenever the last was cut by what may cut it. */
class Traffic {
  #flow!: EndlessFlow;
  #past = 0;
  #mayBeCut = false;
  #cut: unknown;

  private constructor(readonly listener: string) {}

  static async start(listener: string): Promise<Traffic> {
    const traffic = new Traffic(listener);
    await traffic.#begin();
    return traffic;
  }

  /** Bytes that came back as they were. */
  get bytes(): number {
    return this.#past + this.#flow.bytes;
  }

  /** From now on until it is seen to go on. */
  mayBeCut(): void {
    if (this.#cut !== undefined && !this.#mayBeCut) throw this.#broken(this.#cut);
    this.#mayBeCut = true;
  }

  /** Goes on: with another connection where it was cut and may have been. */
  async assertGoesOn(): Promise<void> {
    try {
      await this.#moves();
    } catch (error) {
      this.#assertCut(error);
      await this.#close();
      await this.#begin();
      await this.#moves();
    }
    this.#mayBeCut = false;
  }

  async stop(): Promise<void> {
    try {
      await within(STALL_MS, this.#flow.stop(), () => new Stall());
    } catch (error) {
      this.#assertCut(error);
    } finally {
      await this.#close();
    }
  }

  async #begin(): Promise<void> {
    this.#past += this.#flow?.bytes ?? 0;
    this.#cut = undefined;
    const silence = () => pause(Math.random() * LONGEST_SILENCE_MS);
    const flow = this.#flow = await EndlessFlow.start(this.listener, silence);
    flow.ended.then((why) => {
      if (this.#flow === flow) this.#cut = why;
    });
  }

  /** One that is stuck in a write is left to itself. */
  async #close(): Promise<void> {
    await within(2_000, this.#flow[Symbol.asyncDispose](), () => new Error()).catch(() => {});
  }

  async #moves(): Promise<void> {
    await within(STALL_MS, this.#flow.assertGoesOn(), () => new Stall());
  }

  /** That this is a cut, and one that may be: other bytes, or none and no end, never may. */
  #assertCut(error: unknown): void {
    const isCut = !(error instanceof Stall) && (error as Error).name !== "AssertionError";
    if (!isCut || !this.#mayBeCut) throw this.#broken(error);
  }

  #broken(error: unknown): Error {
    return new Error(`the stream over ${this.listener} was disturbed: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** A session, from its set-up at both gateways to its release. */
export class Stream {
  #traffic: Traffic[] = [];

  private constructor(
    readonly gateways: Gateways,
    readonly uid: Uid,
    readonly listeners: readonly string[],
    readonly isForwarded: boolean,
  ) {}

  /** Sets it up; whatever it may have left where it fails can be released by its uid. */
  static async make(
    gateways: Gateways,
    to: Endpoint,
    { uid, channels, isForwarded }: { uid: Uid; channels: number; isForwarded: boolean },
  ): Promise<Stream> {
    const { consListeners } = await connect({
      prod: gateways.prod.client,
      cons: gateways.cons.client,
      uid,
      numConn: channels,
      rate: 0,
      receivers: [to],
      signal: AbortSignal.timeout(RECOVERY_MS),
    });
    return new Stream(gateways, uid, consListeners.map(String), isForwarded);
  }

  get bytes(): number {
    return this.#traffic.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Sends over the first so many channels, from now on. */
  async send(flows: number): Promise<void> {
    if (!this.isForwarded) return;
    const listeners = this.listeners.slice(0, flows);
    this.#traffic.push(...await Promise.all(listeners.map((each) => Traffic.start(each))));
  }

  /** What comes next may cut its connections. */
  mayBeCut(): void {
    for (const each of this.#traffic) each.mayBeCut();
  }

  async assertGoesOn(): Promise<void> {
    await Promise.all(this.#traffic.map((each) => each.assertGoesOn()));
  }

  /** Waits until new connections work on every channel, and both gateways say that it streams. */
  async assertWorks(): Promise<void> {
    const end = performance.now() + RECOVERY_MS;
    for (let why = "-"; why !== "";) {
      why = await this.#whatIsWrong();
      if (why === "") break;
      if (performance.now() > end) throw new Error(`${this.uid} does not come back: ${why}`);
      await pause(LOOK_MS);
    }
    await this.assertGoesOn();
  }

  async #whatIsWrong(): Promise<string> {
    if (this.isForwarded) {
      const works = await Promise.all(this.listeners.map((listener) => echoes(listener)));
      const dead = this.listeners.filter((_, i) => !works[i]);
      if (dead.length > 0) return `no echo over ${dead}`;
    }
    for (const { client, where } of this.gateways.both) {
      const { state, reason } = await client.call("status", { uid: this.uid.reveal() });
      if (state !== "streaming") return `${where} says ${state}: ${reason}`;
    }
    return "";
  }

  /** Ends traffic and session. With `force` connections are cut by it, without they go on until they end. */
  async release(force: boolean): Promise<void> {
    if (force) this.mayBeCut();
    // One that is just being made is not established at both gateways yet, and a drain turns it away.
    else await this.assertGoesOn();
    const released = Promise.all(
      this.gateways.both.map(({ client }) => releaseSession(client, this.uid, { force })),
    );
    released.catch(() => {});
    if (!force) await this.assertGoesOn();
    await this.stop();
    await released;
  }

  /** Ends the traffic alone. */
  async stop(): Promise<void> {
    await Promise.all(this.#traffic.map((each) => each.stop()));
  }
}

/** Releases what may be there, at once. */
export async function forget(sides: readonly Side[], uid: Uid): Promise<void> {
  await Promise.all(sides.map(async ({ client }) => {
    try {
      await releaseSession(client, uid, { force: true });
    } catch (error) {
      if (!(error instanceof ScistreamError && error.code === "INVALID_UID")) throw error;
    }
  }));
}
