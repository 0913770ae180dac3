/**
 * The connections of a server: how many there may be, from whom, and how much each may send beside
 * calls. What speaks on them comes behind.
 * @module
 */
import type net from "node:net";
import process from "node:process";
import { setImmediate } from "node:timers";
import { Buckets } from "../buckets.ts";
import { addressKey } from "./address.ts";
import type { Endpoint } from "./endpoint.ts";
import type { ConnectionLimits } from "./limits.ts";
import { Listener } from "./listener.ts";
import type { SessionCounts } from "./streams.ts";

/** What a connection was refused or cut for. */
export type ConnectionRefusal =
  | "connections"
  | "connections-per-address"
  | "first-call-timeout"
  | "spare-bytes";

/** Who takes the connections. */
export interface ConnectionEvents {
  onConnection: (socket: net.Socket) => void;
  onRefused: (why: ConnectionRefusal, address: string) => void;
}

/**
 * Connections that are handed on in one turn; more wait for the next, after a look. Whoever has sent
 * something is read from before any timer runs: hundreds that come with the same junk would all be
 * dealt with before the next look.
 */
const AT_A_TIME = 2;
/** How often connections are looked at. */
const LOOK_MS = 100;
/** What a call is taken to need at least: header fields, a message, what HTTP/2 says around it. */
const CALL_BYTES = 16 << 10;
/** What a call may weigh and not be charged for; nobody needs a tenth of it. */
const FREE_BYTES = 1 << 20;
/** What a handshake costs the server, in bytes sent: a connection that calls has it back. */
const HANDSHAKE_BYTES = 32 << 10;
/** What a stream costs the server: a few bytes open one, and a few more reset it. A call has it back. */
const STREAM_BYTES = 4 << 10;
/**
 * What a stream costs that HTTP/2 itself turned away, as for too many header fields: the runtime keeps
 * its fields for as long as the connection lasts.
 */
const UNSEEN_STREAM_BYTES = 128 << 10;
/** What a call costs that a limit kept out: the refusal is nearly as much work as the call. */
const REFUSED_CALL_BYTES = 8 << 10;
/** What a millisecond of the processor's time counts as: frames of a byte cost far more than they weigh. */
const MILLISECOND_BYTES = 16 << 10;
/** A quiet connection's bytes in the time between two looks; who sends more while its address has nothing left is cut. */
const QUIET_BYTES = 1 << 10;

interface Connection {
  readonly socket: net.Socket;
  readonly address: string;
  readonly acceptedMs: number;
  /** Calls under way. */
  calls: number;
  called: boolean;
  /** Streams that have been told of or charged for; the handshake has paid for the first. */
  streams: number;
  counts?: SessionCounts;
  /** Of what has been read, how much has been charged, or forgiven. */
  charged: number;
  /** What had been read when the last call came. */
  atCall: number;
  /** Of what streams on it, how much has not been sent; and what had been sent of all when that was so. */
  queued: number;
  written: number;
}

/** Accepts connections within bounds. Where there is no room, an idle one of the fullest address goes. */
export class Connections {
  readonly #limits: ConnectionLimits;
  readonly #events: ConnectionEvents;
  readonly #listener: Listener;
  /** By `ip:port` of the peer; the longest without a call first. */
  readonly #all = new Map<string, Connection>();
  readonly #perAddress = new Map<string, number>();
  readonly #spare: Buckets;
  /** Handed on in this turn, as soon as they came. */
  #handedOn = 0;
  /** Accepted, and not yet handed on. */
  readonly #waiting: net.Socket[] = [];
  #looking?: ReturnType<typeof setInterval>;
  /** Milliseconds of processor time up to the last look. */
  #cpuMs = 0;
  /** Bytes that calls and handshakes since the last look stand for: processor time that is accounted for. */
  #expected = 0;

  /** @param limits may change while it runs */
  constructor(limits: ConnectionLimits, events: ConnectionEvents) {
    this.#limits = limits;
    this.#events = events;
    this.#listener = new Listener(() => limits.sockets, (socket) => this.#accept(socket));
    this.#spare = new Buckets(() => ({ rate: limits.spareBytes / 16, burst: limits.spareBytes }));
  }

  /** Listens; answers where. Rejects with the system's error. */
  listen(at: Endpoint): Promise<Endpoint> {
    return this.#listener.listen(at);
  }

