import { assert, assertEquals } from "@std/assert";
import { dial, readExactly, writeAll } from "./echo.ts";

/** A stream to an echo that never stops: every block comes back byte for byte, or the flow has failed. */
export class EndlessFlow implements AsyncDisposable {
  readonly #conn: Deno.TcpConn;
  #stopped = false;
  #blocks = 0;
  #bytes = 0;
  #failure: unknown;
  #next = Promise.withResolvers<void>();
  readonly #flowing: Promise<void>;

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    this.#flowing = this.#flow().catch((error) => {
      this.#failure = error;
      this.#next.resolve();
    });
  }

  /** @param listener `ip:port` that leads to an echo */
  static async start(listener: string): Promise<EndlessFlow> {
    return new EndlessFlow(await dial(listener));
  }

  /** Bytes that went there and came back. */
  get bytes(): number {
    return this.#bytes;
  }

  async #flow(): Promise<void> {
    while (!this.#stopped) {
      const block = new Uint8Array(1 + Math.floor(Math.random() * (64 << 10)));
      for (let i = 0; i < block.length; i++) block[i] = (this.#blocks + i * 31) & 255;
      const [back] = await Promise.all([
        readExactly(this.#conn, block.length),
        writeAll(this.#conn, block),
      ]);
      assertEquals(back, block);
      this.#bytes += block.length;
      this.#blocks++;
      this.#next.resolve();
      this.#next = Promise.withResolvers();
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
    if (this.#failure) throw this.#failure;
    assert(this.#blocks > 0);
    this.#conn.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#conn.close();
    await this.#flowing;
  }
}
