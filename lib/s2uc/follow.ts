/**
 * A watch that goes on when its connection breaks.
 * @module
 */
import type { WatchUpdate } from "../../proto/messages.ts";
import type { ControlClient } from "../protocol/client.ts";
import { pause } from "../pause.ts";
import { ScistreamError, Status } from "../protocol/errors.ts";
import type { Uid } from "../protocol/uid.ts";
import { isOver } from "./requests.ts";

/** Pauses before a connection is tried again: at first, and at most. */
const FIRST_PAUSE_MS = 250;
const MOST_PAUSE_MS = 5_000;
/** Pauses for a token that is over for its provider already, and here not yet. */
const MOST_STALE_MS = 1_000;
/** A server that has told nothing for so long is not there any more; it does so once a second. */
const SILENCE_MS = 15_000;

/** What to watch, and how. */
export interface FollowOptions {
  /** Connects; asked again for each new connection. */
  open: () => Promise<ControlClient>;
  /** One session; all that the caller may see if not given. */
  uid?: Uid;
  /** Ends it, with its reason. */
  signal: AbortSignal;
  /** Told that a connection broke, and that there will be another. */
  onBroken: (error: ScistreamError) => void;
}

/**
 * The updates of one control server, through as many connections as it takes. Ends when the one session
 * that is watched is over.
 * @throws {ScistreamError} what the first connection was refused with, or a later one for good
 */
export async function* follow(options: FollowOptions): AsyncGenerator<WatchUpdate, void> {
  const { signal, onBroken } = options;
  let hasSeen = false;
  for (let pauseMs = FIRST_PAUSE_MS;;) {
    let isNew = true;
    try {
      for await (const update of updates(options)) {
        isNew = false;
        hasSeen = true;
        pauseMs = FIRST_PAUSE_MS;
        yield update;
      }
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ScistreamError) || !hasSeen) throw error;
      // It ended while nobody looked.
      if (isNew && isOver(error) && options.uid) return;
      if (error.status === Status.UNAUTHENTICATED) {
        // Its token has ended. A new connection has a fresh one, or will: providers count whole seconds,
        // so that one may be over a moment before it is taken for that here.
        if (!isNew) continue;
        if (pauseMs > MOST_STALE_MS) throw error;
      } else {
        if (!mayPass(error)) throw error;
        onBroken(error);
      }
    }
    await pause(pauseMs * (0.75 + Math.random() / 2), signal);
    pauseMs = Math.min(2 * pauseMs, MOST_PAUSE_MS);
  }
}

/** The updates of one connection. */
async function* updates({ open, uid, signal }: FollowOptions): AsyncGenerator<WatchUpdate, void> {
  const client = await open();
  const silent = new AbortController();
  const hush = () =>
    silent.abort(
      new ScistreamError(
        "CONN_ERROR",
        `the control server at ${client.address} has told nothing for ${SILENCE_MS / 1000} s`,
      ),
    );
  let patience = setTimeout(hush, SILENCE_MS);
  try {
    const request = uid ? { uid: uid.reveal() } : {};
    const either = AbortSignal.any([signal, silent.signal]);
    for await (const update of client.stream("watch", request, { signal: either })) {
      clearTimeout(patience);
      yield update;
      patience = setTimeout(hush, SILENCE_MS);
    }
  } finally {
    clearTimeout(patience);
    client.close();
  }
}

/** Whether a new connection may go better. */
function mayPass({ code }: ScistreamError): boolean {
  return code === "CONN_ERROR" || code === "UNAVAILABLE" || code === "RATE_LIMIT";
}
