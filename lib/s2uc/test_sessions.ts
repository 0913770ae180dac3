/** Sessions that are made up, for tests of how they are shown. */
import type { Channel, SessionStatus } from "../../proto/messages.ts";

/** A channel from 10.0.0.9:5100 to 10.0.0.1:1 that nothing happens on. */
export function idle(more: Partial<Channel> = {}): Channel {
  return {
    listener: "10.0.0.9:5100",
    target: "10.0.0.1:1",
    connections_open: 0,
    connections_total: 4,
    connections_failed: 0,
    connections_refused: 0,
    bytes_to_target: 0,
    bytes_from_target: 0,
    speed_to_target: 0,
    speed_from_target: 0,
    datagrams_dropped: 0,
    peers: [],
    last_error: "",
    last_error_ms: 0,
    uncounted: false,
    ...more,
  };
}

/** A producer's session that streams. */
export function sessionOf(more: Partial<SessionStatus> = {}): SessionStatus {
  return {
    session: "1a2b3c4d",
    role: "PROD",
    state: "streaming",
    reason: "",
    type: "S2DS",
    rate: 0,
    rate_enforced: false,
    created_ms: 1000,
    owner: "",
    node: "",
    moved_ms: 0,
    warnings: [],
    channels: [idle()],
    ...more,
  };
}
