/**
 * Connections to the Docker Engine.
 * @module
 */
import { isIP } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { connectError, unreachable } from "./errors.ts";
import type { DockerHost, DockerTls, TcpHost } from "./host.ts";

/** What a transport needs of a connection. */
export interface Connection {
  /** Bytes that were read, or null at the end. */
  read(into: Uint8Array): Promise<number | null>;
  /** How many of them were written. */
  write(bytes: Uint8Array): Promise<number>;
  /** A read that waits then rejects, or is at its end. */
  close(): void;
}

/** The longest that TCP and TLS may take together: a host that drops packets answers never. */
const CONNECT_MS = 10_000;
/** After so much silence TCP asks whether the engine's host is still there. */
const KEEP_ALIVE_MS = 30_000;
/** node:tls goes on receiving while nobody reads (Deno 2.9.3): so much may wait. */
const MAX_UNREAD_BYTES = 32 << 20;

/**
 * Connects to an engine, within so much time.
 * @throws {DockerError} `unreachable` or `permission`, with what to do; or the signal's reason
 */
export async function connect(
  host: DockerHost,
  patienceMs: number,
  signal?: AbortSignal,
): Promise<Connection> {
  const ms = Math.min(patienceMs, CONNECT_MS);
  const patience = AbortSignal.timeout(ms);
  const enough = signal ? AbortSignal.any([signal, patience]) : patience;
  try {
    if (host.kind === "unix") return await Deno.connect({ transport: "unix", path: host.path });
    if (host.tls) return await secure(host, host.tls, enough);
    return await plain(host, enough);
  } catch (error) {
    signal?.throwIfAborted();
    if (patience.aborted) throw unreachable(host, `no answer within ${ms / 1000} s`, error);
    throw connectError(host, error);
  }
}

async function plain({ host, port }: TcpHost, signal: AbortSignal): Promise<Connection> {
  const conn = await Deno.connect({ hostname: host, port, signal });
  conn.setKeepAlive(true);
  return conn;
}

/**
 * By node:tls: to the authorities that it is given, Deno.connectTls adds all that browsers trust (Deno
 * 2.9.3), and Docker takes those of ca.pem alone.
 */
async function secure(
  { host, port }: TcpHost,
  { ca, cert, key }: DockerTls,
  signal: AbortSignal,
): Promise<Connection> {
  signal.throwIfAborted();
  const socket = connectTls({
    ...{ host, port, ca, cert, key: key.reveal() },
    // An address is no name to ask for (RFC 6066 section 3); it is compared all the same.
    servername: isIP(host) ? "" : host,
    minVersion: "TLSv1.2",
  });
  const connection = new TlsConnection(socket);
  const ready = Promise.withResolvers<void>();
  const onAbort = () => ready.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  socket.once("secureConnect", () => ready.resolve());
  socket.once("error", ready.reject);
  socket.once("close", () => ready.reject(new Error("it closed the connection")));
  try {
    await ready.promise;
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** A connection out of a socket that tells. */
class TlsConnection implements Connection {
  readonly #socket: TLSSocket;
  #unread: Uint8Array[] = [];
  #size = 0;
  #ended = false;
  #error?: Error;
  #changed = Promise.withResolvers<void>();

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on("data", (bytes: Uint8Array) => {
      this.#unread.push(bytes);
      this.#size += bytes.length;
      if (this.#size > MAX_UNREAD_BYTES) {
        socket.destroy(new Error(`over ${MAX_UNREAD_BYTES} bytes came that nobody has read`));
      }
      this.#changed.resolve();
    });
    const end = (error?: Error) => {
      this.#ended = true;
      this.#error ??= error;
      this.#changed.resolve();
    };
    socket.on("error", end);
    socket.on("end", () => end());
    socket.on("close", () => end());
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (this.#unread.length === 0) {
      if (this.#error) throw this.#error;
      if (this.#ended) return null;
      await this.#changed.promise;
      this.#changed = Promise.withResolvers();
    }
    const first = this.#unread[0] as Uint8Array;
    const some = first.subarray(0, into.length);
    into.set(some);
    if (some.length < first.length) this.#unread[0] = first.subarray(some.length);
    else this.#unread.shift();
    this.#size -= some.length;
    return some.length;
  }

  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) =>
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve(bytes.length))
    );
  }

  close(): void {
    this.#unread = [];
    this.#socket.destroy();
  }
}
