/**
 * What a user is logged in for, and what control servers say to it.
 * @module
 */
import { findLogins, freshToken, isSame } from "../auth/tokens.ts";
import type { Login } from "../auth/token_store.ts";
import type { Io } from "../cli/command.ts";
import { parseAddress, type Reach, withClient } from "../cli/connection.ts";
import { UsageError } from "../cli/flags.ts";
import { openTokens } from "../cli/tokens.ts";
import { ScistreamError } from "../protocol/errors.ts";
import { humanTime, isoTime } from "./status.ts";

/** What to look at. */
export interface CheckOptions {
  /** A control server's host, or HOST:PORT. */
  ip?: string;
  scope?: string;
  showToken: boolean;
}

/** One login, and what each of its control servers says. */
export interface AuthReport {
  scope: string;
  issuer: string;
  identity: string;
  /** ISO 8601; empty if the provider does not say. */
  expires: string;
  /** Whether it is replaced before that without asking. */
  refreshed: boolean;
  servers: { s2cs: string; accepted: boolean | null; says: string }[];
  token?: string;
}

/**
 * Looks at the logins that are meant, all if none is named.
 * @throws {UsageError} where there is none
 */
export async function checkAuth(options: CheckOptions, line: Reach, io: Io): Promise<AuthReport[]> {
  const store = await openTokens(io);
  const logins = await store.read();
  const servers = [...line.servers].filter(([address]) => isAt(address, options.ip));
  if (options.ip !== undefined && servers.length === 0) {
    throw new UsageError(
      `no control server at ${options.ip} is under [servers] of the configuration file, which names its scope`,
    );
  }
  const scopes = options.scope
    ? [options.scope]
    : options.ip === undefined
    ? undefined
    : servers.map(([, { scope }]) => scope).filter((scope) => scope !== undefined);
  const meant = scopes
    ? scopes.flatMap((scope) => {
      const found = findLogins(logins, { scope });
      return found.length > 0 ? found : notLoggedIn(scope);
    })
    : logins;
  if (meant.length === 0) notLoggedIn("anything");
  return await Promise.all([...new Set(meant)].map(async (login) => {
    const theirs = servers.filter(([, { scope, issuer, resource }]) =>
      scope !== undefined && findLogins([login], { scope, issuer, resource }).length > 0
    );
    const token = await freshToken(store, login);
    const says = theirs.map(([address]) => ask(address, line, io, token));
    const current = (await store.read()).find((each) => isSame(each, login)) ?? login;
    return {
      scope: login.scope,
      issuer: login.issuer,
      identity: login.name,
      expires: isoTime(current.expiresMs),
      refreshed: login.refreshToken !== undefined,
      servers: await Promise.all(says),
      ...options.showToken ? { token: token.reveal() } : {},
    };
  }));
}

function isAt(address: string, ip: string | undefined): boolean {
  return ip === undefined || address === ip || parseAddress(address).host === ip;
}

function notLoggedIn(what: string): never {
  throw new ScistreamError(
    "AUTH_ERROR",
    `you are not logged in for ${what}; log in with: s2uc login --scope SCOPE`,
  );
}

async function ask(address: string, line: Reach, io: Io, token: Login["accessToken"]) {
  try {
    const answer = await withClient(
      address,
      line,
      io,
      (client) => client.call("whoami", {}, { signal: io.interrupted, deadlineMs: 10_000 }),
      token,
    );
    if (!answer.authenticated) {
      return { s2cs: address, accepted: null, says: "does not authenticate its callers" };
    }
    const admin = answer.admin ? ", an administrator" : "";
    return { s2cs: address, accepted: true, says: `accepts it, as ${answer.name}${admin}` };
  } catch (error) {
    if (!(error instanceof ScistreamError)) throw error;
    const accepted = error.code === "AUTH_ERROR" ? false : null;
    return { s2cs: address, accepted, says: error.details };
  }
}

/** The report for people. */
export function authLines(report: AuthReport, nowMs: number): string[] {
  const left = (Date.parse(report.expires) - nowMs) / 1000;
  const expires = report.expires === ""
    ? "not told"
    : `${report.expires} (in ${humanTime(Math.max(0, left))})`;
  return [
    `scope: ${report.scope}`,
    `provider: ${report.issuer}`,
    `identity: ${report.identity || "not told"}`,
    `expires: ${expires}${report.refreshed ? "; refreshed by itself" : ""}`,
    ...report.token === undefined ? [] : [`token: ${report.token}`],
    ...report.servers.map(({ s2cs, says }) => `${s2cs}: ${says}`),
  ];
}
