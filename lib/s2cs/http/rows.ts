/**
 * Sessions as the dashboard shows them: public ids, never uids.
 * @module
 */
import type { Channel, SessionStatus } from "../../../proto/messages.ts";

/** Addresses of one session that the picture is told. */
const MOST_PLACES = 8;
/** Channels of one session that its page shows. */
export const MOST_CHANNELS = 500;

/** One session in a line. Speeds are bytes per second. */
export interface Row {
  id: string;
  role: string;
  state: string;
  reason: string;
  owner: string;
  /** Where its listeners are; empty where the gateway is one machine. */
  node: string;
  /** Milliseconds since 1970 UTC. */
  created: number;
  /** Kilobytes per second; 0 is no limit. */
  rate: number;
  enforced: boolean;
  channels: number;
  /** False where its data server does not count. */
  counted: boolean;
  open: number;
  total: number;
  failed: number;
  refused: number;
  to: number;
  from: number;
  toSpeed: number;
  fromSpeed: number;
  listeners: string;
  /** Hosts that are connected now, a few of them. */
  peers: string[];
  /** Where it goes: host, `host:port` where it is one; channels; bytes per second. */
  targets: [where: string, channels: number, speed: number][];
  warnings: string[];
  error: string;
}

/** One channel in a line. */
export interface ChannelRow {
  channel: number;
  listener: string;
  target: string;
  counted: boolean;
  open: number;
  total: number;
  failed: number;
  refused: number;
  dropped: number;
  to: number;
  from: number;
  toSpeed: number;
  fromSpeed: number;
  peers: string;
  error: string;
  errorMs: number;
}

/** A session in a line. */
export function rowOf(status: SessionStatus): Row {
  const { channels } = status;
  const sum = (of: (channel: Channel) => number) =>
    channels.reduce((total, each) => total + of(each), 0);
  const latest = channels.reduce<Channel | undefined>(
    (last, each) =>
      each.last_error && each.last_error_ms >= (last?.last_error_ms ?? 0) ? each : last,
    undefined,
  );
  return {
    id: status.session,
    role: status.role,
    state: status.state,
    reason: status.reason,
    owner: status.owner,
    node: status.node,
    created: status.created_ms,
    rate: status.rate,
    enforced: status.rate_enforced,
    channels: channels.length,
    counted: channels.every((each) => !each.uncounted),
    open: sum((each) => each.connections_open),
    total: sum((each) => each.connections_total),
    failed: sum((each) => each.connections_failed),
    refused: sum((each) => each.connections_refused),
    to: sum((each) => each.bytes_to_target),
    from: sum((each) => each.bytes_from_target),
    toSpeed: sum((each) => each.speed_to_target),
    fromSpeed: sum((each) => each.speed_from_target),
    listeners: listenersOf(channels.map(({ listener }) => listener)),
    peers: [...new Set(channels.flatMap(({ peers }) => peers.map(hostOf)))].slice(0, MOST_PLACES),
    targets: targetsOf(channels),
    warnings: status.warnings,
    error: latest?.last_error ?? "",
  };
}

/** A session's channels in lines; of very many the first. */
export function channelRows({ channels }: SessionStatus): ChannelRow[] {
  return channels.slice(0, MOST_CHANNELS).map((each, i) => ({
    channel: i + 1,
    listener: each.listener,
    target: each.target,
    counted: !each.uncounted,
    open: each.connections_open,
    total: each.connections_total,
    failed: each.connections_failed,
    refused: each.connections_refused,
    dropped: each.datagrams_dropped,
    to: each.bytes_to_target,
    from: each.bytes_from_target,
    toSpeed: each.speed_to_target,
    fromSpeed: each.speed_from_target,
    peers: each.peers.join(", "),
    error: each.last_error,
    errorMs: each.last_error_ms,
  }));
}

/** `10.0.0.1:5100–5104` where ports follow one another, else the first and how many more. */
function listenersOf(listeners: string[]): string {
  const [first = "", ...more] = listeners;
  const last = listeners.at(-1) ?? "";
  if (more.length === 0) return first;
  const span = portOf(last) - portOf(first);
  if (hostOf(first) === hostOf(last) && span === more.length) return `${first}–${portOf(last)}`;
  return `${first} +${more.length}`;
}

function targetsOf(channels: Channel[]): Row["targets"] {
  const hosts = new Map<string, { where: string; channels: number; speed: number }>();
  for (const { target, speed_to_target, speed_from_target } of channels) {
    if (target === "") continue;
    const host = hostOf(target);
    const at = hosts.get(host) ?? { where: target, channels: 0, speed: 0 };
    if (at.where !== target) at.where = host;
    at.channels++;
    at.speed += speed_to_target + speed_from_target;
    hosts.set(host, at);
  }
  return [...hosts.values()].slice(0, MOST_PLACES).map((at) => [at.where, at.channels, at.speed]);
}

/** Of `host:port`; of an address alone, itself. */
function hostOf(place: string): string {
  return /^(\[.*\]|[^:]+):\d+$/.exec(place)?.[1] ?? place;
}

function portOf(place: string): number {
  return Number(place.slice(place.lastIndexOf(":") + 1));
}
