/**
 * Both sides of a stream in one go, under one uid.
 * @module
 */
import type { ControlClient } from "../protocol/client.ts";
import type { Networks } from "../protocol/cidr.ts";
import { traced } from "../trace.ts";
import { Endpoint } from "../protocol/endpoint.ts";
import type { Uid } from "../protocol/uid.ts";
import type { Rate, Role, SessionRequest } from "../protocol/values.ts";
import { releaseSession, requestSession, sayHello, UNDO_MS, updateSession } from "./requests.ts";

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
  /** Networks that may connect to the producer's gateway; all if not given. */
  prodAllow?: Networks;
  /** Networks that may connect to the consumer's gateway; all if not given. */
  consAllow?: Networks;
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

/** How long the other side's request may take to settle once one side has failed. */
const SETTLE_MS = 2_000;
/** How long its request's answer may take once a hello was refused. */
const ANSWER_MS = 200;

/**
 * Sets up the producer's and the consumer's side. When any step fails, what the others did is
 * undone before the error is thrown.
 */
export async function connect(options: ConnectOptions): Promise<Connected> {
  const { prod, cons, uid, receivers, prodWanHost, signal, onStep } = options;
  const timed = async <T>(step: string, work: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    const result = await traced(step, {}, work);
    onStep?.(step, performance.now() - start);
    return result;
  };
  // Only what this call made is undone: where a req is refused, the uid may name somebody's session.
  const opened = new Set<ControlClient>();
  try {
    const [told, consListeners] = await timed(
      "req + hello, both sides",
      () => openBoth(options, opened),
    );
    const prodListeners = told.map((at) => new Endpoint(prodWanHost ?? at.host, at.port));
    await timed(
      "update, both sides",
      () =>
        Promise.all([
          updateSession(prod, uid, "PROD", receivers.map(String), signal),
          updateSession(cons, uid, "CONS", prodListeners.map(String), signal),
        ]),
    );
    return { prodListeners, consListeners };
  } catch (error) {
    const undo = { force: true, deadlineMs: UNDO_MS };
    await Promise.allSettled([...opened].map((client) => releaseSession(client, uid, undo)));
    throw error;
  }
}

/** Opens both sides; notes in `opened` whose req was answered, and throws what failed first. */
async function openBoth(
  options: ConnectOptions,
  opened: Set<ControlClient>,
): Promise<[Endpoint[], Endpoint[]]> {
  const { prod, cons, receivers } = options;
  const failed = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
  let first: { error: unknown } | undefined;
  let settling: ReturnType<typeof setTimeout> | undefined;
  const open = async (client: ControlClient, role: Role, appListeners: readonly Endpoint[]) => {
    try {
      const { uid, numConn, rate, prodAllow, consAllow } = options;
      const allow = role === "PROD" ? prodAllow : consAllow;
      const request = { uid, role, numConn, rate, allow };
      const onOpened = () => opened.add(client);
      return await reserve(client, request, appListeners, { signal, onOpened });
    } catch (error) {
      first ??= { error };
      // A moment is left to the other side: its answer tells whether there is something to undo.
      settling ??= setTimeout(() => failed.abort(error), SETTLE_MS);
      return [];
    }
  };
  const sides = await Promise.all([open(prod, "PROD", receivers), open(cons, "CONS", [])]);
  clearTimeout(settling);
  if (first) throw first.error;
  return sides;
}

/**
 * One side's req and hello, at once: the server holds whichever is early. Answers its listeners.
 * @throws {ScistreamError} what failed first; `onOpened` tells whether the req was answered before
 */
export async function reserve(
  client: ControlClient,
  request: SessionRequest,
  appListeners: readonly Endpoint[],
  options: { signal?: AbortSignal; onOpened: () => void },
): Promise<Endpoint[]> {
  const { uid, role } = request;
  // When one of the two fails, the other would wait for nothing.
  const failed = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
  const pending = requestSession(client, request, signal).then((response) => {
    options.onOpened();
    return response;
  });
  try {
    const hello = sayHello(client, uid, role, appListeners, { signal });
    const [response] = await Promise.all([pending, hello]);
    return response.listeners.map((text) => reachable(Endpoint.parse(text, "listener"), client));
  } catch (error) {
    // A request that is refused has its hello refused as well, perhaps sooner; and it tells why.
    const late = setTimeout(() => failed.abort(error), ANSWER_MS);
    const why = await pending.then(() => error, (reason) => reason);
    clearTimeout(late);
    failed.abort(error);
    throw why;
  }
}

/** A listener on every address of the gateway (0.0.0.0) is reached where the control server is. */
function reachable(listener: Endpoint, client: ControlClient): Endpoint {
  return listener.isWildcard ? new Endpoint(client.address.host, listener.port) : listener;
}
