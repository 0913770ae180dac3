/**
 * An application behind a gateway, and whoever connects to it through one.
 * @module
 */

/** Tells its name to whoever connects, then sends back whatever it gets. */
export class App implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #serving: Promise<void>;
  /** `127.0.0.1:PORT`. */
  readonly address = `127.0.0.1:${this.#listener.addr.port}`;

  constructor(readonly name: string) {
    this.#serving = this.#serve();
  }

  async #serve(): Promise<void> {
    const connections: Promise<void>[] = [];
    for await (const conn of this.#listener) connections.push(this.#echo(conn));
    await Promise.all(connections);
  }

  async #echo(conn: Deno.Conn): Promise<void> {
    try {
      await conn.write(new TextEncoder().encode(`${this.name}\n`));
      await conn.readable.pipeTo(conn.writable);
    } catch {
      // The peer was cut.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#serving;
  }
}

/** Connects to `host:port`. */
export function dial(address: string): Promise<Deno.TcpConn> {
  const [hostname, port] = address.split(":");
  return Deno.connect({ hostname, port: Number(port) });
}

/** Connects, sends the text and the end, and answers the application's name and what it sent back. */
export async function exchange(
  address: string,
  text: string,
): Promise<{ name: string; back: string }> {
  const conn = await dial(address);
  const writer = conn.writable.getWriter();
  const sending = writer.write(new TextEncoder().encode(text)).then(() => conn.closeWrite());
  const received = await new Response(conn.readable).text();
  await sending;
  const cut = received.indexOf("\n");
  return { name: received.slice(0, cut), back: received.slice(cut + 1) };
}
