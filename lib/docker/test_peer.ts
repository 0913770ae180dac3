/**
 * A socket for tests, whose other end does what the test says.
 * @module
 */
import type { UnixHost } from "./host.ts";

/** A status line, to which header fields are added. */
export const HEAD = "HTTP/1.1 200 OK\r\n";
/** A whole answer. */
export const answer = (body: string, status = 200) =>
  `HTTP/1.1 ${status} X\r\nContent-Length: ${new TextEncoder().encode(body).length}\r\n\r\n${body}`;

/** A connection at the peer's end. */
export class Caller {
  constructor(readonly conn: Deno.Conn) {}

  /** The request as far as it comes at once; nothing of it if it is not read. */
  async request(): Promise<string> {
    const chunk = new Uint8Array(64 << 10);
    return new TextDecoder().decode(chunk.subarray(0, await this.conn.read(chunk) ?? 0));
  }

  async say(text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    for (let sent = 0; sent < bytes.length;) sent += await this.conn.write(bytes.subarray(sent));
  }

  /** Resolves when the client has closed. */
  async closed(): Promise<void> {
    const chunk = new Uint8Array(64 << 10);
    while (await this.conn.read(chunk).catch(() => null) !== null);
  }
}

/** A socket where every connection is handled so, and then closed. */
export class Peer implements AsyncDisposable {
  readonly #folder = Deno.makeTempDirSync();
  readonly socket = `${this.#folder}/s`;
  readonly host: UnixHost = { kind: "unix", path: this.socket };
  /** Connections so far. */
  calls = 0;
  readonly #listener = Deno.listen({ transport: "unix", path: this.socket });
  readonly #handling = new Set<Promise<void>>();
  readonly #open = new Set<Deno.Conn>();
  readonly #accepting = this.#accept();

  constructor(readonly handle: (caller: Caller, n: number) => Promise<unknown>) {}

  async #accept() {
    for await (const conn of this.#listener) {
      this.#open.add(conn);
      const handling = this.handle(new Caller(conn), ++this.calls).then(() => {}, () => {});
      this.#handling.add(handling.then(() => this.#close(conn)));
    }
  }

  #close(conn: Deno.Conn) {
    if (this.#open.delete(conn)) conn.close();
  }

  async [Symbol.asyncDispose]() {
    this.#listener.close();
    for (const conn of this.#open) this.#close(conn);
    await Promise.all([...this.#handling, this.#accepting]);
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

/** An engine of API 1.41, whose other answers are these. */
export function fakeEngine(
  reply: (line: string, caller: Caller) => string | Promise<string>,
): Peer {
  return new Peer(async (caller) => {
    const line = (await caller.request()).split("\r\n", 1)[0] ?? "";
    await caller.say(
      line.includes("/_ping")
        ? `${HEAD}Api-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK`
        : await reply(line, caller),
    );
  });
}
