/**
 * Calls of Janus that are tried again where that is safe.
 * @module
 */
import { pause } from "../pause.ts";
import { parseJson } from "../shape.ts";
import { wrongAnswer } from "./answers.ts";
import { errorText, JanusError, refused } from "./errors.ts";
import { type Ask, type JanusAccess, Transport } from "./transport.ts";

/** Milliseconds that Janus gets for each kind of call. */
export interface JanusPatience {
  /** For what it only looks up. It asks its nodes meanwhile. */
  read: number;
  /** To create: the node may pull the image first. */
  create: number;
  /** To start, stop and remove: a container gets 10 s to end. */
  change: number;
  /** First pause before a call is tried again; each is thrice the one before. */
  pause: number;
}

/** What it gets if nothing else is said. */
export const PATIENCE: JanusPatience = {
  read: 15_000,
  create: 300_000,
  change: 60_000,
  pause: 250,
};
/** How often a call is made at most. */
export const MOST_TRIES = 3;

/** A request; what only reads is given its time. */
export type Call = Omit<Ask, "ms"> & { ms?: number };

/** Makes calls. In errors, `what` completes "refused to …". */
export class Calls {
  readonly #transport: Transport;
  readonly #patience: JanusPatience;

  /** Nothing is connected before the first call. */
  constructor(access: JanusAccess, patience: JanusPatience) {
    this.#transport = new Transport(access);
    this.#patience = patience;
  }

  /** What is at this path. */
  get(
    what: string,
    path: Ask["path"],
    query: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<unknown> {
    return this.tried(what, { method: "GET", path, query, signal });
  }

  /** A call that may be made again. */
  async tried(what: string, call: Call): Promise<unknown> {
    for (let tries = 1;; tries++) {
      try {
        return await this.json(what, call);
      } catch (error) {
        if (!isPassing(error) || tries >= MOST_TRIES) throw error;
      }
      await this.rest(tries, call.signal);
    }
  }

  /** An answer of 2xx, made once; undefined for one without a body. */
  async json(what: string, call: Call): Promise<unknown> {
    const { status, bytes } = await this.#transport.ask(what, {
      ...call,
      ms: call.ms ?? this.#patience.read,
    });
    if (status < 200 || status > 299) throw refused(what, status, errorText(bytes));
    return status === 204 ? undefined : parseJson(bytes, wrongAnswer(what));
  }

  /** The pause after so many tries: not all that lost the controller at once come back at once. */
  async rest(tries: number, signal?: AbortSignal): Promise<void> {
    const ms = this.#patience.pause * 3 ** (tries - 1);
    await pause(ms * (0.5 + Math.random() / 2), signal);
  }
}

/** What was asked for, or undefined for a 404. */
export async function ifAny<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof JanusError && error.httpStatus === 404) return undefined;
    throw error;
  }
}

/** Whether the controller, or the proxy before it, is away for a moment. */
export function isPassing(error: unknown): error is JanusError {
  return error instanceof JanusError &&
    (error.kind === "unreachable" || error.httpStatus === 502 || error.httpStatus === 504);
}
