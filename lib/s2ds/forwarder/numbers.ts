/**
 * A session's numbers in a log: lines of JSON, for whoever reads the log of an s2ds that nobody can
 * ask.
 * @module
 */
import { isIP } from "node:net";
import { type ChannelStatus, idleChannel } from "../data_server.ts";

/** A line has so many channels; the next ones are on a line of their own. */
export const CHANNELS_A_LINE = 16;
/** Longest line, in bytes: engines cut longer ones in two. */
export const LONGEST_LINE = 16 << 10;
/** Peers of a channel that a line names. */
const MOST_PEERS = 4;
/** Longest sentence, in bytes of JSON. */
const LONGEST_ERROR = 240;
const LONGEST_ADDRESS = 64;
/** The latest time that there is (ECMA-262, section 21.4.1.1). */
const LATEST_MS = 8.64e15;
/** More channels than a session has. */
const MOST_CHANNELS = 10_000;

/** What one line tells: the numbers of some channels that follow one another. */
export interface Numbers {
  /** Index of the first of them. */
  first: number;
  channels: ChannelStatus[];
}

const COUNTS = [
  "connectionsOpen",
  "connectionsTotal",
  "connectionsFailed",
  "connectionsRefused",
  "bytesToTarget",
  "bytesFromTarget",
  "speedToTarget",
  "speedFromTarget",
  "datagramsDropped",
  "lastErrorMs",
] as const;

/** Lines, without their ends, for all channels. What is zero or empty is left out. */
export function numberLines(channels: readonly ChannelStatus[]): string[] {
  const lines: string[] = [];
  for (let first = 0; first < channels.length; first += CHANNELS_A_LINE) {
    const some = channels.slice(first, first + CHANNELS_A_LINE).map(compact);
    lines.push(JSON.stringify({ first, channels: some }));
  }
  return lines;
}

function compact(status: ChannelStatus): Partial<ChannelStatus> {
  const short: Partial<ChannelStatus> = {};
  for (const name of COUNTS) if (status[name] > 0) short[name] = Math.round(status[name]);
  const peers = status.peers.slice(0, MOST_PEERS);
  if (peers.length > 0) short.peers = peers;
  if (status.lastError) short.lastError = cut(status.lastError);
  return short;
}

/** As much of a sentence as has room. */
function cut(sentence: string): string {
  const length = (text: string) => new TextEncoder().encode(JSON.stringify(text)).length;
  let short = sentence.slice(0, LONGEST_ERROR);
  while (length(short) > LONGEST_ERROR) short = short.slice(0, -8);
  return short;
}

/**
 * What a line of such a log tells; undefined of a line that is cut, or something else. The last one
 * for each `first` counts.
 */
export function numbersOf(line: string): Numbers | undefined {
  if (line.length > LONGEST_LINE || !line.startsWith('{"first":')) return undefined;
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const { first, channels } = value;
  if (!isCount(first, MOST_CHANNELS) || first % CHANNELS_A_LINE !== 0) return undefined;
  if (!Array.isArray(channels) || channels.length < 1 || channels.length > CHANNELS_A_LINE) {
    return undefined;
  }
  const whole = channels.map(channelOf).filter((channel) => channel !== undefined);
  return whole.length === channels.length ? { first, channels: whole } : undefined;
}

function channelOf(value: unknown): ChannelStatus | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const said = value as Record<string, unknown>;
  const channel = idleChannel();
  for (const name of COUNTS) {
    const number = said[name] ?? 0;
    if (!isCount(number, name === "lastErrorMs" ? LATEST_MS : Number.MAX_SAFE_INTEGER)) return;
    channel[name] = number;
  }
  const { peers = [], lastError = "" } = said;
  if (!Array.isArray(peers) || peers.length > MOST_PEERS || !peers.every(isAddress)) return;
  if (typeof lastError !== "string" || lastError.length > LONGEST_ERROR) return;
  // It goes into other logs and onto terminals.
  if (/[\p{Cc}\u2028\u2029]/u.test(lastError)) return;
  return { ...channel, peers, lastError };
}

function isCount(value: unknown, most: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most;
}

function isAddress(value: unknown): boolean {
  return typeof value === "string" && value.length <= LONGEST_ADDRESS && isIP(value) !== 0;
}
