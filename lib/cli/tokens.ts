/**
 * Which token a command's calls carry.
 * @module
 */
import type { Endpoint } from "../protocol/endpoint.ts";
import { Secret } from "../protocol/secret.ts";
import { INVALID_TOKEN } from "../protocol/token.ts";
import { defaultStateDir } from "../state_dir.ts";
import type { Io } from "./command.ts";
import type { Reach } from "./connection.ts";
import { UsageError } from "./flags.ts";

/** Holds an access token for one command, for scripts and services that have their own. */
const VARIABLE = "SCISTREAM_TOKEN";

/** The user's tokens. */
export async function openTokens(io: Io) {
  const { TokenStore } = await import("../auth/token_store.ts");
  return new TokenStore(defaultStateDir(io.env));
}

/**
 * The token for a control server: that of the environment, or the saved one for the server's scope,
 * fresh for every call. Undefined if there is none; it is then up to the server. A token never goes
 * out unencrypted, and never to a server that the user has not named its scope for.
 */
export async function savedToken(
  address: Endpoint,
  { options, said, servers }: Reach,
  io: Io,
): Promise<(() => Promise<string>) | undefined> {
  const own = io.env(VARIABLE);
  const server = servers.get(String(address));
  const asked = said.has("scope") || !server?.scope ? { scope: options.scope } : server;
  const { scope } = asked;
  if (!own && !scope) return undefined;
  if (!options.ssl) {
    io.err(`WARNING: no token is sent to ${address}: --ssl=False would show it to everyone`);
    return undefined;
  }
  if (own) return () => Promise.resolve(own);
  if (!scope) return undefined;
  const { findLogin, freshToken } = await import("../auth/tokens.ts");
  const store = await openTokens(io);
  const login = findLogin(await store.read(), { ...asked, scope });
  if (!login) {
    io.err(`not logged in for ${scope}, so no token is sent; log in: s2uc login --scope ${scope}`);
    return undefined;
  }
  return async () => (await freshToken(store, login)).reveal();
}

/**
 * The token that an application controller is given: as an argument, `-` for stdin, or, where the
 * argument is INVALID_TOKEN, in the environment. Arguments can be seen by every user of a machine.
 * @throws {UsageError} when stdin holds none
 */
export async function givenToken(argument: string, io: Io): Promise<Secret> {
  if (argument === INVALID_TOKEN) return new Secret(io.env(VARIABLE) || INVALID_TOKEN);
  if (argument !== "-") return new Secret(argument);
  const line = await io.readLine();
  if (!line) throw new UsageError("ACCESS_TOKEN is -, and stdin holds no token");
  return new Secret(line);
}
