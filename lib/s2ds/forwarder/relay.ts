import net from "node:net";
import { Buffer } from "node:buffer";

const SMALLEST = 16 << 10;
const LARGEST = 1 << 20;

/** Counts of one relayed connection, kept by whoever owns the relay. */
export interface RelayCounts {
  /** Bytes read from one side and written to the other. */
  toTarget(bytes: number): void;
  fromTarget(bytes: number): void;
}

/**
 * Carries bytes both ways between an accepted connection and its target: half-close, back-pressure,
 * EOF and RST included. Memory is bounded: a direction has one buffer, 16 KiB at first and up to
 * 1 MiB for a flow that fills it, and a second one of that size while the first is being written; it
 * is not read while its last read is not written.
 *
 * node:net and not Deno.Conn: only its sockets can send an RST (`resetAndDestroy`), and with an
 * `onread` buffer of its own it moves as many bytes as Deno.Conn does.
 */
export class Relay {
  readonly #near: net.Socket;
  readonly #far: net.Socket;
  #open = 2;
  #failed = false;
  /** Resolves when both connections are gone; the message says what went wrong, empty for nothing. */
  readonly done: Promise<string>;

  /**
   * @param accepted a paused connection; its handle moves to the relay
   * @param far a connected socket made by {@linkcode Relay.dial}
   */
  constructor(accepted: net.Socket, dialled: Dialled, counts: RelayCounts) {
    const near = new Half((n) => counts.toTarget(n));
    this.#near = near.adopt(accepted);
    this.#far = dialled.socket;
    dialled.half.onBytes = (n) => counts.fromTarget(n);
    near.join(this.#near, this.#far);
    dialled.half.join(this.#far, this.#near);
    this.done = new Promise((resolve) => {
      let first = "";
      for (const [from, to] of [[this.#near, this.#far], [this.#far, this.#near]] as const) {
        from.on("end", () => to.end());
        from.on("error", (error: NodeJS.ErrnoException) => {
          first ||= (from === this.#far ? "target: " : "client: ") + (error.code ?? error.message);
          this.reset();
        });
        from.on("close", () => {
          if (--this.#open === 0) resolve(first);
        });
      }
    });
    this.#near.resume();
    this.#far.resume();
  }

  /** Cuts both connections with an RST, so that neither end takes what it got for the whole. */
  reset(): void {
    if (this.#failed) return;
    this.#failed = true;
    for (const socket of [this.#near, this.#far]) if (!socket.destroyed) socket.resetAndDestroy();
  }
}

/** A socket on its way to a target, not yet read. */
export interface Dialled {
  readonly socket: net.Socket;
  readonly half: Half;
}

/** Prepares a socket for a relay's far side; the caller connects it. */
export function dial(): Dialled {
  const half = new Half(() => {});
  return { socket: new net.Socket({ allowHalfOpen: true, onread: half.onread }), half };
}

/** One direction: what is read here is written to the peer. */
class Half {
  #buffer: Uint8Array = Buffer.allocUnsafeSlow(SMALLEST);
  /** The other buffer of this half, while no write holds it. */
  #spare?: Uint8Array;
  /** Writes that hold their buffer. */
  #writing = 0;
  #self?: net.Socket;
  #peer?: net.Socket;

  constructor(public onBytes: (bytes: number) => void) {}

  /** The `onread` option of the socket that this half reads. */
  readonly onread: net.OnReadOpts = {
    buffer: () => this.#buffer,
    callback: (n, buffer) => this.#forward(n, buffer),
  };

  /** Takes an accepted connection over into a socket that reads through this half. */
  adopt(accepted: net.Socket): net.Socket {
    const holder = accepted as unknown as { _handle: unknown };
    const handle = holder._handle;
    holder._handle = null;
    const options = { handle, allowHalfOpen: true, pauseOnCreate: true, onread: this.onread };
    return new net.Socket(options as net.SocketConstructorOpts);
  }

  join(self: net.Socket, peer: net.Socket): void {
    this.#self = self;
    this.#peer = peer;
  }

  /** Answers whether to go on reading; if not, the write's end resumes it. */
  #forward(n: number, buffer: Uint8Array): boolean {
    const peer = this.#peer;
    if (!peer || peer.destroyed) return false;
    this.onBytes(n);
    if (n === buffer.length && n < LARGEST) this.#buffer = Buffer.allocUnsafeSlow(n * 4);
    let held = false;
    peer.write(buffer.subarray(0, n), () => {
      if (!held) return;
      this.#spare = buffer;
      if (--this.#writing === 0) this.#self?.resume();
    });
    held = peer.writableLength > 0;
    if (!held) return true;
    this.#writing++;
    // The stream may start reading again by itself (the first `resume` does so a tick later, and so
    // does the end of connecting): what is being written must not be read into.
    if (this.#buffer === buffer) {
      const size = buffer.length;
      this.#buffer = this.#spare?.length === size ? this.#spare : Buffer.allocUnsafeSlow(size);
    }
    this.#spare = undefined;
    return false;
  }
}
