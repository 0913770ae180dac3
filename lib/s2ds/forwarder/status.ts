import { type ChannelStatus, idleChannel } from "../data_server.ts";

const MOST_PEERS = 8;

/** The numbers of a channel whose work is shared, as of one. */
export function sumOf(parts: readonly ChannelStatus[]): ChannelStatus {
  const sum = idleChannel();
  const peers = new Set<string>();
  for (const part of parts) {
    sum.connectionsOpen += part.connectionsOpen;
    sum.connectionsTotal += part.connectionsTotal;
    sum.connectionsFailed += part.connectionsFailed;
    sum.connectionsRefused += part.connectionsRefused;
    sum.bytesToTarget += part.bytesToTarget;
    sum.bytesFromTarget += part.bytesFromTarget;
    sum.speedToTarget += part.speedToTarget;
    sum.speedFromTarget += part.speedFromTarget;
    sum.datagramsDropped += part.datagramsDropped;
    for (const peer of part.peers) peers.add(peer);
    if (part.lastErrorMs >= sum.lastErrorMs && part.lastError) {
      sum.lastError = part.lastError;
      sum.lastErrorMs = part.lastErrorMs;
    }
  }
  return { ...sum, peers: [...peers].slice(0, MOST_PEERS) };
}
