/**
 * What a server takes from callers that nobody knows yet.
 * @module
 */

/** Bounds; an address is an IPv4 address or the first 64 bits of an IPv6 address. */
export interface ConnectionLimits {
  /** Connections at once. */
  connections: number;
  /** Descriptors that connections may have, those included that are just being refused. */
  sockets: number;
  /** Of them, of one address. */
  connectionsPerAddress: number;
  /** Milliseconds from being accepted to the first call, with TLS and authentication still to come. */
  firstCallMs: number;
  /**
   * Bytes that the connections of one address may send beside calls at once; a sixteenth of it each
   * second in the long run. Handshakes and keep-alives are what is meant to be in it.
   */
  spareBytes: number;
}

/** What a server takes from callers that nobody knows yet. */
export interface ServerLimits extends ConnectionLimits {
  /** Bytes of one message. Cannot change while the server runs. */
  messageBytes: number;
  /** Bytes of one call's metadata. */
  metadataBytes: number;
  /** Calls at once on one connection. Cannot change while the server runs. */
  streams: number;
}

/** What nobody needs more of. A uid of 1 MB still reaches its check, and is told what is wrong with it. */
export const SERVER_LIMITS: Readonly<ServerLimits> = {
  connections: 1000,
  sockets: 2000,
  connectionsPerAddress: 250,
  firstCallMs: 20_000,
  spareBytes: 8 << 20,
  messageBytes: 4 << 20,
  metadataBytes: 32 << 10,
  streams: 256,
};
