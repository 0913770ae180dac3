/**
 * A session, looked at again and again.
 * @module
 */
import type { SessionStatus } from "../../proto/messages.ts";
import type { ControlClient } from "../protocol/client.ts";
import type { Uid } from "../protocol/uid.ts";
import { isOver, sessionStatus } from "./requests.ts";

/** How a session is watched. */
export interface WatchOptions {
  /** Milliseconds between one look and the next. */
  everyMs?: number;
  /** Ends it. */
  signal?: AbortSignal;
}

/**
 * A session's status, at once and then again and again, until the session is over or the signal.
 * @throws {ScistreamError} as the control server answered; INVALID_UID, AUTH_ERROR where there was none to begin with
 */
export async function* watchSession(
  client: ControlClient,
  uid: Uid,
  { everyMs = 1_000, signal }: WatchOptions = {},
): AsyncGenerator<SessionStatus, void> {
  for (let looks = 0; !signal?.aborted; looks++) {
    try {
      yield await sessionStatus(client, uid, { signal });
    } catch (error) {
      if (signal?.aborted) return;
      if (looks > 0 && isOver(error)) return;
      throw error;
    }
    await pause(everyMs, signal);
  }
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
    if (signal?.aborted) done();
  });
}
