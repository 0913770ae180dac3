/**
 * Sessions as a program holds them: set up in one call, and released when they are disposed of.
 * @module
 */
import type { SessionStatus } from "../../proto/messages.ts";
import type { Networks } from "../protocol/cidr.ts";
import type { CallOptions, ControlClient } from "../protocol/client.ts";
import { Endpoint } from "../protocol/endpoint.ts";
import { ScistreamError } from "../protocol/errors.ts";
import { Uid } from "../protocol/uid.ts";
import type { Rate, Role } from "../protocol/values.ts";
import { connect, reserve } from "./connect.ts";
import {
  isOver,
  type ReleaseOptions,
  releaseSession,
  sessionStatus,
  UNDO_MS,
  updateRate,
  updateSession,
} from "./requests.ts";
import { watchSession } from "./watch_session.ts";

/** An address, or `host:port`. */
export type Address = Endpoint | string;

/** One side of a session. */
export interface SideOptions {
  /** Names the session. Both sides have the same, and whoever knows it can join; a random one if not given. */
  uid?: Uid;
  /** Which side this is. */
  role: Role;
  /**
   * Where its channels lead: for a producer where the application listens, for a consumer where the
   * producer's gateway does. Channel i leads to target i mod n.
   */
  targets: readonly Address[];
  /** Channels; one for each target if not given. */
  numConn?: number;
  /** Kilobytes per second to ask for; 0, as if not given, is no limit. */
  rate?: Rate;
  /** Networks that may connect; all if not given. */
  allow?: Networks;
  /** Gives up and undoes what was done. */
  signal?: AbortSignal;
}

/** Both sides of a session. */
export interface BothOptions {
  /** The producer's control server. */
  prod: ControlClient;
  /** The consumer's control server. */
  cons: ControlClient;
  /** Where the producer's application listens. Channel i leads to receiver i mod n. */
  receivers: readonly Address[];
  /** Host of the producer's gateway that the consumer's reaches, where its listeners tell another. */
  prodWanHost?: string;
  /** Names the session at both; a random one if not given. */
  uid?: Uid;
  /** Channels; one for each receiver if not given. */
  numConn?: number;
  /** Kilobytes per second to ask for at both; 0, as if not given, is no limit. */
  rate?: Rate;
  /** Networks that may connect to the producer's gateway; all if not given. */
  prodAllow?: Networks;
  /** Networks that may connect to the consumer's gateway; all if not given. */
  consAllow?: Networks;
  /** Gives up and undoes what was done. */
  signal?: AbortSignal;
}

/** One side of a session that is up. Disposing of it releases it. */
export class OpenSide implements AsyncDisposable {
  /** For {@linkcode openSide} and {@linkcode openSession}. */
  constructor(
    /** Its control server; not closed with the session. */
    readonly client: ControlClient,
    /** Names the session. */
    readonly uid: Uid,
    /** Which side it is. */
    readonly role: Role,
    /** Where this gateway accepts connections, one a channel. */
    readonly listeners: readonly Endpoint[],
  ) {}

  /** The session as its gateway sees it now. */
  status(signal?: AbortSignal): Promise<SessionStatus> {
    return sessionStatus(this.client, this.uid, { signal });
  }

  /** Its status again and again, until it is over or the signal. */
  watch(options: Pick<CallOptions, "signal"> = {}): AsyncGenerator<SessionStatus, void> {
    return watchSession(this.client, this.uid, options);
  }

  /** New connections lead there from now on; established ones stay as they are. */
  async update(targets: readonly Address[], signal?: AbortSignal): Promise<void> {
    await updateSession(this.client, this.uid, this.role, targets.map(String), signal);
  }

  /** Asks for another rate from now on, in kilobytes per second; 0 for no limit. */
  async setRate(rate: Rate, signal?: AbortSignal): Promise<void> {
    await updateRate(this.client, this.uid, rate, signal);
  }

