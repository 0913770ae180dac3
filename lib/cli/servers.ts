/**
 * What a configuration file says of single control servers: `[servers."HOST:PORT"]`.
 * @module
 */
import { Endpoint } from "../protocol/endpoint.ts";
import { messageOf, quote } from "../protocol/errors.ts";

/** One control server. */
export interface Server {
  /** The scope of its tokens, or for Globus its client id. */
  scope?: string;
  /** Its certificate. */
  serverCert?: string;
  /** Its identity provider; Globus Auth if not given. */
  issuer?: string;
  /** Certificates of the authority that the provider's ends at. */
  issuerCa?: string;
  /** The user client's own client at the provider. */
  clientId?: string;
  /** What its tokens are asked for (RFC 8707). */
  resource?: string;
}

/** Control servers by `HOST:PORT`. */
export type Servers = ReadonlyMap<string, Server>;

const KEYS: Record<string, keyof Server> = {
  "scope": "scope",
  "server-cert": "serverCert",
  "issuer": "issuer",
  "issuer-ca": "issuerCa",
  "client-id": "clientId",
  "resource": "resource",
};

const PATHS: readonly (keyof Server)[] = ["serverCert", "issuerCa"];

/**
 * Reads the table `[servers]`. Files in it are looked for beside the configuration file.
 * @param file the configuration file's path
 * @param wrong makes the error for a key of a table, with its line
 */
export function readServers(
  table: Record<string, unknown>,
  file: string,
  wrong: (key: string, table: string, why: string) => Error,
): Servers {
  const servers = new Map<string, Server>();
  const folder = file.slice(0, file.lastIndexOf("/") + 1);
  for (const [address, entries] of Object.entries(table)) {
    const name = `servers."${address}"`;
    let key: string;
    try {
      key = String(Endpoint.parse(address, "control server"));
    } catch (error) {
      throw wrong(address, "servers", messageOf(error));
    }
    if (typeof entries !== "object" || entries === null || Array.isArray(entries)) {
      throw wrong(address, "servers", `write it as a table: [${name}]`);
    }
    const server: Server = {};
    for (const [written, value] of Object.entries(entries)) {
      const dashed = written.replaceAll("_", "-");
      const field = Object.hasOwn(KEYS, dashed) ? KEYS[dashed] : undefined;
      if (field === undefined) {
        throw wrong(
          written,
          name,
          `unknown key ${quote(written)}; there are ${Object.keys(KEYS).join(", ")}`,
        );
      }
      if (typeof value !== "string" || value === "") {
        throw wrong(written, name, `${written} is not a text`);
      }
      const beside = PATHS.includes(field) && !value.startsWith("/");
      server[field] = beside ? `${folder}${value}` : value;
    }
    servers.set(key, server);
  }
  return servers;
}
