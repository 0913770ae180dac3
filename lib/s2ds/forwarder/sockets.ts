/**
 * Sockets of node:net and node:tls as a relay needs them.
 *
 * node:net and not Deno.Conn: only its sockets can send an RST, and with a buffer of our own they
 * move as many bytes. node:tls and not Deno.listenTls: only its servers ask for certificates, and
 * only its sockets can be told not to wait for acknowledgements (Deno.TlsConn of a listener has no
 * setNoDelay: a small answer came 40 ms late).
 * @module
 */
import net from "node:net";

/** Found dead after this long, and ten probes or so of the kernel's. */
const KEEP_ALIVE_MS = 30_000;

/** One end of a relay: a connected socket that nobody reads yet. */
export interface End {
  /** What is read and written; of node:tls where the connection is encrypted. */
  readonly socket: net.Socket;
  /** The TCP connection under it, `socket` itself where it is plain. */
  readonly tcp: net.Socket;
  /** Whether what travels is in frames (frames.ts). */
  readonly framed: boolean;
}

/** The end that a plain socket is. */
export function plain(socket: net.Socket): End {
  return { socket, tcp: socket, framed: false };
}

/** Cuts the connection with an RST, so that its peer does not take what it got for the whole. */
export function reset({ socket, tcp }: End): void {
  if (!tcp.destroyed) tcp.resetAndDestroy();
  if (socket !== tcp) socket.destroy();
}

/** Small writes leave at once; a peer that is gone is noticed. */
export function tune(tcp: net.Socket): void {
  tcp.setNoDelay(true);
  tcp.setKeepAlive(true, KEEP_ALIVE_MS);
}

/** Where a socket's bytes go. */
export interface Reader {
  /** Where the next read goes; undefined where it may go to the same place again. */
  next(): Uint8Array | undefined;
  /** Takes `n` bytes that were read into the buffer; answers whether to read on. */
  read(n: number, buffer: Uint8Array): boolean;
}

/**
 * Has a socket read into our buffers from now on. node:net takes such buffers (`onread`) for sockets
 * that it connects itself; for accepted ones, and those of node:tls, its own fields are set. A test
 * fails where a runtime has them no more.
 */
export function readInto(socket: net.Socket, reader: Reader): void {
  const fields = socket as unknown as Record<symbol, unknown>;
  const keys = bufferKeys(socket);
  const first = reader.next();
  fields[keys.buffer] = first;
  fields[keys.next] = () => reader.next();
  fields[keys.callback] = (n: number, buffer: Uint8Array) => reader.read(n, buffer);
  handleOf(socket)?.useUserBuffer(first);
}

/** What of the runtime's own stream objects is used. */
interface Handle {
  useUserBuffer(to?: Uint8Array): void;
  readStart(): number;
  readStop(): number;
}

function handleOf(socket: net.Socket): Handle | null {
  return (socket as unknown as { _handle: Handle | null })._handle;
}

/**
 * Has no more read, beside a {@linkcode Reader.read} that answers false: node:tls in Deno 2.9.3 heeds
 * neither that nor `pause`, and takes in all that comes.
 */
export function stopReading({ socket, tcp }: End): void {
  if (socket !== tcp) handleOf(tcp)?.readStop();
}

/** Undoes {@linkcode stopReading}. */
export function goOnReading({ socket, tcp }: End): void {
  socket.resume();
  if (socket !== tcp) handleOf(tcp)?.readStart();
}

interface BufferKeys {
  buffer: symbol;
  next: symbol;
  callback: symbol;
}

let known: BufferKeys | undefined;

function bufferKeys(socket: net.Socket): BufferKeys {
  if (known) return known;
  const symbols = Object.getOwnPropertySymbols(socket);
  const find = (name: string) => {
    const found = symbols.find(({ description }) => description === name);
    if (!found) throw new Error(`this runtime's node:net has no ${name}; use the pinned Deno`);
    return found;
  };
  return known = {
    buffer: find("kBuffer"),
    next: find("kBufferGen"),
    callback: find("kBufferCb"),
  };
}