  /**
   * Frees everything that it holds, once its connections have ended or the gateway's drain timeout is
   * over; `force` cuts them. One that is over already is none the worse.
   */
  async release(options: ReleaseOptions = {}): Promise<void> {
    try {
      await releaseSession(this.client, this.uid, options);
    } catch (error) {
      if (!isOver(error)) throw error;
    }
  }

  /** As {@linkcode release} does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

/** A session that is up at both gateways. Disposing of it releases both sides. */
export class OpenSession implements AsyncDisposable {
  /** For {@linkcode openSession}. */
  constructor(
    /** The producer's side: its listeners are for the consumer's gateway. */
    readonly prod: OpenSide,
    /** The consumer's side: its listeners are for the consumer's application. */
    readonly cons: OpenSide,
  ) {}

  /** Names the session at both. */
  get uid(): Uid {
    return this.prod.uid;
  }

  /** Where the consumer's application connects, one a channel. */
  get listeners(): readonly Endpoint[] {
    return this.cons.listeners;
  }

  /** Releases both sides. */
  async release(options: ReleaseOptions = {}): Promise<void> {
    const both = [this.prod, this.cons].map((side) => side.release(options));
    const failed = (await Promise.allSettled(both)).find((each) => each.status === "rejected");
    if (failed) throw failed.reason;
  }

  /** As {@linkcode release} does. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

/**
 * Sets up one side of a session: request, hello and targets. When a step fails, what was done is
 * undone before the error is thrown.
 *
 * ```ts ignore
 * using gateway = new ControlClient({ address: "192.168.10.11:5007", roots });
 * await using side = await openSide(gateway, { role: "PROD", targets: ["192.168.10.10:5001"] });
 * console.log(side.uid.reveal(), side.listeners.join());
 * ```
 * @throws {ScistreamError} as the control server answered
 */
export async function openSide(client: ControlClient, options: SideOptions): Promise<OpenSide> {
  const { uid = Uid.random(), role, rate = 0, allow, signal } = options;
  const targets = endpoints(options.targets, "target");
  const numConn = options.numConn ?? targets.length;
  const appListeners = role === "PROD" ? targets : [];
  let isOpen = false;
  try {
    const request = { uid, role, numConn, rate, allow };
    const listeners = await reserve(client, request, appListeners, {
      signal,
      onOpened: () => isOpen = true,
    });
    await updateSession(client, uid, role, targets.map(String), signal);
    return new OpenSide(client, uid, role, listeners);
  } catch (error) {
    const undo = { force: true, deadlineMs: UNDO_MS };
    if (isOpen) await releaseSession(client, uid, undo).catch(() => {});
    throw error;
  }
}

/**
 * Sets up a session at both gateways, or at neither.
 *
 * ```ts ignore
 * await using session = await openSession({ prod, cons, receivers: ["192.168.10.10:5001"] });
 * console.log(`connect to ${session.listeners.join()}`);
 * ```
 * @throws {ScistreamError} as the control servers answered
 */
export async function openSession(options: BothOptions): Promise<OpenSession> {
  const { prod, cons, uid = Uid.random(), rate = 0 } = options;
  const receivers = endpoints(options.receivers, "receiver");
  const numConn = options.numConn ?? receivers.length;
  const { prodListeners, consListeners } = await connect({
    ...options,
    uid,
    numConn,
    rate,
    receivers,
  });
  return new OpenSession(
    new OpenSide(prod, uid, "PROD", prodListeners),
    new OpenSide(cons, uid, "CONS", consListeners),
  );
}

/** @throws {ScistreamError} BAD_FORMAT */
function endpoints(addresses: readonly Address[], what: string): Endpoint[] {
  if (addresses.length === 0) {
    throw new ScistreamError("BAD_FORMAT", `no ${what} is given; name at least one`);
  }
  return addresses.map((each) => typeof each === "string" ? Endpoint.parse(each, what) : each);
}
