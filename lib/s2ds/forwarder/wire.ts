/**
 * What s2cs and its s2ds child say to each other over their Unix socket: JSON, one message a line.
 * @module
 */
import { Endpoint } from "../../protocol/endpoint.ts";
import type { ErrorCode } from "../../protocol/errors.ts";
import type { ChannelStatus } from "../data_server.ts";

/** Bumped when an old s2ds cannot serve a new s2cs, which then replaces it. */
export const WIRE_VERSION = 1;

/** Longest line, in bytes: 1,000 channels with room to spare. */
const LONGEST_LINE = 1 << 20;

/** First line that s2ds sends. */
export interface Greeting {
  s2ds: number;
  pid: number;
}

/** What s2cs may ask. */
export type Ask =
  | { op: "open"; session: string; listeners: string[] }
  | { op: "target"; session: string; targets: string[] }
  | { op: "close"; session: string; drainMs: number }
  | { op: "status"; session: string }
  | { op: "sessions" }
  | { op: "shutdown" };

/** An {@linkcode Ask} with the number that its {@linkcode Reply} repeats. */
export type Numbered = Ask & { n: number };

/** Exactly one of the fields beside `n` is there. */
export type Reply = { n: number } & Answer;

/** What a question is answered with. */
export type Answer =
  | { ok: true }
  | { channels: ChannelStatus[] }
  | { sessions: string[] }
  | { portsInUse: number[] }
  | { error: string; code: ErrorCode };

/** Splits a byte stream into lines. Ends with the stream, and throws on a line without end. */
export async function* lines(conn: Deno.Conn): AsyncGenerator<string> {
  const decoder = new TextDecoder();
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
  const value: unknown = JSON.parse(line);
  if (typeof value !== "object" || value === null) throw new Error("not an object");
  const ask = value as Record<string, unknown>;
  const n = ask.n;
  if (typeof n !== "number" || !Number.isSafeInteger(n)) throw new Error("no number");
  switch (ask.op) {
    case "open":
      return { n, op: "open", session: key(ask.session), listeners: endpoints(ask.listeners) };
    case "target":
      return { n, op: "target", session: key(ask.session), targets: endpoints(ask.targets) };
    case "close": {
      const drainMs = ask.drainMs;
      if (typeof drainMs !== "number" || !(drainMs >= 0 && drainMs < 2 ** 31)) {
        throw new Error("drainMs is not a number of milliseconds");
      }
      return { n, op: "close", session: key(ask.session), drainMs };
    }
    case "status":
      return { n, op: "status", session: key(ask.session) };
    case "sessions":
    case "shutdown":
      return { n, op: ask.op };
    default:
      throw new Error("unknown op");
  }
}

function key(value: unknown): string {
  if (typeof value === "string" && /^[0-9a-z]{1,64}$/.test(value)) return value;
  throw new Error("session is not a key of 1 to 64 characters 0-9 a-z");
}

function endpoints(value: unknown): string[] {
  if (!Array.isArray(value) || value.length < 1 || value.length > 10_000) {
    throw new Error("addresses are not a list of 1 to 10,000");
  }
  return value.map((item) => Endpoint.parse(String(item)).toString());
}
