/**
 * Flags of what a control server takes from callers.
 * @module
 */
import { type CallerLimits, LIMITS } from "../s2cs/settings.ts";
import { integer, type Options, seconds, UsageError } from "./flags.ts";

const MOST = 1 << 30;
const from = (least: number, value: number) => ({ default: String(value), least, most: MOST });

/** Each with what is safe by default; `limitsOf` takes them. */
export const limitFlags = {
  maxConnections: integer(
    "connections of clients at once; for one more, the longest idle one of the fullest address is ended",
    from(1, LIMITS.connections),
  ),
  maxConnectionsPerAddress: integer(
    "of them, of one address (IPv6: of one /64)",
    from(1, LIMITS.connectionsPerAddress),
  ),
  firstCallTimeout: seconds("how long a connection may take to its first call", {
    default: String(LIMITS.firstCallMs / 1000),
  }),
  spareBytes: integer(
    "bytes that one address may send beside its calls: handshakes, pings, junk; a sixteenth of it a second in the long run",
    { ...from(1 << 16, LIMITS.spareBytes), value: "BYTES" },
  ),
  maxMessageBytes: integer("longest message", {
    ...from(1 << 10, LIMITS.messageBytes),
    value: "BYTES",
  }),
  maxMetadataBytes: integer("metadata of one call, its token included", {
    ...from(1 << 10, LIMITS.metadataBytes),
    value: "BYTES",
  }),
  maxStreams: integer("calls at once on one connection", from(1, LIMITS.streams)),
  callRate: integer(
    "calls a second of one caller (an identity, or an address where callers are not authenticated); 0 is no bound",
    from(0, LIMITS.callRate),
  ),
  callRateInAll: integer(
    "calls a second of all callers; 0 is no bound",
    from(0, LIMITS.callRateInAll),
  ),
  maxPendingPerCaller: integer(
    "calls of one caller that wait for their answer; 0 is no bound",
    from(0, LIMITS.pendingPerCaller),
  ),
  maxPending: integer(
    "calls of all callers that wait for their answer; 0 is no bound",
    from(0, LIMITS.pending),
  ),
  maxEarlyHellos: integer("hellos that wait for their request", from(0, LIMITS.earlyHellos)),
  badTokenRate: integer(
    "bad tokens a second from one address; 0 is no bound",
    from(0, LIMITS.badTokenRate),
  ),
};

/** @throws {UsageError} where they do not go together */
export function limitsOf(options: Options<typeof limitFlags>): CallerLimits {
  if (options.spareBytes < 2 * options.maxMessageBytes) {
    throw new UsageError(
      `--spare-bytes ${options.spareBytes} is less than twice --max-message-bytes ${options.maxMessageBytes}: a message is seen as a call when all of it is there`,
    );
  }
  return {
    connections: options.maxConnections,
    sockets: 2 * options.maxConnections,
    connectionsPerAddress: options.maxConnectionsPerAddress,
    firstCallMs: options.firstCallTimeout,
    spareBytes: options.spareBytes,
    messageBytes: options.maxMessageBytes,
    metadataBytes: options.maxMetadataBytes,
    streams: options.maxStreams,
    callRate: options.callRate,
    callRateInAll: options.callRateInAll,
    pendingPerCaller: options.maxPendingPerCaller,
    pending: options.maxPending,
    earlyHellos: options.maxEarlyHellos,
    badTokenRate: options.badTokenRate,
  };
}
