/**
 * One request to the Docker Engine on a connection of its own. A connect to a Unix socket costs less
 * than knowing whether an old connection is still good, and over TCP a few milliseconds.
 * @module
 */
import { quote, ScistreamError } from "../protocol/errors.ts";
import { AtOnce } from "./at_once.ts";
import { connect, type Connection } from "./connect.ts";
import { DockerError, tlsError } from "./errors.ts";
import { type DockerHost, nameOf } from "./host.ts";
import { BadResponse, type Head, ResponseDecoder } from "./http.ts";

/** Longest body that is taken as a whole: `docker inspect` of thousands of containers is shorter. */
export const MAX_BODY_BYTES = 16 << 20;
const READ_BYTES = 64 << 10;
/**
 * Requests that are under way at an engine, but for those that have a time of their own: when thousands
 * of sessions are moved or ended together, neither it nor this process is to run out of descriptors.
 */
const MOST_AT_ONCE = 64;
/** setTimeout takes a longer time for none at all. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A request. What it says is encoded here, so it may hold anything. */
export interface Ask {
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** Of the target, in segments; none may be empty, `.` or `..`. */
  path: readonly string[];
  /** What is undefined is left out. */
  query?: Record<string, string | number | boolean | undefined>;
  /** A body of JSON. */
  json?: unknown;
  /** Another body. */
  bytes?: { type: string; bytes: Uint8Array };
  /** Closes the connection; whoever waits gets its reason. */
  signal?: AbortSignal;
  /** How long until the answer's head; the transport's patience unless given. */
  headMs?: number;
  /** And from there to the body's end, Infinity for streams. An error's body is never waited for so long. */
  bodyMs?: number;
}

/** An answer whose body is still to come. */
export interface Answer extends Head {
  /** Must be iterated to its end or left with return(), or the connection stays. */
  body: AsyncGenerator<Uint8Array>;
}

/** Makes requests at one engine. */
export class Transport {
  readonly #host: DockerHost;
  readonly #patienceMs: number;
  readonly #room = new AtOnce(MOST_AT_ONCE);

  /** `patienceMs` is for an answer's head, and again for its body, unless a request says otherwise. */
  constructor(host: DockerHost, patienceMs: number) {
    this.#host = host;
    this.#patienceMs = patienceMs;
  }

  /**
   * Sends a request and waits for the answer's head; `what` completes "the engine did not …".
   * @throws {DockerError} `unreachable`, `permission`, or `engine` if the answer is not HTTP; so does
   * the body
   */
  async open(what: string, ask: Ask): Promise<Answer> {
    let head: Head | undefined;
    const body = this.#exchange(what, ask, (answer) => head = answer);
    // As far as the head; from here on return() closes the connection.
    await body.next();
    return { ...head as Head, body };
  }

