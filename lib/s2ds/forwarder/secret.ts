/**
 * What comes of a session's uid on the data channel, and what its certificates are made with.
 * docs/data-channel.md has the design.
 * @module
 */
import { Buffer } from "node:buffer";
import { hkdfSync } from "node:crypto";

/** Length of a data channel's secret, in bytes. */
export const SECRET_LENGTH = 32;
/** The one name in a server's certificate. No public authority certifies names in .invalid (RFC 2606). */
export const SERVER_NAME = "producer.scistream.invalid";
/** A leaf is good for so long; the gateway makes another when half of it is over. */
export const LEAF_MS = 24 * 3600_000;

/** What a gateway proves itself with and what it trusts; PEM, for node:tls. */
export interface Credentials {
  /** The session's certificate authority, the only one that is trusted. */
  ca: string;
  /** This gateway's certificate, and its key. */
  cert?: string;
  key?: string;
}

/** Producers' gateways are servers, consumers' clients: neither's certificate serves as the other's. */
export type Side = "server" | "client";

/**
 * The data channel's secret of a uid: HKDF-SHA-256 (RFC 5869), so that the uid itself stays with the
 * control server.
 */
export function channelSecret(uid: string): Uint8Array {
  return derive(new TextEncoder().encode(uid), "scistream data channel 1");
}

/** HKDF-SHA-256 (RFC 5869) without salt; `info` keeps what is derived for one use from another. */
export function derive(from: Uint8Array, info: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", from, Buffer.alloc(0), info, SECRET_LENGTH));
}
