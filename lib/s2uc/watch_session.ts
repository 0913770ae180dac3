/**
 * A session, as its gateway sees it while it lasts.
 * @module
 */
import type { SessionStatus } from "../../proto/messages.ts";
import type { CallOptions, ControlClient } from "../protocol/client.ts";
import type { Uid } from "../protocol/uid.ts";

/**
 * A session's status at once and then about once a second, until the session is over, of which the last
 * one tells, or the signal.
 * @throws {ScistreamError} as the control server answered; INVALID_UID, AUTH_ERROR where there is none
 */
export async function* watchSession(
  client: ControlClient,
  uid: Uid,
  { signal }: Pick<CallOptions, "signal"> = {},
): AsyncGenerator<SessionStatus, void> {
  try {
    for await (const { sessions } of client.stream("watch", { uid: uid.reveal() }, { signal })) {
      yield* sessions;
    }
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
}
