/**
 * Logging in and out, as a user sees it.
 * @module
 */
import { Authorization } from "../auth/login.ts";
import { listenForBrowser } from "../auth/loopback.ts";
import { GLOBUS_NATIVE_CLIENT, Provider, scopeOf } from "../auth/provider.ts";
import type { Login } from "../auth/token_store.ts";
import { findLogins, isSame, revoke } from "../auth/tokens.ts";
import { openBrowser } from "../cli/browser.ts";
import type { Io } from "../cli/command.ts";
import { UsageError } from "../cli/flags.ts";
import { jsonLine } from "../cli/json.ts";
import type { Server, Servers } from "../cli/servers.ts";
import { openTokens } from "../cli/tokens.ts";
import { messageOf } from "../protocol/errors.ts";
import { readProvider } from "../cli/auth_flags.ts";
import { isoTime } from "./status.ts";

/** How to log in. */
export interface LoginOptions {
  /** Scopes of control servers; those of all servers in the configuration file if empty. */
  scope: readonly string[];
  issuer?: string;
  issuerCa?: string;
  globusUrl: string;
  clientId?: string;
  resource?: string;
  redirectUri?: string;
  browser: boolean;
  /** Print JSON. */
  json: boolean;
}

/** Scopes that one trip to a provider is for. */
interface Trip extends Omit<Server, "scope" | "serverCert"> {
  scopes: string[];
}

/** Logs in for every scope that is asked for, and keeps the tokens. */
export async function logIn(options: LoginOptions, servers: Servers, io: Io): Promise<void> {
  const store = await openTokens(io);
  // Whoever cannot be helped is told before and not after the trip to the browser.
  await store.read();
  for (const trip of trips(options, servers)) {
    const logins = await travel(trip, options, io);
    await store.change((all) =>
      Promise.resolve([
        ...all.filter((each) => !logins.some((login) => isSame(login, each))),
        ...logins,
      ])
    );
    for (const { scope, issuer, name, expiresMs } of logins) {
      io.out(
        options.json
          ? jsonLine("login", { scope, issuer, identity: name, expires: isoTime(expiresMs) })
          : `logged in${name && ` as ${name}`} for ${scope}`,
      );
    }
  }
}

/**
 * Globus answers a token for each scope in one trip. Other providers answer one token for all, which
 * each control server could use at the others: so there it is a trip for each.
 */
function trips(options: LoginOptions, servers: Servers): Trip[] {
  const { issuer, issuerCa, clientId, resource } = options;
  const known = [...servers.values()];
  const wanted: Server[] = options.scope.length === 0
    ? known.filter(({ scope }) => scope !== undefined)
    : options.scope.map((scope) => {
      const server = issuer === undefined ? known.find((each) => each.scope === scope) : undefined;
      return server ?? { scope, issuer, issuerCa, clientId, resource };
    });
  if (wanted.length === 0) {
    throw new UsageError(
      "nothing to log in for: give --scope, the client id of a control server, or name servers and their scopes under [servers] in s2uc.toml",
    );
  }
  const result: Trip[] = [];
  for (const server of wanted) {
    const scope = scopeOf(server.issuer === undefined, server.scope ?? "");
    const trip: Trip = {
      scopes: [scope],
      issuer: server.issuer,
      issuerCa: server.issuerCa ?? issuerCa,
      clientId: server.clientId ?? clientId,
      resource: server.resource,
    };
    const same = result.find((each) =>
      each.issuer === trip.issuer && each.clientId === trip.clientId &&
      (trip.issuer === undefined || (each.scopes[0] === scope && each.resource === trip.resource))
    );
    if (!same) result.push(trip);
    else if (!same.scopes.includes(scope)) same.scopes.push(scope);
  }
  return result;
}

async function travel(trip: Trip, options: LoginOptions, io: Io): Promise<Login[]> {
  const { issuer, issuerCa, scopes, resource } = trip;
  const clientId = trip.clientId ?? (issuer === undefined ? GLOBUS_NATIVE_CLIENT : undefined);
  if (clientId === undefined) {
    throw new UsageError(
      `--client-id is missing: which client are SciStream's users at ${issuer}?`,
    );
  }
  const { globusUrl, browser, json } = options;
  const settings = await readProvider({ issuer, issuerCa, globusUrl });
  using provider = new Provider(settings);
  const begin = (redirectUri: string) =>
    Authorization.begin({ provider, ca: settings.ca, clientId, scopes, resource, redirectUri });
  if (browser) {
    const uri = options.redirectUri ?? "http://127.0.0.1/callback";
    await using loopback = listenForBrowser(uri, io.interrupted);
    const authorization = await begin(loopback.redirectUri);
    const opened = openBrowser(authorization.url, io.env);
    if (opened && !json) io.out("Your browser should open now. If not,");
    show(provider, authorization, options, io);
    const answer = await loopback.answer((parameters) => authorization.isAnswer(parameters));
    return await authorization.redirected(answer);
  }
  const page = provider.globus
    ? `${provider.issuer}/v2/web/auth-code`
    : "http://127.0.0.1/callback";
  const authorization = await begin(options.redirectUri ?? page);
  show(provider, authorization, options, io);
  const say = json ? io.err : io.out;
  if (!provider.globus && options.redirectUri === undefined) {
    say("The browser then fails to show a page of 127.0.0.1: copy that page's whole address.");
  }
  say("Enter the resulting Authorization Code here:");
  const pasted = await io.readLine();
  if (!pasted) throw new UsageError("no authorization code was entered");
  return await authorization.pasted(pasted);
}

function show(
  provider: Provider,
  { url }: Authorization,
  { json }: LoginOptions,
  io: Io,
): void {
  if (json) return io.out(jsonLine("login-url", { url }));
  const line = "-".repeat(36);
  const who = provider.globus ? "Globus" : provider.name;
  for (const text of [`Please authenticate with ${who} here:`, line, url, line, ""]) io.out(text);
}

/**
 * Gives tokens back to their provider and forgets them, those of all scopes if none is named.
 * Answers whether the provider has taken all of them.
 */
export async function logOut(
  { scope: scopes, json }: { scope: readonly string[]; json: boolean },
  io: Io,
): Promise<boolean> {
  const store = await openTokens(io);
  let revoked = true;
  await store.change(async (all) => {
    const leaving = scopes.length === 0 ? all : scopes.flatMap((scope) => {
      const logins = findLogins(all, { scope });
      if (logins.length === 0) throw new UsageError(`you are not logged in for ${scope}`);
      return logins;
    });
    await Promise.all(leaving.map(async (login) => {
      const { scope } = login;
      const told = (revoked: boolean) => json && io.out(jsonLine("logout", { scope, revoked }));
      try {
        const ended = await revoke(login);
        if (!json) io.out(`logged out of ${scope}`);
        told(ended);
        if (!ended) {
          io.err(
            `the access token for ${login.scope} is of a kind that its provider cannot revoke; it is removed here, and ends by itself at ${
              new Date(login.expiresMs).toISOString()
            }`,
          );
        }
      } catch (error) {
        revoked = false;
        told(false);
        io.err(`WARNING: ${messageOf(error)}`);
        io.err(
          `WARNING: the tokens for ${login.scope} are removed here, but go on for whoever has them until they expire`,
        );
      }
    }));
    if (leaving.length === 0 && !json) io.out("you were not logged in");
    return all.filter((each) => !leaving.includes(each));
  });
  return revoked;
}
