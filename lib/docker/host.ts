/**
 * Where a Docker Engine is: at a Unix socket of this host, or at a TCP port.
 * @module
 */
import type { Secret } from "../protocol/secret.ts";

/** Where an engine is. Over TCP nothing of this host's files is taken to be there. */
export type DockerHost = UnixHost | TcpHost;

/** An engine of this host. */
export interface UnixHost {
  /** Tells the two apart. */
  kind: "unix";
  /** Of its socket. */
  path: string;
}

/** An engine at a TCP port. */
export interface TcpHost {
  /** Tells the two apart. */
  kind: "tcp";
  /** An address without brackets, or a name. */
  host: string;
  /** Its port. */
  port: number;
  /** Always there but for loopback addresses. */
  tls?: DockerTls;
}

/** Whom we trust, and who we are: texts of PEM. */
export interface DockerTls {
  /** Where the three files are. */
  folder: string;
  /** Of ca.pem: nobody else's certificates are taken. */
  ca: string;
  /** Of cert.pem. */
  cert: string;
  /** Of key.pem: whoever has it is root on the engine's host. */
  key: Secret;
}

/** A host as messages name it. */
export function nameOf(host: DockerHost): string {
  if (host.kind === "unix") return host.path;
  return `tcp://${host.host.includes(":") ? `[${host.host}]` : host.host}:${host.port}`;
}
