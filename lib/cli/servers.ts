/**
 * What a configuration file says of single control servers: `[servers."HOST:PORT"]`.
 * @module
 */
import { Endpoint } from "../protocol/endpoint.ts";
import { messageOf, quote } from "../protocol/errors.ts";

/** One control server; {@linkcode SERVER_KEYS} says what each is. */
export interface Server {
  scope?: string;
  serverCert?: string;
  issuer?: string;
  issuerCa?: string;
  clientId?: string;
  resource?: string;
}

/** Control servers by `HOST:PORT`. */
export type Servers = ReadonlyMap<string, Server>;

/** The keys of a table, and what they mean. */
export const SERVER_KEYS: Record<string, { field: keyof Server; help: string }> = {
  "scope": { field: "scope", help: "the scope of its tokens, or for Globus its client id" },
  "server-cert": { field: "serverCert", help: "file with its certificate" },
  "issuer": { field: "issuer", help: "its identity provider; Globus Auth if not given" },
  "issuer-ca": {
    field: "issuerCa",
    help: "file with certificates of the authority that the provider's ends at",
  },
  "client-id": { field: "clientId", help: "the user client's own client at the provider" },
  "resource": { field: "resource", help: "what its tokens are asked for (RFC 8707)" },
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
      const field = Object.hasOwn(SERVER_KEYS, dashed) ? SERVER_KEYS[dashed]?.field : undefined;
      if (field === undefined) {
        throw wrong(
          written,
          name,
          `unknown key ${quote(written)}; there are ${Object.keys(SERVER_KEYS).join(", ")}`,
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
