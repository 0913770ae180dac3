import { assert, assertEquals } from "@std/assert";
import { dial, readExactly, writeAll } from "./echo.ts";

/** A stream to an echo that never stops: every block comes back byte for byte, or the flow has failed. */
export class EndlessFlow implements AsyncDisposable {
  readonly #conn: Deno.TcpConn;
  #stopped = false;
  #blocks = 0;
  #bytes = 0;
  #failure: unknown;
  #closed = false;
  #next = Promise.withResolvers<void>();
  readonly #between?: () => Promise<void>;
  readonly #flowing: Promise<void>;

  private constructor(conn: Deno.TcpConn, between?: () => Promise<void>) {
    this.#conn = conn;
    this.#between = between;
    this.#flowing = this.#flow().catch((error) => {
      this.#failure = error;
      this.#next.resolve();
    });
  }

  /**
   * @param listener `ip:port` that leads to an echo
   * @param between awaited after each block
   */
  static async start(listener: string, between?: () => Promise<void>): Promise<EndlessFlow> {
    return new EndlessFlow(await dial(listener), between);
  }

  /** Resolves when it has ended: with what went wrong, if something has. */
  get ended(): Promise<unknown> {
    return this.#flowing.then(() => this.#failure);
  }

  /** Bytes that went there and came back. */
  get bytes(): number {
    return this.#bytes;
  }

  async #flow(): Promise<void> {
    while (!this.#stopped) {
      const block = new Uint8Array(1 + Math.floor(Math.random() * (64 << 10)));
      // Of no other flow, and of no other moment of this one.
      crypto.getRandomValues(block);
      const [back] = await Promise.all([
        readExactly(this.#conn, block.length),
        writeAll(this.#conn, block),
      ]);
      assertEquals(back, block);
      this.#bytes += block.length;
      this.#blocks++;
      this.#next.resolve();
      this.#next = Promise.withResolvers();
      await this.#between?.();
    }
  }

  /** That two more whole blocks come back: the second was begun after this call. */
  async assertGoesOn(): Promise<void> {
    for (const _ of [1, 2]) {
      await this.#next.promise;
      if (this.#failure) throw this.#failure;
    }
  }

  /** Ends it; fails if anything was not as it should. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#flowing;
    this.#close();
    if (this.#failure) throw this.#failure;
    assert(this.#blocks > 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#close();
    await this.#flowing;
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#conn.close();
  }
}