  /** Accepts no more; established connections stay. */
  close(): void {
    this.#listener.close();
    clearInterval(this.#looking);
  }

  /** Cuts whatever is left. */
  cut(): void {
    for (const { socket } of this.#all.values()) socket.destroy();
  }

  /** How many there are. */
  get size(): number {
    return this.#all.size;
  }

  /**
   * A call has come; answers what to do when it has ended, and whether a limit kept it out.
   * @param peer `ip:port`
   */
  began(peer: string): (isRefused: boolean) => void {
    const connection = this.#all.get(peer);
    if (!connection) return () => {};
    // It moves to the end: the others have been without a call for longer.
    this.#all.delete(peer);
    this.#all.set(peer, connection);
    const bytes = connection.called ? CALL_BYTES : HANDSHAKE_BYTES;
    this.#spare.give(connection.address, bytes + STREAM_BYTES + forgive(connection));
    this.#expected += CALL_BYTES;
    connection.called = true;
    connection.calls++;
    return (isRefused) => {
      connection.calls--;
      // What it was given for the call is taken back, but for the stream.
      if (isRefused) this.#spare.charge(connection.address, bytes + REFUSED_CALL_BYTES);
    };
  }

  /**
   * A call that streams has another answer, which is as much work as a call.
   * @param bytes of the answer; 0 where there is none
   * @returns bytes of such answers that are still to be sent on this connection
   */
  streams(peer: string, bytes: number): number {
    const connection = this.#all.get(peer);
    if (!connection) return 0;
    const { counts, queued, written } = connection;
    const sent = counts?.sent() ?? 0;
    if (bytes > 0) this.#expected += CALL_BYTES;
    connection.queued = Math.max(0, queued - (sent - written)) + bytes;
    connection.written = sent;
    return connection.queued;
  }

  /**
   * A stream has been opened, which may become a call.
   * @param peer `ip:port`
   * @param bytes what it costs beside the usual
   */
  opened(peer: string, bytes: number): void {
    const connection = this.#all.get(peer);
    if (!connection) return;
    this.#spare.charge(connection.address, bytes + (connection.streams > 0 ? STREAM_BYTES : 0));
    connection.streams++;
  }

  /**
   * HTTP/2 is spoken on a connection.
   * @param peer `ip:port`
   * @param counts of its streams, told of or not, and of the bytes that have left it
   */
  speaks(peer: string, counts: SessionCounts): void {
    const connection = this.#all.get(peer);
    if (!connection) return;
    connection.counts = counts;
    counts.onRead(() => inTurn(connection.socket));
  }

  #accept(socket: net.Socket): void {
    const ip = socket.remoteAddress;
    if (ip === undefined) return void socket.destroy();
    const address = addressKey(ip);
    const refusal = this.#refusal(address);
    if (refusal) {
      this.#events.onRefused(refusal, address);
      return void socket.resetAndDestroy();
    }
    this.#spare.charge(address, HANDSHAKE_BYTES);
    this.#expected += HANDSHAKE_BYTES;
    const peer = `${ip}:${socket.remotePort}`;
    this.#all.set(peer, {
      socket,
      address,
      acceptedMs: performance.now(),
      calls: 0,
      called: false,
      streams: 0,
      charged: 0,
      atCall: 0,
      queued: 0,
      written: 0,
    });
    this.#perAddress.set(address, this.#of(address) + 1);
    socket.once("close", () => {
      this.#all.delete(peer);
      const left = this.#of(address) - 1;
      if (left > 0) this.#perAddress.set(address, left);
      else this.#perAddress.delete(address);
      if (this.#all.size === 0) this.#rest();
    });
    if (this.#looking === undefined) {
      this.#cpuMs = cpuMs();
      this.#looking = setInterval(() => this.#look(), LOOK_MS);
      Deno.unrefTimer(this.#looking as unknown as number);
    }
    if (this.#waiting.length === 0 && this.#handedOn < AT_A_TIME) {
      if (this.#handedOn++ === 0) setTimeout(() => this.#handedOn = 0, 0);
      return this.#events.onConnection(socket);
    }
    this.#waiting.push(socket);
    if (this.#waiting.length === 1) setTimeout(() => this.#handOn(), 0);
  }

  #handOn(): void {
    this.#look();
    for (const socket of this.#waiting.splice(0, AT_A_TIME)) {
      if (!socket.destroyed) this.#events.onConnection(socket);
    }
    if (this.#waiting.length > 0) setTimeout(() => this.#handOn(), 0);
  }

  #rest(): void {
    clearInterval(this.#looking);
    this.#looking = undefined;
  }

  /** Why there is no room for one more of this address, if so. */
  #refusal(address: string): ConnectionRefusal | undefined {
    const { connections, connectionsPerAddress } = this.#limits;
    if (this.#spare.isEmpty(address)) return "spare-bytes";
    if (this.#of(address) >= connectionsPerAddress && !this.#evict(address)) {
      return "connections-per-address";
    }
    if (this.#all.size >= connections && !this.#evict(this.#fullest())) return "connections";
  }

  #of(address: string): number {
    return this.#perAddress.get(address) ?? 0;
  }

  #fullest(): string {
    let fullest = "";
    for (const [address, count] of this.#perAddress) {
      if (count > this.#of(fullest)) fullest = address;
    }
    return fullest;
  }

  /** Ends the connection of an address that has been without a call for longest, if there is one. */
  #evict(address: string): boolean {
    for (const connection of this.#all.values()) {
      if (connection.address !== address || connection.calls > 0 || connection.socket.destroyed) {
        continue;
      }
      connection.socket.destroy();
      return true;
    }
    return false;
  }

  #look(): void {
    const nowMs = performance.now();
    const sent = new Map<Connection, number>();
    for (const connection of this.#all.values()) {
      const { socket, address, called, acceptedMs } = connection;
      if (!called && nowMs - acceptedMs > this.#limits.firstCallMs) {
        this.#cut(connection, "first-call-timeout");
        continue;
      }
      const read = socket.bytesRead - connection.charged;
      connection.charged = socket.bytesRead;
      const bytes = read > 0 ? read + UNSEEN_STREAM_BYTES * unseenStreams(connection) : 0;
      if (bytes > 0) this.#spare.charge(address, bytes);
      sent.set(connection, bytes);
    }
    this.#chargeTime(sent);
    const loud = new Set<string>();
    for (const [connection, bytes] of sent) {
      const { address } = connection;
      if (bytes <= QUIET_BYTES || !this.#spare.isEmpty(address)) continue;
      // It will be a while before this address may connect again.
      this.#spare.charge(address, this.#limits.spareBytes);
      this.#cut(connection, "spare-bytes");
      loud.add(address);
    }
    // What else such an address has opened and not called on has something waiting to be read.
    for (const connection of sent.keys()) {
      const { address, called, socket } = connection;
      if (loud.has(address) && !called && !socket.destroyed) this.#cut(connection, "spare-bytes");
    }
  }

  /**
   * Charges the processor's time since the last look, where calls and handshakes do not account for
   * it, to whoever sent more than those need.
   */
  #chargeTime(sent: Map<Connection, number>): void {
    const nowMs = cpuMs();
    const timeBytes = (nowMs - this.#cpuMs) * MILLISECOND_BYTES;
    this.#cpuMs = nowMs;
    const noisy = [...sent].filter(([, bytes]) => bytes > QUIET_BYTES);
    const all = noisy.reduce((sum, [, bytes]) => sum + bytes, this.#expected);
    this.#expected = 0;
    for (const [{ address }, bytes] of noisy) this.#spare.charge(address, timeBytes * bytes / all);
  }

  #cut({ socket, address }: Connection, why: ConnectionRefusal): void {
    this.#events.onRefused(why, address);
    socket.resetAndDestroy();
  }
}

/** What came with a call is the call's own; answers what of it has been charged and must be given back. */
function forgive(connection: Connection): number {
  const { bytesRead } = connection.socket;
  const free = Math.min(bytesRead - connection.atCall, FREE_BYTES);
  connection.atCall = bytesRead;
  const uncharged = Math.min(bytesRead - connection.charged, free);
  connection.charged += uncharged;
  return free - uncharged;
}

/**
 * Lets everybody else have a turn before more is read from this socket. Deno 2.9.3 reads on, up to 2 MB,
 * for as long as there is something; of the smallest frames that is seconds of work.
 */
function inTurn(socket: net.Socket): void {
  const handle = (socket as unknown as Handled)._handle;
  handle?.readStop();
  setImmediate(() => {
    if (!socket.destroyed) handle?.readStart();
  });
}

/** What of the runtime's own sockets is used. */
interface Handled {
  _handle: { readStart(): void; readStop(): void } | null;
}

/** Streams that nobody has told of; each is answered once. */
function unseenStreams(connection: Connection): number {
  const unseen = Math.max(0, (connection.counts?.streams() ?? 0) - connection.streams);
  connection.streams += unseen;
  return unseen;
}

/** Processor time of this process so far. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
