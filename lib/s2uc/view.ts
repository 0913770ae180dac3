/**
 * Watched sessions as lines, for a terminal and for whoever reads lines.
 * @module
 */
import type { Channel, SessionStatus } from "../../proto/messages.ts";
import { printable } from "../cli/printable.ts";
import { humanRate, type Rates, type Seen, sparkline, sumOf } from "./rates.ts";
import { humanBytes, humanTime, placeOf } from "./status.ts";

/** What is known of one control server. */
export interface Watched {
  s2cs: string;
  /** Of the latest update, by the control server's clock; 0 before the first. */
  atMs: number;
  sessions: Seen[];
  /** Why there are no updates now; empty where there are. */
  trouble: string;
}

/** Columns of a sparkline: as many as the line leaves, but for what nobody could read. */
const bars = (columns: number, rest: number) => Math.max(4, Math.min(60, columns - rest));

/** Control servers with their sessions; each channel by itself if `inFull`. No line is wider than `columns`. */
export function viewLines(
  servers: readonly Watched[],
  { columns, inFull }: { columns: number; inFull: boolean },
): string[] {
  const lines = servers.flatMap((server, i) => {
    const { s2cs, atMs, sessions, trouble } = server;
    const count = sessions.length === 1 ? "1 session" : `${sessions.length} sessions`;
    return [
      ...i > 0 ? [""] : [],
      `${s2cs}: ${trouble || (atMs === 0 ? "connecting" : count)}`,
      ...sessions.flatMap((seen) => [
        `  ${titleOf(seen.status, atMs)}`,
        ...movedLine(seen.status, atMs),
        ...inFull ? channelLines(seen, columns, atMs) : summaryLines(seen, columns, atMs),
      ]),
    ];
  });
  return lines.map((line) => fit(line, columns));
}

/** What a session is, and how it is. */
function titleOf(status: SessionStatus, nowMs: number): string {
  const { session, state, role, created_ms, reason } = status;
  const age = humanTime((nowMs - created_ms) / 1000);
  return `${session} ${state}, ${role}, ${placeOf(status)}, ${age} old${reason && `: ${reason}`}`;
}

/** Of a session that is on another node than it was: somebody has to pass its listeners on. */
function movedLine({ moved_ms, channels }: SessionStatus, nowMs: number): string[] {
  if (moved_ms === 0) return [];
  const ago = humanTime((nowMs - moved_ms) / 1000);
  return [`    moved ${ago} ago, its listeners are now ${listenersOf(channels)}`];
}

function listenersOf(channels: readonly Channel[]): string {
  return channels.map(({ listener }) => listener).join(",");
}

function channelLines({ status, rates }: Seen, columns: number, nowMs: number): string[] {
  return status.channels.flatMap((channel, i) => {
    const { toTarget, fromTarget } = rates[i] as Rates;
    const width = bars(columns, 40);
    const top = Math.max(...toTarget.slice(-width), ...fromTarget.slice(-width));
    const flow = (what: string, values: number[], bytes: number) =>
      `      ${what} ${humanRate(values.at(-1) ?? 0).padStart(11)} ` +
      `${sparkline(values, width, top)} ${humanBytes(bytes)}`;
    return [
      `    ${channel.listener} → ${channel.target || "(no target yet)"}  ${connections([channel])}`,
      ...channel.uncounted ? [] : [
        flow("to target", toTarget, channel.bytes_to_target),
        flow("back     ", fromTarget, channel.bytes_from_target),
      ],
      ...errorLine(channel, nowMs, "      "),
    ];
  });
}

function summaryLines({ status, rates }: Seen, columns: number, nowMs: number): string[] {
  const { channels } = status;
  const { toTarget, fromTarget } = sumOf(rates);
  const width = bars(Math.floor((columns - 46) / 2), 0);
  const top = Math.max(...toTarget.slice(-width), ...fromTarget.slice(-width));
  const flow = (values: number[]) =>
    `${humanRate(values.at(-1) ?? 0).padStart(11)} ${sparkline(values, width, top)}`;
  const count = channels.length === 1 ? "1 channel" : `${channels.length} channels`;
  return [
    `    ${count}, ${connections(channels)}`,
    ...channels.some(({ uncounted }) => uncounted)
      ? []
      : [`    to target ${flow(toTarget)}  back ${flow(fromTarget)}`],
    ...latestError(channels).flatMap((channel) => errorLine(channel, nowMs, "    ")),
  ];
}

function connections(channels: readonly Channel[]): string {
  if (channels.some(({ uncounted }) => uncounted)) return "not counted by this type";
  const sum = (
    key: "connections_open" | "connections_total" | "connections_failed" | "connections_refused",
  ) => channels.reduce((total, channel) => total + channel[key], 0);
  const [failed, refused] = [sum("connections_failed"), sum("connections_refused")];
  return `${sum("connections_open")} open, ${sum("connections_total")} total` +
    (failed > 0 ? `, ${failed} failed` : "") + (refused > 0 ? `, ${refused} refused` : "");
}

function errorLine({ last_error, last_error_ms }: Channel, nowMs: number, indent: string) {
  const ago = last_error_ms > 0 ? ` ${humanTime((nowMs - last_error_ms) / 1000)} ago` : "";
  return last_error ? [`${indent}last error${ago}: ${last_error}`] : [];
}

/** The channel whose error is the latest. */
function latestError(channels: readonly Channel[]): Channel[] {
  return channels.filter(({ last_error }) => last_error !== "")
    .sort((a, b) => b.last_error_ms - a.last_error_ms).slice(0, 1);
}

/** A session on one line, of which only the beginning changes by itself. */
export function sessionLine({ status, rates }: Seen): string {
  const { session, state, role, moved_ms, reason, channels } = status;
  const { toTarget, fromTarget } = sumOf(rates);
  const [error] = latestError(channels);
  const flows = channels.some(({ uncounted }) => uncounted)
    ? ""
    : `; to target ${humanRate(toTarget.at(-1) ?? 0)}, back ${humanRate(fromTarget.at(-1) ?? 0)}`;
  return printable(
    `${session} ${state}, ${role}, ${placeOf(status)}${flows}; ${connections(channels)}` +
      (moved_ms > 0 ? `; moved, its listeners are now ${listenersOf(channels)}` : "") +
      (reason && `; reason: ${reason}`) + (error ? `; last error: ${error.last_error}` : ""),
  );
}

/** Of other characters nobody knows whether they are as wide as two. */
const NARROW = /[\u0020-\u10ff←→…–—“”‘’▁-█]/u;

/** The text in so many columns of a terminal, cut where it has more. */
export function fit(text: string, columns: number): string {
  const wide = (character: string) => NARROW.test(character) ? 1 : 2;
  let used = 0;
  let short = "";
  for (const character of printable(text).replaceAll(/[\t\n]/g, " ")) {
    used += wide(character);
    if (used > columns) {
      // Room for the ellipsis.
      const characters = [...short];
      let width = characters.reduce((sum, each) => sum + wide(each), 0);
      while (width >= columns && characters.length > 0) width -= wide(characters.pop() ?? "");
      return `${characters.join("")}…`;
    }
    short += character;
  }
  return short;
}
