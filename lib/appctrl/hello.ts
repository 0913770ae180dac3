/**
 * An application's hello, from the command line to the answer.
 * @module
 */
import type { Io } from "../cli/command.ts";
import { type Reach, withClient } from "../cli/connection.ts";
import type { Argument } from "../cli/flags.ts";
import { Endpoint, parseHost, parsePort } from "../protocol/endpoint.ts";
import { messageOf, ScistreamError } from "../protocol/errors.ts";
import type { Secret } from "../protocol/secret.ts";
import { Uid } from "../protocol/uid.ts";
import { parseRole, type Role } from "../protocol/values.ts";
import { waiting } from "../cli/progress.ts";
import { givenToken } from "../cli/tokens.ts";

/** `UID S2CS ACCESS_TOKEN ROLE`, the arguments of every appctrl command that says hello. */
export const helloArguments: readonly Argument[] = [
  { name: "UID", help: "the session's uid, as s2uc printed it" },
  { name: "S2CS", help: "the control server, HOST:PORT" },
  {
    name: "ACCESS_TOKEN",
    help:
      "as s2uc printed it, or - to read it from stdin; INVALID_TOKEN takes SCISTREAM_TOKEN, or none",
  },
  { name: "ROLE", help: "PROD or CONS", choices: ["PROD", "CONS"] },
];

/** The five ports of the reference's mock application. */
export const MOCK_PORTS = "5074,5075,5076,37000,47000";

/** Whom to greet, validated. */
export interface HelloTarget {
  uid: Uid;
  s2cs: Endpoint;
  token: Secret;
  role: Role;
}

/** @throws {ScistreamError} INVALID_UID, BAD_FORMAT */
export async function parseHelloArguments(
  args: Record<string, string>,
  io: Io,
): Promise<HelloTarget> {
  const uid = Uid.parse(args.UID ?? "");
  const s2cs = Endpoint.parse(args.S2CS ?? "", "control server");
  const role = parseRole(args.ROLE ?? "");
  return { uid, s2cs, role, token: await givenToken(args.ACCESS_TOKEN ?? "", io) };
}

/** `PORT` of this application's host, or `HOST:PORT`. */
export function parseAppListener(text: string): { host?: string; port: number } {
  if (!text.includes(":")) return { port: parsePort(text) };
  const { host, port } = Endpoint.parse(text, "application's address");
  return { host, port };
}

/**
 * Says hello and answers the session's listeners (of a consumer's session), as this host reaches
 * them: an unspecified address stands for the control server's own.
 */
export async function greet(
  target: HelloTarget,
  appListeners: readonly Endpoint[],
  line: Reach,
  io: Io,
): Promise<{ message: string; listeners: Endpoint[] }> {
  const { sayHello } = await import("../s2uc/requests.ts");
  const { uid, s2cs, token, role } = target;
  const progress = waiting("waiting for the session's request…", io.watched ? io.draw : undefined);
  try {
    const response = await withClient(
      String(s2cs),
      line,
      io,
      (client) =>
        sayHello(client, uid, role, appListeners, {
          signal: io.interrupted,
          onRetry: (error) => io.err(`${error.details}; trying again`),
        }),
      token,
    );
    const listeners = response.listeners.map((text) => {
      const listener = Endpoint.parse(text, "listener");
      return listener.isWildcard ? new Endpoint(s2cs.host, listener.port) : listener;
    });
    return { message: response.message, listeners };
  } finally {
    progress.stop();
  }
}

/**
 * The address from which this host reaches the control server: the application's address, unless
 * it says otherwise.
 */
export async function localAddress(s2cs: Endpoint): Promise<string> {
  let conn: Deno.TcpConn;
  try {
    conn = await Deno.connect({ hostname: s2cs.host, port: s2cs.port });
  } catch (error) {
    throw new ScistreamError(
      "CONN_ERROR",
      `could not reach the control server at ${s2cs}: ${messageOf(error)}`,
      { cause: error },
    );
  }
  try {
    return parseHost((conn.localAddr as Deno.NetAddr).hostname);
  } finally {
    conn.close();
  }
}