  /**
   * A body as one piece.
   * @throws {DockerError} kind `too-long` if it is over {@linkcode MAX_BODY_BYTES}
   */
  async whole(body: AsyncGenerator<Uint8Array>, what: string): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let size = 0;
    for await (const piece of body) {
      size += piece.length;
      if (size > MAX_BODY_BYTES) {
        throw new DockerError(
          "too-long",
          `the Docker Engine's answer is over ${MAX_BODY_BYTES} bytes (${what})`,
        );
      }
      pieces.push(piece);
    }
    const all = new Uint8Array(size);
    let at = 0;
    for (const piece of pieces) {
      all.set(piece, at);
      at += piece.length;
    }
    return all;
  }

  /** Yields once, nothing, when `onHead` was called; then the body. */
  async *#exchange(
    what: string,
    ask: Ask,
    onHead: (head: Head) => void,
  ): AsyncGenerator<Uint8Array> {
    const lasts = ask.headMs !== undefined || ask.bodyMs !== undefined;
    const leave = lasts ? undefined : await this.#room.enter(ask.signal);
    try {
      yield* this.#within(what, ask, onHead);
    } finally {
      leave?.();
    }
  }

  async *#within(
    what: string,
    ask: Ask,
    onHead: (head: Head) => void,
  ): AsyncGenerator<Uint8Array> {
    const request = encode(ask);
    ask.signal?.throwIfAborted();
    const conn = await connect(this.#host, this.#patienceMs, ask.signal);
    /** Why it was closed from here; its `why` reaches whoever reads. */
    let closed: { why: unknown } | undefined;
    const close = (why: unknown) => {
      if (closed) return;
      closed = { why };
      conn.close();
    };
    const onAbort = () => close(ask.signal?.reason);
    ask.signal?.addEventListener("abort", onAbort, { once: true });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const limit = (ms: number, late: string) => {
      clearTimeout(timer);
      if (ms === Infinity) return;
      const lost = () => close(this.#lost(`${late} within ${ms / 1000} s (${what})`));
      timer = setTimeout(lost, Math.min(ms, LONGEST_TIMER_MS));
    };
    if (ask.signal?.aborted) onAbort();
    limit(ask.headMs ?? this.#patienceMs, "did not answer");
    // Beside reading: an engine may answer, and close, before it has read a large body.
    // Nobody waits for it: a write to a peer that does not read outlives the close (Deno 2.9.3). That it
    // failed is seen by reading, for then the engine is gone.
    send(conn, request).catch(() => {});
    try {
      const decoder = new ResponseDecoder();
      for (;;) {
        const buffer = new Uint8Array(READ_BYTES);
        const n = await conn.read(buffer);
        const parts = n === null ? decoder.finish() : decoder.push(buffer.subarray(0, n));
        for (const part of parts) {
          if (part.type === "end") return;
          if (part.type === "body") {
            yield part.bytes;
            continue;
          }
          const ms = part.head.status >= 400 ? this.#patienceMs : ask.bodyMs ?? this.#patienceMs;
          limit(ms, "did not end its answer");
          onHead(part.head);
          yield new Uint8Array();
        }
      }
    } catch (error) {
      throw closed ? closed.why : this.#explain(error, what);
    } finally {
      clearTimeout(timer);
      ask.signal?.removeEventListener("abort", onAbort);
      close(undefined);
    }
  }

  #explain(error: unknown, what: string): unknown {
    if (!(error instanceof BadResponse)) {
      // In TLS 1.3 a server says what it thinks of our certificate after the handshake.
      const tls = this.#host.kind === "tcp" ? tlsError(this.#host, error) : undefined;
      return tls ?? this.#lost(`broke the connection (${what})`, error);
    }
    if (error.early) return this.#lost(`went away (${what}): ${error.message}`, error);
    return new DockerError(
      "engine",
      `what answers at ${
        quote(nameOf(this.#host))
      } is no Docker Engine, or a broken one (${what}): ${error.message}`,
      { cause: error },
    );
  }

  #lost(how: string, cause?: unknown): DockerError {
    const sentence = `the Docker Engine at ${quote(nameOf(this.#host))} ${how}`;
    return new DockerError("unreachable", sentence, { cause });
  }
}

/** The request's bytes (RFC 9112 section 3). */
function encode(ask: Ask): Uint8Array {
  const encoder = new TextEncoder();
  const body = ask.bytes?.bytes ??
    (ask.json === undefined ? new Uint8Array() : encoder.encode(JSON.stringify(ask.json)));
  const type = ask.bytes?.type ?? (ask.json === undefined ? undefined : "application/json");
  const head = encoder.encode([
    `${ask.method} ${target(ask.path, ask.query ?? {})} HTTP/1.1`,
    // RFC 9112 section 3.2 wants one; behind a Unix socket nobody reads it.
    "Host: docker",
    "Connection: close",
    ...type === undefined ? [] : [`Content-Type: ${type}`],
    ...ask.method === "GET" ? [] : [`Content-Length: ${body.length}`],
    "\r\n",
  ].join("\r\n"));
  const all = new Uint8Array(head.length + body.length);
  all.set(head);
  all.set(body, head.length);
  return all;
}

function target(path: readonly string[], query: NonNullable<Ask["query"]>): string {
  for (const segment of path) {
    // These survive encoding, and would name another call.
    if (segment === "" || segment === "." || segment === "..") {
      throw new ScistreamError("BAD_FORMAT", `${quote(segment)} names no container or image`);
    }
  }
  const pairs = Object.entries(query).flatMap(([key, value]) =>
    value === undefined ? [] : [`${encodeURIComponent(key)}=${encodeURIComponent(value)}`]
  );
  const question = pairs.length > 0 ? `?${pairs.join("&")}` : "";
  return `/${path.map(encodeURIComponent).join("/")}${question}`;
}

async function send(conn: Connection, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
}
