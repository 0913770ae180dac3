/**
 * Session status as people read it.
 * @module
 */
import type { Channel, SessionStatus } from "../../proto/messages.ts";

/** 1234567 as "1.23 MB"; decimal prefixes, as network rates have. */
export function humanBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) {
    bytes /= 1000;
    unit++;
  }
  const digits = unit === 0 ? 0 : bytes < 10 ? 2 : bytes < 100 ? 1 : 0;
  return `${bytes.toFixed(digits)} ${units[unit]}`;
}

/** Milliseconds since 1970 in ISO 8601; empty for 0, which is not known. */
export function isoTime(ms: number): string {
  return ms === 0 ? "" : new Date(ms).toISOString();
}

/** 3725 seconds as "1h 2m". */
export function humanTime(seconds: number): string {
  // The control server's clock may be ahead of this one.
  if (seconds < 0) return "0s";
  if (seconds < 60) return `${Math.round(seconds)}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${Math.floor(seconds % 60)}s`;
  return `${Math.floor(minutes / 60)}h ${minutes % 60}m`;
}

/** A session's type, and where it is that: "Haproxy on gw2"; of a gateway of one machine the type alone. */
export function placeOf({ type, node }: Pick<SessionStatus, "type" | "node">): string {
  return node ? `${type} on ${node}` : type;
}

/** One session in full, with a line per channel. */
export function statusLines(status: SessionStatus, nowMs: number): string[] {
  const age = humanTime((nowMs - status.created_ms) / 1000);
  const lines = [
    `session ${status.session}: ${status.state}, ${status.role}, ${placeOf(status)}, ${age} old` +
    (status.rate > 0
      ? `, rate ${status.rate} kB/s ${status.rate_enforced ? "enforced" : "asked for"}`
      : ""),
  ];
  if (status.owner) lines.push(`  of ${status.owner}`);
  for (const warning of status.warnings) lines.push(`  warning: ${warning}`);
  if (status.reason) lines.push(`  reason: ${status.reason}`);
  for (const channel of status.channels) lines.push(...channelLines(channel, nowMs));
  return lines;
}

function channelLines(channel: Channel, nowMs: number): string[] {
  const { connections_open, connections_total, connections_failed, connections_refused } = channel;
  const { datagrams_dropped, peers, last_error, last_error_ms } = channel;
  const numbers = channel.uncounted
    ? "not counted by this type"
    : `connections ${connections_open} open, ${connections_total} total` +
      (connections_failed > 0 ? `, ${connections_failed} failed` : "") +
      (connections_refused > 0 ? `, ${connections_refused} refused` : "") +
      (datagrams_dropped > 0 ? `, ${datagrams_dropped} datagrams dropped` : "") +
      `  ${flow(channel.bytes_to_target, channel.speed_to_target)} to target, ` +
      `${flow(channel.bytes_from_target, channel.speed_from_target)} back`;
  const lines = [`  ${channel.listener} → ${channel.target || "(no target yet)"}  ${numbers}`];
  if (peers.length > 0) lines.push(`    from ${peers.join(", ")}`);
  if (last_error) {
    const ago = last_error_ms > 0 ? ` ${humanTime((nowMs - last_error_ms) / 1000)} ago` : "";
    lines.push(`    last error${ago}: ${last_error}`);
  }
  return lines;
}

/** What was carried, and how fast it goes now. */
function flow(bytes: number, speed: number): string {
  return humanBytes(bytes) + (speed > 0 ? ` (${humanBytes(speed)}/s)` : "");
}

/** Sessions of one or several servers, a line each, under a head; with their servers if `several`. */
export function listLines(
  servers: readonly { s2cs: string; sessions: readonly SessionStatus[] }[],
  nowMs: number,
  several: boolean,
): string[] {
  const all = servers.flatMap(({ s2cs, sessions }) => sessions.map((each) => ({ s2cs, each })));
  if (all.length === 0) return ["no sessions"];
  // Where callers are not known, nobody owns anything.
  const owned = all.some(({ each }) => each.owner !== "");
  const placed = all.some(({ each }) => each.node !== "");
  const rows = all.map(({ s2cs, each }) => {
    const uncounted = each.channels.some((channel) => channel.uncounted);
    const sum = (
      key: "connections_open" | "bytes_to_target" | "bytes_from_target",
      show: (total: number) => string = String,
    ) => uncounted ? "?" : show(each.channels.reduce((total, channel) => total + channel[key], 0));
    return [
      ...several ? [s2cs] : [],
      each.session,
      each.role,
      each.state,
      each.type,
      ...placed ? [`${each.node || "-"}${each.moved_ms > 0 ? " (moved)" : ""}`] : [],
      humanTime((nowMs - each.created_ms) / 1000),
      String(each.channels.length),
      sum("connections_open"),
      sum("bytes_to_target", humanBytes),
      sum("bytes_from_target", humanBytes),
      ...owned ? [each.owner] : [],
    ];
  });
  return table([
    [
      ...several ? ["SERVER"] : [],
      "SESSION",
      "ROLE",
      "STATE",
      "TYPE",
      ...placed ? ["NODE"] : [],
      "AGE",
      "CHANNELS",
      "OPEN",
      "TO TARGET",
      "BACK",
      ...owned ? ["OWNER"] : [],
    ],
    ...rows,
  ]);
}

function table(rows: string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ").trimEnd());
}
