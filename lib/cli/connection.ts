/**
 * The flags with which every client command names its control server, and what they lead to.
 * @module
 */
import type { ControlClient } from "../protocol/client.ts";
import { Endpoint } from "../protocol/endpoint.ts";
import { messageOf, ScistreamError, Status } from "../protocol/errors.ts";
import type { Secret } from "../protocol/secret.ts";
import type { Io } from "./command.ts";
import { bool, text, UsageError } from "./flags.ts";
import type { Servers } from "./servers.ts";
import { savedToken } from "./tokens.ts";

/** How a client reaches a control server. */
export const connectionFlags = {
  serverCert: text("PEM certificate of the control server; several may stand in one file", {
    value: "FILE",
    default: "server.crt",
  }),
  ssl: bool("speak TLS; False for a control server that runs with --ssl=False", {
    default: "True",
  }),
  config: text("TOML file with any of these options as keys, and [servers]", { value: "FILE" }),
};

/** How a user reaches a control server. */
export const clientFlags = {
  ...connectionFlags,
  scope: text(
    "scope of the control server's tokens, or its client id; [servers] of the configuration file names it for good",
    { value: "SCOPE", default: "" },
  ),
};

/** `--s2cs` of a command that talks to one. */
export const parseAddress = (text: string) => Endpoint.parse(text, "control server");

/** What of a command line says how control servers are reached. */
export interface Reach {
  options: { serverCert: string; ssl: boolean; scope?: string };
  said: ReadonlySet<string>;
  servers: Servers;
}

/**
 * Connects to a control server; the first call finds out whether it is there.
 * @param token what calls carry; the user's saved one for this server if not given
 * @throws {UsageError} when the certificate cannot be read
 */
export async function openClient(
  address: Endpoint,
  line: Reach,
  io: Io,
  token?: Secret,
): Promise<ControlClient> {
  const { options, said, servers } = line;
  const server = servers.get(String(address));
  const path = said.has("serverCert")
    ? options.serverCert
    : server?.serverCert ?? options.serverCert;
  const roots = options.ssl ? await readCertificate(path) : undefined;
  const { ControlClient } = await import("../protocol/client.ts");
  return new ControlClient({
    address,
    roots,
    token: token ? () => Promise.resolve(token.reveal()) : await savedToken(address, line, io),
  });
}

async function readCertificate(path: string): Promise<Uint8Array> {
  let pem: Uint8Array;
  try {
    pem = await Deno.readFile(path);
  } catch (error) {
    throw new UsageError(
      `cannot read the control server's certificate ${path}: ${messageOf(error)}; ` +
        "copy server.crt from its gateway, or name it with --server-cert",
    );
  }
  const { checkCertificate } = await import("../protocol/pem.ts");
  checkCertificate(pem, path);
  return pem;
}

/** Does something with a client and closes it, whatever happens. */
export async function withClient<T>(
  address: string,
  line: Reach,
  io: Io,
  work: (client: ControlClient) => Promise<T>,
  token?: Secret,
): Promise<T> {
  const client = await openClient(parseAddress(address), line, io, token);
  try {
    return await work(client);
  } catch (error) {
    throw advised(error);
  } finally {
    client.close();
  }
}

/** A refused token's error, with what to do about it. */
export function advised(error: unknown): unknown {
  if (!(error instanceof ScistreamError) || error.status !== Status.UNAUTHENTICATED) return error;
  const scope = /for scope (\S+)$/.exec(error.message)?.[1];
  if (error.code !== "AUTH_ERROR" || scope === undefined) return error;
  return new ScistreamError(
    "AUTH_ERROR",
    `${error.message}; log in with \`s2uc login --scope ${scope}\`, and name the scope with ` +
      "--scope or for good under [servers] in s2uc.toml",
    { status: error.status, cause: error },
  );
}
