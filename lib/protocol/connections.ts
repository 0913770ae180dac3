/**
 * The connections of a server: how many there may be, from whom, and how much each may send beside
 * calls. What speaks on them comes behind.
 * @module
 */
import net from "node:net";
import { Buckets } from "../buckets.ts";
import { Endpoint } from "./endpoint.ts";
import type { ConnectionLimits } from "./limits.ts";

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

/** How often connections are looked at. */
const LOOK_MS = 200;
/** What a call is taken to need: header fields, a message of usual size, what HTTP/2 says around it. */
const CALL_BYTES = 16 << 10;
/** What a handshake costs the server, in bytes sent: a connection that calls has it back. */
const HANDSHAKE_BYTES = 32 << 10;
/** A quiet connection's bytes in the time between two looks; who sends more while its address has nothing left is cut. */
const QUIET_BYTES = 1 << 10;

interface Connection {
  readonly socket: net.Socket;
  readonly address: string;
  readonly acceptedMs: number;
  /** Calls under way. */
  calls: number;
  called: boolean;
  /** Of what has been read, how much has been charged. */
  charged: number;
}

/** Accepts connections within bounds. Where there is no room, an idle one of the fullest address goes. */
export class Connections {
  readonly #limits: ConnectionLimits;
  readonly #events: ConnectionEvents;
  #server?: net.Server;
  #address?: Endpoint;
  #resuming = false;
  #closed = false;
  /** Sockets that have a descriptor, those that were refused included. */
  #sockets = 0;
  /** By `ip:port` of the peer; the longest without a call first. */
  readonly #all = new Map<string, Connection>();
  readonly #perAddress = new Map<string, number>();
  readonly #spare: Buckets;
  #looking?: ReturnType<typeof setInterval>;

  /** @param limits may change while it runs */
  constructor(limits: ConnectionLimits, events: ConnectionEvents) {
    this.#limits = limits;
    this.#events = events;
    this.#spare = new Buckets(() => ({ rate: limits.spareBytes / 16, burst: limits.spareBytes }));
  }

  /** Listens; answers where. Rejects with the system's error. */
  async listen({ host, port }: Endpoint): Promise<Endpoint> {
    this.#server = await listening(host, port, (socket) => this.#accept(socket));
    this.#address = new Endpoint(host, (this.#server.address() as net.AddressInfo).port);
    return this.#address;
  }

  /**
   * Listens no more until sockets are closed: an accept loop of node:net that runs out of descriptors
   * stops for good, without an error (Deno 2.9.3), and those that it refuses have one each till the
   * end of their turn.
   */
  #pause(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  async #resume(): Promise<void> {
    if (this.#server || this.#closed || this.#resuming || !this.#address) return;
    this.#resuming = true;
    const { host, port } = this.#address;
    while (!this.#closed && !this.#server) {
      try {
        this.#server = await listening(host, port, (socket) => this.#accept(socket));
      } catch {
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
    }
    this.#resuming = false;
    if (this.#closed) this.#pause();
  }

  /** Accepts no more; established connections stay. */
  close(): void {
    this.#closed = true;
    this.#pause();
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
   * A call has come; answers what to do when it has ended.
   * @param peer `ip:port`
   */
  began(peer: string): () => void {
    const connection = this.#all.get(peer);
    if (!connection) return () => {};
    // It moves to the end: the others have been without a call for longer.
    this.#all.delete(peer);
    this.#all.set(peer, connection);
    this.#spare.give(connection.address, connection.called ? CALL_BYTES : HANDSHAKE_BYTES);
    connection.called = true;
    connection.calls++;
    return () => connection.calls--;
  }

  #accept(socket: net.Socket): void {
    // An error is followed by its end.
    socket.on("error", () => {});
    this.#sockets++;
    socket.once("close", () => {
      this.#sockets--;
      if (this.#sockets < this.#limits.sockets) this.#resume();
    });
    if (this.#sockets >= this.#limits.sockets) this.#pause();
    const ip = socket.remoteAddress;
    if (ip === undefined) return void socket.destroy();
    const address = addressKey(ip);
    const refusal = this.#refusal(address);
    if (refusal) {
      this.#events.onRefused(refusal, address);
      return void socket.resetAndDestroy();
    }
    this.#spare.charge(address, HANDSHAKE_BYTES);
    const peer = `${ip}:${socket.remotePort}`;
    this.#all.set(peer, {
      socket,
      address,
      acceptedMs: performance.now(),
      calls: 0,
      called: false,
      charged: 0,
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
      this.#looking = setInterval(() => this.#look(), LOOK_MS);
      Deno.unrefTimer(this.#looking as unknown as number);
    }
    this.#events.onConnection(socket);
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
      const bytes = socket.bytesRead - connection.charged;
      connection.charged = socket.bytesRead;
      if (bytes > 0) this.#spare.charge(address, bytes);
      sent.set(connection, bytes);
    }
    for (const [connection, bytes] of sent) {
      if (bytes > QUIET_BYTES && this.#spare.isEmpty(connection.address)) {
        // It will be a while before this address may connect again.
        this.#spare.charge(connection.address, this.#limits.spareBytes);
        this.#cut(connection, "spare-bytes");
      }
    }
  }

  #cut({ socket, address }: Connection, why: ConnectionRefusal): void {
    this.#events.onRefused(why, address);
    socket.resetAndDestroy();
  }
}

/** The address that a peer, `ip:port`, is counted under. */
export function addressOf(peer: string): string {
  return addressKey(peer.slice(0, peer.lastIndexOf(":")));
}

/** A server that listens. */
function listening(
  host: string,
  port: number,
  onConnection: (socket: net.Socket) => void,
): Promise<net.Server> {
  // node:http2 sets TCP_NODELAY itself on connections that it accepts, and these are accepted here.
  const server = net.createServer({ noDelay: true }, onConnection);
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve(server);
    });
  });
}

/** Who has an IPv6 address has 2^64 of them. */
function addressKey(ip: string): string {
  if (!ip.includes(":")) return ip;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1];
  if (mapped) return mapped;
  const [head = "", tail] = ip.split("%", 1)[0]?.split("::") ?? [];
  const front = head === "" ? [] : head.split(":");
  const back = tail === undefined || tail === "" ? [] : tail.split(":");
  const gap = tail === undefined ? 0 : 8 - front.length - back.length;
  const groups = [...front, ...Array(gap).fill("0"), ...back];
  return `${groups.slice(0, 4).map((group) => parseInt(group, 16).toString(16)).join(":")}::/64`;
}
