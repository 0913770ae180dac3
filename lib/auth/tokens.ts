/**
 * Tokens that have been had: kept fresh, and given back.
 * @module
 */
import * as oauth from "oauth4webapi";
import { ScistreamError } from "../protocol/errors.ts";
import type { Secret } from "../protocol/secret.ts";
import { granted } from "./login.ts";
import { Provider, scopeOf } from "./provider.ts";
import type { Login, TokenStore } from "./token_store.ts";

/** Before its end a token is replaced: by so much of its life, and by no more than this. */
const EARLY_PART = 0.2;
const EARLY_MS = 60_000;

/** Which login is meant. */
export interface Wanted {
  /** The scope, or for Globus the control server's client id. */
  scope: string;
  /** Of this issuer; any will do if there is only one with the scope. */
  issuer?: string;
  /** For this resource. */
  resource?: string;
}

/** The logins that are meant. */
export function findLogins(logins: readonly Login[], wanted: Wanted): Login[] {
  return logins.filter((login) =>
    login.scope === scopeOf(login.globus, wanted.scope) &&
    (wanted.issuer === undefined || (!login.globus && login.issuer === wanted.issuer)) &&
    (wanted.resource === undefined || login.resource === wanted.resource)
  );
}

/**
 * The one login that is meant.
 * @throws {ScistreamError} BAD_FORMAT when several fit
 */
export function findLogin(logins: readonly Login[], wanted: Wanted): Login | undefined {
  const [login, second] = findLogins(logins, wanted);
  if (!second) return login;
  throw new ScistreamError(
    "BAD_FORMAT",
    `you are logged in for ${wanted.scope} in several ways; name the control server's issuer and resource under [servers] in s2uc.toml`,
  );
}

/** Whether two logins are for the same thing, so that one takes the other's place. */
export function isSame(a: Login, b: Login): boolean {
  return a.issuer === b.issuer && a.globus === b.globus && a.scope === b.scope &&
    a.resource === b.resource;
}

/** Whether the access token is at its end, or close to it. */
export function isStale({ issuedMs, expiresMs }: Login, nowMs = Date.now()): boolean {
  if (expiresMs === 0) return false;
  return nowMs >= expiresMs - Math.min(EARLY_MS, (expiresMs - issuedMs) * EARLY_PART);
}

/**
 * An access token that is good for a while: refreshed where that is needed, by one process for all.
 * @throws {ScistreamError} AUTH_ERROR when the user has to log in again, CONN_ERROR
 */
export async function freshToken(store: TokenStore, login: Login): Promise<Secret> {
  let current = login;
  if (!isStale(current)) return current.accessToken;
  await store.change(async (logins) => {
    // Somebody else may have been here while we stood in line.
    const found = logins.find((each) => isSame(each, login));
    if (!found) throw gone(login);
    current = found;
    if (!isStale(found)) return undefined;
    const renewed = await refresh(found);
    if (!renewed) return undefined;
    current = renewed;
    return logins.map((each) => each === found ? current : each);
  });
  return current.accessToken;
}

/** Undefined if the provider could not be asked and the token is still good: then it goes on. */
async function refresh(login: Login): Promise<Login | undefined> {
  const { refreshToken, resource, expiresMs } = login;
  const isGood = () => Date.now() < expiresMs;
  if (!refreshToken) {
    if (isGood()) return undefined;
    throw gone(login);
  }
  using provider = providerOf(login);
  const client: oauth.Client = { client_id: login.clientId };
  try {
    const metadata = await provider.metadata();
    const response = await oauth.refreshTokenGrantRequest(
      metadata,
      client,
      oauth.None(),
      refreshToken.reveal(),
      {
        ...provider.http.options,
        additionalParameters: resource === undefined ? {} : { resource },
      },
    );
    const tokens = await oauth.processRefreshTokenResponse(metadata, client, response);
    // A provider that does not rotate answers no refresh token: the old one goes on.
    return { ...login, ...granted(tokens) };
  } catch (error) {
    if (error instanceof oauth.ResponseBodyError) throw gone(login);
    if (isGood()) return undefined;
    throw provider.failed("refreshing your token", error);
  }
}

function gone({ scope }: Login): ScistreamError {
  return new ScistreamError(
    "AUTH_ERROR",
    `your login for ${scope} has ended; log in again with: s2uc login --scope ${scope}`,
  );
}

/**
 * Gives a login's tokens back to their provider (RFC 7009). Answers whether that ended all of them: an
 * access token that proves itself may be of a kind that nobody can revoke (section 2.2.1).
 * @throws {ScistreamError} when the provider did not take them; they go on until they expire
 */
export async function revoke(login: Login): Promise<boolean> {
  using provider = providerOf(login);
  const client: oauth.Client = { client_id: login.clientId };
  try {
    const metadata = await provider.metadata();
    if (metadata.revocation_endpoint === undefined) {
      throw new ScistreamError("AUTH_ERROR", `${provider.name} revokes no tokens`);
    }
    const end = async (token: Secret) => {
      const options = provider.http.options;
      const text = token.reveal();
      await oauth.processRevocationResponse(
        await oauth.revocationRequest(metadata, client, oauth.None(), text, options),
      );
    };
    if (login.refreshToken) await end(login.refreshToken);
    return await end(login.accessToken).then(() => true, (error) => {
      if (error?.error === "unsupported_token_type") return false;
      throw error;
    });
  } catch (error) {
    throw provider.failed("revoking your tokens", error);
  }
}

function providerOf({ issuer, globus, ca }: Login): Provider {
  return new Provider(globus ? { globusUrl: issuer, ca } : { issuer, ca });
}
