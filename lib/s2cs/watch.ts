/**
 * How sessions look from one second to the next, for whoever may see them.
 * @module
 */
import type { SessionStatus, WatchUpdate } from "../../proto/messages.ts";
import type { Principal } from "../auth/authenticator.ts";
import { type Gateway, type SessionReport, shuttingDown } from "./gateway.ts";
import type { Observer } from "./observer.ts";
import { sees } from "./owner.ts";
import type { Which } from "./sessions.ts";

/** What watches look through. */
export interface Watching {
  /** Takes the snapshots. */
  observer: Observer;
  /** Ends every watch. */
  closing: AbortSignal;
}

/** Who watches what. */
export interface Watch {
  /** All that the caller may see if not given. */
  which?: Which;
  who?: Principal;
  signal: AbortSignal;
}

/**
 * Starts a watch: of one session until it is over, or of all.
 * @throws {ScistreamError} INVALID_UID, AUTH_ERROR; the answer, UNAVAILABLE once the server closes
 */
export async function watchSessions(
  through: Watching & { gateway: Gateway; report: (each: SessionReport) => SessionStatus },
  watch: Watch,
): Promise<AsyncIterable<WatchUpdate>> {
  const { gateway, report, observer, closing } = through;
  const { which, who, signal } = watch;
  const first = which === undefined ? undefined : await gateway.status(which, who);
  const snapshots = observer.watch(AbortSignal.any([signal, closing]));
  const updates = first ? one(snapshots, first) : all(snapshots, who);
  return (async function* () {
    for await (const { atMs, sessions } of updates) {
      yield { at_ms: atMs, sessions: sessions.map(report) };
    }
    if (closing.aborted && !signal.aborted) throw shuttingDown();
  })();
}

type Snapshots = ReturnType<Observer["watch"]>;

async function* all(snapshots: Snapshots, who: Principal | undefined): Snapshots {
  for await (const { atMs, sessions } of snapshots) {
    yield { atMs, sessions: sessions.filter(({ session }) => sees(session, who)) };
  }
}

/** The last state is in the session itself, which the gateway has let go of. */
async function* one(snapshots: Snapshots, first: SessionReport): Snapshots {
  const { session } = first;
  let last = first;
  for await (const { atMs, sessions } of snapshots) {
    const found = sessions.find((each) => each.session === session);
    // What is over, or about to be, may have no numbers any more: the last ones stay.
    if (found && !(session.state === "draining" && isEmpty(found))) last = found;
    yield { atMs, sessions: [found ? last : over(last)] };
    if (!found) return;
  }
}

/** Nothing moves any more in a session that its gateway has let go of. */
function over({ session, channels }: SessionReport): SessionReport {
  const still = { connectionsOpen: 0, peers: [], speedToTarget: 0, speedFromTarget: 0 };
  return { session, channels: channels.map((channel) => ({ ...channel, ...still })) };
}

function isEmpty({ channels }: SessionReport): boolean {
  return channels.every((channel) => channel.counted && channel.connectionsTotal === 0);
}
