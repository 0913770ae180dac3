/**
 * Small applications for tests to stream to.
 * @module
 */
import { assertEquals } from "@std/assert";
import { Endpoint } from "../lib/protocol/endpoint.ts";

/** An application that accepts until disposed. */
abstract class Server implements AsyncDisposable {
  readonly #listener: Deno.TcpListener;
  readonly #serving: Promise<void>;
  readonly #open = new Set<Deno.Conn>();
  readonly endpoint: Endpoint;

  constructor(host = "127.0.0.1") {
    this.#listener = Deno.listen({ hostname: host, port: 0 });
    this.endpoint = new Endpoint(host, this.#listener.addr.port);
    this.#serving = this.#serve();
  }

  /** What it does with a connection; the connection is closed afterwards. */
  protected abstract talk(conn: Deno.TcpConn): Promise<void>;

  async #serve() {
    const work: Promise<void>[] = [];
    for (;;) {
      try {
        work.push(this.#handle(await this.#listener.accept()));
      } catch (error) {
        // A connection that was reset before it could be accepted ends nothing.
        if (error instanceof Deno.errors.BadResource) break;
      }
    }
    await Promise.all(work);
  }

  async #handle(conn: Deno.TcpConn) {
    this.#open.add(conn);
    try {
      await this.talk(conn);
    } catch {
      // Cut, as some tests do.
    }
    if (this.#open.delete(conn)) conn.close();
  }

  async [Symbol.asyncDispose]() {
    this.#listener.close();
    for (const conn of this.#open) conn.close();
    this.#open.clear();
    // A write that is stuck does not end with its connection's close: nobody reads it, so it is left.
    let timer: ReturnType<typeof setTimeout> | undefined;
    const patience = new Promise<void>((resolve) => timer = setTimeout(resolve, 2_000));
    await Promise.race([this.#serving.catch(() => {}), patience]);
    clearTimeout(timer);
  }
}

/** Answers every connection with what it sent. */
export class EchoServer extends Server {
  protected async talk(conn: Deno.TcpConn) {
    const chunk = new Uint8Array(64 << 10);
    for (let n; (n = await conn.read(chunk)) !== null;) await writeAll(conn, chunk.subarray(0, n));
  }
}

/** Says how many bytes came, once the other end has said that there are no more. */
export class EofServer extends Server {
  protected async talk(conn: Deno.TcpConn) {
    const { length } = await readAll(conn);
    await writeAll(conn, new TextEncoder().encode(`${length} bytes`));
  }
}

/** Says its name. */
export class NamedServer extends Server {
  constructor(readonly name: string, host?: string) {
    super(host);
  }

  protected async talk(conn: Deno.TcpConn) {
    await writeAll(conn, new TextEncoder().encode(this.name));
    // Closed with the other end's bytes unread, it would be cut.
    await conn.closeWrite();
    await readAll(conn);
  }
}

/** Writes everything. */
export async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
}

/** Reads exactly so many bytes. */
export async function readExactly(conn: Deno.Conn, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let got = 0; got < length;) {
    const n = await conn.read(bytes.subarray(got));
    if (n === null) throw new Error(`EOF after ${got} of ${length} bytes`);
    got += n;
  }
  return bytes;
}

/** Sends, and gets the same back. */
export async function roundTrip(conn: Deno.Conn, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  await writeAll(conn, bytes);
  assertEquals(await readExactly(conn, bytes.length), bytes);
}

/** Reads up to the end. */
export async function readAll(conn: Deno.Conn): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const chunk = new Uint8Array(64 << 10);
  for (let n; (n = await conn.read(chunk)) !== null;) parts.push(chunk.slice(0, n));
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Connects to `ip:port`. */
export function dial(address: string): Promise<Deno.TcpConn> {
  const { host, port } = Endpoint.parse(address);
  return Deno.connect({ hostname: host, port });
}

/** Whether a connection there echoes a message. */
export async function echoes(address: string, message = "ping"): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    using conn = await dial(address);
    // One that accepts and never answers does not echo either.
    timer = setTimeout(() => conn.close(), 5_000);
    const bytes = new TextEncoder().encode(message);
    await writeAll(conn, bytes);
    const answer = await readExactly(conn, bytes.length);
    return new TextDecoder().decode(answer) === message;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

/** The name of the server that a connection there leads to; empty if it leads nowhere. */
export async function nameAt(address: string): Promise<string> {
  try {
    using conn = await dial(address);
    return new TextDecoder().decode(await readAll(conn));
  } catch {
    return "";
  }
}

/** What is sent is what comes back, both ways at full speed. */
export async function exactBothWays(listener: string): Promise<void> {
  using conn = await dial(listener);
  const bytes = crypto.getRandomValues(new Uint8Array(1 << 16));
  const rounds = 64;
  const writing = (async () => {
    for (let i = 0; i < rounds; i++) await writeAll(conn, bytes);
  })();
  const reading = (async () => {
    for (let i = 0; i < rounds; i++) assertEquals(await readExactly(conn, bytes.length), bytes);
  })();
  await Promise.all([writing, reading]);
  // Not before: stunnel takes an application that has closed for one that has nothing more to say
  // (docs/data-servers.md).
  await conn.closeWrite();
  assertEquals(await conn.read(new Uint8Array(1)), null);
}

/** The application answers after our EOF: it must arrive, and must not end the other direction. */
export async function halfClosed(listener: string): Promise<void> {
  using conn = await dial(listener);
  const bytes = crypto.getRandomValues(new Uint8Array(1 << 16));
  for (let i = 0; i < 32; i++) await writeAll(conn, bytes);
  await conn.closeWrite();
  assertEquals(new TextDecoder().decode(await readAll(conn)), `${32 << 16} bytes`);
}

/** Whether anybody listens there. */
export async function accepts(listener: string): Promise<boolean> {
  try {
    (await dial(listener)).close();
    return true;
  } catch {
    return false;
  }
}
