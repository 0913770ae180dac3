/**
 * Both sides of a stream in one go, under one uid.
 * @module
 */
import type { ControlClient } from "../protocol/client.ts";
import { Endpoint } from "../protocol/endpoint.ts";
import type { Uid } from "../protocol/uid.ts";
import type { Rate, Role } from "../protocol/values.ts";
import { releaseSession, requestSession, sayHello, updateSession } from "./requests.ts";

/** What to connect. */
export interface ConnectOptions {
  /** The producer's control server. */
  prod: ControlClient;
  /** The consumer's control server. */
  cons: ControlClient;
  /** Names the session at both. */
  uid: Uid;
  /** Channels. */
  numConn: number;
  /** The rate asked for at both. */
  rate: Rate;
  /** Where the producer's application listens. */
  receivers: readonly Endpoint[];
  /** Host of the producer's gateway that the consumer's reaches, where its listeners tell another. */
  prodWanHost?: string;
  /** Gives up and undoes what was done. */
  signal?: AbortSignal;
  /** Told when each step is done, with its milliseconds. */
  onStep?: (step: string, ms: number) => void;
}

/** A stream that is up. */
export interface Connected {
  /** Where the producer's gateway accepts the consumer's. */
  prodListeners: Endpoint[];
  /** Where the consumer's application connects; channel i leads to receiver i mod n. */
  consListeners: Endpoint[];
}

/** A release that undoes a failed set-up must not hang on the server that made it fail. */
const UNDO_MS = 5_000;

/**
 * Sets up the producer's and the consumer's side. When any step fails, what the others did is
 * undone before the error is thrown.
 */
export async function connect(options: ConnectOptions): Promise<Connected> {
  const { prod, cons, uid, numConn, rate, receivers, prodWanHost, onStep } = options;
  // One side's failure must not leave the other's req pending.
  const failed = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
  const timed = async <T>(step: string, work: Promise<T>): Promise<T> => {
    const start = performance.now();
    const result = await work;
    onStep?.(step, performance.now() - start);
    return result;
  };
  // Only what this call made is undone: the uid may name somebody's session at the side that refused it.
  const opened = new Set<ControlClient>();
  const side = async (client: ControlClient, role: Role) => {
    const pending = requestSession(client, { uid, role, numConn, rate }, signal).then(
      (response) => {
        opened.add(client);
        return response;
      },
    );
    const hello = sayHello(client, uid, role, role === "PROD" ? receivers : [], { signal });
    const [response] = await Promise.all([pending, hello]);
    return response.listeners.map((text) => reachable(Endpoint.parse(text, "listener"), client));
  };
  const all = <T extends unknown[]>(work: { [K in keyof T]: Promise<T[K]> }) =>
    Promise.all(work.map((each) =>
      each.catch((error) => {
        failed.abort(error);
        throw error;
      })
    )) as Promise<T>;
  try {
    const [told, consListeners] = await timed(
      "req + hello, both sides",
      all<[Endpoint[], Endpoint[]]>([side(prod, "PROD"), side(cons, "CONS")]),
    );
    const prodListeners = told.map((at) => new Endpoint(prodWanHost ?? at.host, at.port));
    await timed(
      "update, both sides",
      all([
        updateSession(prod, uid, "PROD", receivers.map(String), signal),
        updateSession(cons, uid, "CONS", prodListeners.map(String), signal),
      ]),
    );
    return { prodListeners, consListeners };
  } catch (error) {
    const cause = failed.signal.aborted ? failed.signal.reason : error;
    await Promise.allSettled(
      [...opened].map((client) =>
        releaseSession(client, uid, { force: true, deadlineMs: UNDO_MS })
      ),
    );
    throw cause;
  }
}

/** A listener on every address of the gateway (0.0.0.0) is reached where the control server is. */
function reachable(listener: Endpoint, client: ControlClient): Endpoint {
  return listener.isWildcard ? new Endpoint(client.address.host, listener.port) : listener;
}
