/**
 * A session as those see it who may ask.
 * @module
 */
import type { SessionStatus } from "../../proto/messages.ts";
import type { SessionReport } from "./gateway.ts";
import type { Session } from "./session.ts";

/**
 * What status and list tell of a session.
 * @param type the data server type
 * @param enforced whether sessions are held to their rates here
 */
export function sessionStatus(
  { session, channels }: SessionReport,
  type: string,
  enforced: boolean,
): SessionStatus {
  return {
    session: session.uid.session,
    role: session.role,
    state: session.state,
    reason: session.reason,
    type,
    rate: session.rate,
    created_ms: session.createdMs,
    warnings: [...session.warnings, ...movedWarning(session)],
    node: session.node,
    moved_ms: session.moved?.atMs ?? 0,
    rate_enforced: enforced && session.rate > 0,
    owner: session.owner?.name ?? "",
    channels: channels.map((channel, i) => ({
      listener: String(session.listeners[i]),
      target: String(session.targets[i] ?? ""),
      connections_open: channel.connectionsOpen,
      connections_total: channel.connectionsTotal,
      connections_failed: channel.connectionsFailed,
      bytes_to_target: channel.bytesToTarget,
      bytes_from_target: channel.bytesFromTarget,
      last_error: channel.lastError,
      uncounted: !channel.counted,
      connections_refused: channel.connectionsRefused,
      speed_to_target: Math.round(channel.speedToTarget),
      speed_from_target: Math.round(channel.speedFromTarget),
      datagrams_dropped: channel.datagramsDropped,
      peers: channel.peers,
      last_error_ms: channel.lastErrorMs,
    })),
  };
}

/** What the owner of a session has to do that has other listeners than it was told. */
function movedWarning({ role, node, listeners, moved }: Session): string[] {
  if (!moved) return [];
  const listens = listeners.join(",");
  const next = role === "PROD"
    ? `tell them to the consumer's gateway: s2uc update UID --s2cs ITS_HOST:PORT --targets ${listens}`
    : `have the application connect to them: ${listens}`;
  return [
    `this session was moved from node ${moved.from} to ${node}, and has new listeners; ${next}`,
  ];
}
