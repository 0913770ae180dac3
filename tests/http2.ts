/**
 * HTTP/2 by the frame, for tests that speak it wrongly on purpose: a connection that sends whatever
 * it is given, from an address of the test's choice, and tells how it ended.
 * @module
 */
import { Buffer } from "node:buffer";
import net from "node:net";
import tls from "node:tls";

/** Frame types of RFC 9113 section 6. */
export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const END_STREAM = 1;
export const END_HEADERS = 4;

/** What a client says first. */
export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

const EMPTY: Buffer = Buffer.alloc(0);

/** One frame. */
export function frame(type: number, flags: number, stream: number, payload = EMPTY): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A SETTINGS frame; identifiers as in RFC 9113 section 6.5.2. */
export function settings(...pairs: readonly [id: number, value: number][]): Buffer {
  return frame(
    TYPE.settings,
    0,
    0,
    Buffer.concat(pairs.map(([id, value]) => Buffer.concat([Buffer.from([0, id]), u32(value)]))),
  );
}

/** Four bytes. */
export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** The preface with settings, as an honest client begins. */
export const HELLO = Buffer.concat([PREFACE, settings()]);

/** HPACK's integer, after a prefix of so many bits (RFC 7541 section 5.1). */
function integer(value: number, bits: number, first: number): Buffer {
  const most = (1 << bits) - 1;
  if (value < most) return Buffer.from([first | value]);
  const bytes = [first | most];
  let rest = value - most;
  for (; rest >= 128; rest >>>= 7) bytes.push(rest & 127 | 128);
  return Buffer.from([...bytes, rest]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([integer(bytes.length, 7, 0), bytes]);
}

/** A field in full, that the server need not remember. */
export function literal(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}

/** A field in full, that the server is to put into its dynamic table. */
export function remembered(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0x40]), text(name), text(value)]);
}

/** A field of the tables; the latest remembered one is 62. */
export function indexed(index: number): Buffer {
  return integer(index, 7, 0x80);
}

/** The fields of a call of the Control service. */
export function callFields(path = "/scistream.Control/list"): [string, string][] {
  return [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "localhost"],
    ["te", "trailers"],
    ["content-type", "application/grpc"],
    ["authorization", "INVALID_TOKEN"],
  ];
}

/** A call's fields as a header block. */
export function callBlock(path?: string): Buffer {
  return Buffer.concat(callFields(path).map(([name, value]) => literal(name, value)));
}

/** A message as gRPC frames it: compressed or not, length, bytes. */
export function grpcMessage(bytes: Uint8Array, compressed = false): Buffer {
  return Buffer.concat([Buffer.from([compressed ? 1 : 0]), u32(bytes.length), bytes]);
}

/** A whole call of `list`. */
export function wholeCall(stream: number, path?: string): Buffer {
  return Buffer.concat([
    frame(TYPE.headers, END_HEADERS, stream, callBlock(path)),
    frame(TYPE.data, END_STREAM, stream, grpcMessage(EMPTY)),
  ]);
}

/** A server to speak to, and from where. */
export interface Target {
  host: string;
  port: number;
  /** A local address, so that the server takes it for somebody of its own. */
  from: string;
  /** PEM certificate of the server; plain without it. */
  cert?: string;
}

/** A connection that sends anything. */
export class RawHttp2 {
  readonly #socket: net.Socket;
  #frames = 0;
  #tail: Buffer = EMPTY;
  /** Resolves when the connection has ended: with the system's word for how. */
  readonly ended: Promise<string>;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    this.ended = new Promise((resolve) => {
      let why = "end";
      socket.on("error", (error: Error & { code?: string }) => why = error.code ?? error.message);
      socket.on("close", () => resolve(why));
    });
    socket.on("data", (bytes: Buffer) => this.#take(bytes));
  }

  /** Connects; rejects with the system's error. */
  static async connect(target: Target): Promise<RawHttp2> {
    const socket = await dialFrom(target);
    if (target.cert === undefined) return new RawHttp2(socket);
    const secure = tls.connect({
      socket,
      ca: target.cert,
      servername: "localhost",
      ALPNProtocols: ["h2"],
    });
    await once(secure, "secureConnect");
    return new RawHttp2(secure);
  }

  /** Sends; resolves when there is room for more, or nobody to send to. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.isOpen && !this.#socket.write(bytes)) {
      await Promise.race([once(this.#socket, "drain").catch(() => {}), this.ended]);
    }
  }

  /** Reads no more. */
  stopReading(): void {
    this.#socket.pause();
  }

  /** Whole frames that have come. */
  get frames(): number {
    return this.#frames;
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    let rest = this.#tail.length === 0 ? bytes : Buffer.concat([this.#tail, bytes]);
    while (rest.length >= 9) {
      const length = 9 + rest.readUIntBE(0, 3);
      if (rest.length < length) break;
      this.#frames++;
      rest = rest.subarray(length);
    }
    this.#tail = Buffer.from(rest);
  }
}

/** A TCP connection from this local address. */
export async function dialFrom({ host, port, from }: Target): Promise<net.Socket> {
  const socket = net.connect({ host, port, localAddress: from, noDelay: true });
  await once(socket, "connect");
  return socket;
}

function once(socket: net.Socket, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = () => {
      socket.off("error", failed);
      resolve();
    };
    const failed = (error: Error) => {
      socket.off(event, done);
      socket.destroy();
      reject(error);
    };
    socket.once(event, done);
    socket.once("error", failed);
  });
}
