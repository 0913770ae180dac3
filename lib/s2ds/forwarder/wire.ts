/**
 * What s2cs and its s2ds child say to each other over their Unix socket: JSON, one message a line.
 * @module
 */
import { Networks } from "../../protocol/cidr.ts";
import { Endpoint } from "../../protocol/endpoint.ts";
import type { ErrorCode } from "../../protocol/errors.ts";
import { parseRole, type Role } from "../../protocol/values.ts";
import type { ChannelStatus } from "../data_server.ts";
import type { Traffic } from "../totals.ts";
import { SECRET_LENGTH } from "./secret.ts";

/** Bumped when an old s2ds cannot serve a new s2cs, which then replaces it. */
export const WIRE_VERSION = 3;

/** Longest line, in bytes: 10,000 channels with room to spare. */
const LONGEST_LINE = 4 << 20;

/** First line that s2ds sends. */
export interface Greeting {
  s2ds: number;
  pid: number;
}

/** What s2cs may ask. */
export type Ask =
  | Open
  | { op: "target"; session: string; targets: string[]; record?: string }
  | { op: "limit"; session: string; rate: number }
  | { op: "close"; session: string; drainMs: number }
  | { op: "status"; session: string }
  | { op: "sessions" }
  | { op: "traffic" }
  | { op: "record"; session: string }
  | { op: "test" }
  | { op: "shutdown" };

/** What is to be held for a session; SessionOptions of engine.ts says what the fields mean. */
export interface Holding {
  role: Role;
  listeners: string[];
  /** Lists of networks. */
  allow: readonly (readonly string[])[];
  rate: number;
  udp: boolean;
}

/** Asks for a session to be held. */
export interface Open extends Holding {
  op: "open";
  session: string;
  /** Whether other processes listen there too. */
  share: boolean;
  /** Hex. */
  secret?: string;
  /** Kept for a control server that has lost its own. */
  record?: string;
}

/** An {@linkcode Ask} with the number that its {@linkcode Reply} repeats. */
export type Numbered = Ask & { n: number };

/** The answer with its question's number: exactly one of the fields beside `n` is there. */
export type Reply = { n: number } & Answer;

/** Unasked: something about a session that its gateway's log should tell. */
export interface Note {
  session: string;
  note: string;
}

/** Anything that s2ds sends after its greeting. */
export type FromS2ds = Reply | Note;

/** What a question is answered with. */
export type Answer =
  | { ok: true }
  | { channels: ChannelStatus[] }
  | { sessions: string[] }
  | { traffic: Traffic }
  | { record: string }
  | { portsInUse: number[] }
  | { error: string; code: ErrorCode };

/** Splits a byte stream into lines. Ends with the stream, and throws on a line without end. */
export async function* lines(conn: Deno.Conn): AsyncGenerator<string> {
  // Or Deno 2.9.3 would drop a BOM in the middle, too, where a piece begins with it.
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let pending = "";
  const chunk = new Uint8Array(64 << 10);
  for (;;) {
    const n = await conn.read(chunk);
    if (n === null) return;
    pending += decoder.decode(chunk.subarray(0, n), { stream: true });
    const parts = pending.split("\n");
    pending = parts.pop() ?? "";
    yield* parts;
    if (pending.length > LONGEST_LINE) throw new Error(`a line of over ${LONGEST_LINE} bytes`);
  }
}

/** A writer of lines that keeps them whole and in order. */
export class LineWriter {
  #last: Promise<void> = Promise.resolve();
  readonly #conn: Deno.Conn;

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  send(message: unknown): Promise<void> {
    const bytes = new TextEncoder().encode(JSON.stringify(message) + "\n");
    this.#last = this.#last.then(async () => {
      for (let sent = 0; sent < bytes.length;) sent += await this.#conn.write(bytes.subarray(sent));
    });
    return this.#last;
  }
}

/**
 * Checks a line from s2cs.
 * @throws {Error} that says what is wrong with it
 */
export function parseAsk(line: string): Numbered {
  const value = parseJson(line);
  if (typeof value !== "object" || value === null) throw new Error("not an object");
  const ask = value as Record<string, unknown>;
  const n = ask.n;
  if (typeof n !== "number" || !Number.isSafeInteger(n)) throw new Error("no number");
  switch (ask.op) {
    case "open":
      return {
        n,
        op: "open",
        session: key(ask.session),
        ...parseHolding(ask),
        share: ask.share === true,
        secret: ask.secret === undefined ? undefined : parseSecret(ask.secret),
        record: record(ask.record),
      };
    case "target":
      return {
        n,
        op: "target",
        session: key(ask.session),
        targets: parseEndpoints(ask.targets),
        record: record(ask.record),
      };
    case "limit":
      return { n, op: "limit", session: key(ask.session), rate: rate(ask.rate) };
    case "close": {
      const drainMs = ask.drainMs;
      if (typeof drainMs !== "number" || !(drainMs >= 0 && drainMs < 2 ** 31)) {
        throw new Error("drainMs is not a number of milliseconds");
      }
      return { n, op: "close", session: key(ask.session), drainMs };
    }
    case "status":
    case "record":
      return { n, op: ask.op, session: key(ask.session) };
    case "sessions":
    case "traffic":
    case "test":
    case "shutdown":
      return { n, op: ask.op };
    default:
      throw new Error("unknown op");
  }
}

/**
 * Checks what is to be held for a session.
 * @throws {Error} that says what is wrong with it
 */
export function parseHolding(fields: Record<string, unknown>): Holding {
  if (typeof fields.udp !== "boolean") throw new Error("udp is neither true nor false");
  return {
    role: parseRole(typeof fields.role === "string" ? fields.role : ""),
    listeners: parseEndpoints(fields.listeners),
    allow: lists(fields.allow).map((list) => Networks.parse(strings(list)).texts),
    rate: rate(fields.rate),
    udp: fields.udp,
  };
}

/** The parser's own sentence quotes what it was given, and the secret is in that. */
export function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new Error("not JSON");
  }
}

function key(value: unknown): string {
  if (typeof value === "string" && /^[0-9a-z]{1,64}$/.test(value)) return value;
  throw new Error("session is not a key of 1 to 64 characters 0-9 a-z");
}

/** Hex, as it came. */
export function parseSecret(value: unknown): string {
  if (typeof value === "string" && /^[0-9a-f]{64}$/.test(value)) return value;
  throw new Error(`secret is not ${SECRET_LENGTH} bytes in hex`);
}

function record(value: unknown): string | undefined {
  if (value === undefined || typeof value === "string") return value;
  throw new Error("record is not a text");
}

function rate(value: unknown): number {
  if (typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER) return value;
  throw new Error("rate is not a number of bytes per second");
}

function lists(value: unknown): unknown[] {
  if (Array.isArray(value) && value.length <= 2) return value;
  throw new Error("allow is not a list of two lists at most");
}

function strings(value: unknown): string[] {
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw new Error("not a list of strings");
}

/** Addresses, as they print themselves. */
export function parseEndpoints(value: unknown): string[] {
  if (!Array.isArray(value) || value.length < 1 || value.length > 10_000) {
    throw new Error("addresses are not a list of 1 to 10,000");
  }
  return strings(value).map((item) => Endpoint.parse(item).toString());
}
