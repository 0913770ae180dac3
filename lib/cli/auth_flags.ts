/**
 * Flags that name an identity provider, and secrets that are read from files.
 * @module
 */
import { Rules } from "../auth/identity.ts";
import type { Log } from "../log.ts";
import { Networks } from "../protocol/cidr.ts";
import { messageOf } from "../protocol/errors.ts";
import { Secret } from "../protocol/secret.ts";
import type { RatePolicy } from "../protocol/values.ts";
import type { Io } from "./command.ts";
import {
  bool,
  type Flag,
  integer,
  type Options,
  parsed,
  seconds,
  text,
  UsageError,
} from "./flags.ts";

/** Which identity provider, for whoever logs in and for whoever checks. */
export const providerFlags = {
  issuer: text("OAuth 2.0 or OpenID provider by its issuer; Globus Auth if not given", {
    value: "URL",
  }),
  issuerCa: text("PEM certificates of the authority that the provider's certificate ends at", {
    value: "FILE",
  }),
  globusUrl: text("where Globus Auth is", {
    value: "URL",
    default: "https://auth.globus.org",
    env: "GLOBUS_SDK_SERVICE_URL_AUTH",
  }),
};

/** A confidential client's secret. */
export const secretFlags = {
  clientSecret: parsed(
    "the client's secret; better in SCISTREAM_CLIENT_SECRET or a file, because every user of this machine can see a command line",
    (secret) => new Secret(secret),
    { value: "SECRET" },
  ),
  clientSecretFile: text("file with the client's secret", { value: "FILE" }),
};

/** A provider's settings, its authority read. */
export async function readProvider(
  options: { issuer?: string; issuerCa?: string; globusUrl: string },
): Promise<{ issuer?: string; globusUrl: string; ca?: string }> {
  const { issuer, issuerCa, globusUrl } = options;
  const ca = issuerCa === undefined ? undefined : await readFile(issuerCa, "provider's authority");
  return { issuer, globusUrl, ca };
}

/** Warns of a secret that every user of this machine can see. */
export function warnOfShownSecret(
  { options, said }: { options: { clientSecret?: Secret }; said: ReadonlySet<string> },
  io: Io,
): void {
  if (!said.has("clientSecret") || io.env("SCISTREAM_CLIENT_SECRET") !== undefined) return;
  if (options.clientSecret === undefined) return;
  io.err(
    "WARNING: the client secret can be seen in the list of processes; use --client-secret-file or SCISTREAM_CLIENT_SECRET",
  );
}

/** The secret, wherever it was given. Warns of a file that others can read. */
export async function readSecret(
  options: { clientSecret?: Secret; clientSecretFile?: string },
  warn: (sentence: string) => void,
): Promise<Secret | undefined> {
  const { clientSecret, clientSecretFile } = options;
  if (clientSecretFile === undefined) return clientSecret;
  if (clientSecret !== undefined) {
    throw new UsageError(
      "both a client secret and --client-secret-file are given; leave one of them away",
    );
  }
  const secret = (await readFile(clientSecretFile, "client secret")).trim();
  if (secret === "") throw new UsageError(`the client secret ${clientSecretFile} is empty`);
  await warnIfShared(clientSecretFile, warn);
  return new Secret(secret);
}

/**
 * Warns of a file with a secret that others can read, or write to. A group may read it: that is how
 * Debian keeps keys, and how a file looks that systemd gives to a service.
 */
export async function warnIfShared(path: string, warn: (sentence: string) => void): Promise<void> {
  const mode = (await Deno.stat(path)).mode ?? 0;
  if ((mode & 0o007) !== 0) {
    warn(`${path} can be read by other users of this machine; chmod 600 it, and make a new one`);
  } else if ((mode & 0o020) !== 0) {
    warn(`${path} can be written to by a group of this machine; chmod g-w it`);
  }
}

async function readFile(path: string, what: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    throw new UsageError(`cannot read the ${what} ${path}: ${messageOf(error)}`);
  }
}

/** `--quota-…`. */
function quota(what: string): Flag<number> {
  return integer(`${what} at once of one authenticated caller; 0 is no bound`, {
    default: "0",
    least: 0,
    most: Number.MAX_SAFE_INTEGER,
  });
}

/** Who may use a control server. */
export const serverAuthFlags = {
  ...providerFlags,
  clientId: text("this control server's client at the provider", { value: "ID" }),
  ...secretFlags,
  jwt: bool("verify JWT access tokens against the issuer's keys, without asking it"),
  scope: text(
    "scope that tokens must carry; at Globus the one of --client-id if not given, elsewhere scistream",
    { value: "SCOPE" },
  ),
  audience: text("whom tokens must be meant for; with --issuer the client id if not given", {
    value: "NAME",
  }),
  groupsClaim: text("claim of a token in which the issuer tells the user's groups", {
    value: "NAME",
    default: "groups",
  }),
  globusGroupsUrl: text("where Globus Groups is, for group rules", {
    value: "URL",
    default: "https://groups.api.globus.org",
    env: "GLOBUS_SDK_SERVICE_URL_GROUPS",
  }),
  tokenCache: seconds(
    "how long a token that was checked is taken as checked, and so how long a revoked one may go on",
    { default: "15" },
  ),
  allow: {
    ...parsed(
      "who may stream: networks (CIDR) that data connections may come from, and user:NAME, id:SUBJECT, domain:NAME or group:NAME of authenticated callers; of either kind all if none is given",
      parseAllow,
      { value: "RULE,…", default: "" },
    ),
    repeated: true,
  },
  admin: {
    ...parsed(
      "who may list and release everybody's sessions: user:NAME, id:SUBJECT, domain:NAME, group:NAME",
      (text) => text === "" ? undefined : Rules.parse(text.split(",")),
      { value: "RULE,…", default: "" },
    ),
    repeated: true,
  },
  quotaSessions: quota("sessions"),
  quotaChannels: quota("channels"),
  quotaRate: quota("kilobytes per second"),
};

/** Networks for data connections, rules for callers. */
function parseAllow(text: string): { networks?: Networks; users?: Rules } {
  const words = text === "" ? [] : text.split(",").map((word) => word.trim());
  const networks = words.filter((word) => !Rules.isRule(word));
  const rules = words.filter((word) => Rules.isRule(word));
  return {
    networks: networks.length > 0 ? Networks.parse(networks) : undefined,
    users: rules.length > 0 ? Rules.parse(rules) : undefined,
  };
}

/** What the flags say of who may use a control server. */
type AccessOptions = Options<typeof serverAuthFlags> & { ssl: boolean; ratePolicy: RatePolicy };

/** Whether a secret, an issuer or --jwt asks for authentication. */
export function isAuthenticated(
  { clientSecret, clientSecretFile, jwt, issuer }: AccessOptions,
): boolean {
  return jwt || [clientSecret, clientSecretFile, issuer].some((each) => each !== undefined);
}

/**
 * That the flags go together, before anything is read or asked.
 * @throws {UsageError} names the flags
 */
export function checkAccess(options: AccessOptions): void {
  const { clientId, allow: { users }, admin } = options;
  const { sessions, channels, rate } = quotasOf(options);
  if (rate > 0 && options.ratePolicy === "ignore") {
    throw new UsageError(
      "--quota-rate bounds rates, which --rate-policy ignore ignores; use reserve or enforce",
    );
  }
  if (!isAuthenticated(options)) {
    const idle = [
      users && "--allow user:, id:, domain: and group:",
      admin && "--admin",
      sessions + channels + rate > 0 && "--quota-…",
    ].find(Boolean);
    if (!idle) return;
    throw new UsageError(
      `${idle} is about authenticated callers: give --client-id and --client-secret-file too`,
    );
  }
  if (!clientId) {
    throw new UsageError("--client-id is missing: which client is this server at the provider?");
  }
  if (!options.ssl) {
    throw new UsageError("--ssl=False would send tokens in the clear; authentication needs TLS");
  }
}

function quotasOf(options: AccessOptions) {
  const { quotaSessions: sessions, quotaChannels: channels, quotaRate: rate } = options;
  return { sessions, channels, rate };
}

/**
 * What a control server lets in, from its flags; everybody where they ask for no authentication.
 * @throws {UsageError} where the flags do not go together, or the provider refuses them
 */
export async function openAccess(options: AccessOptions, log: Log) {
  const { clientId, allow: { networks, users }, admin } = options;
  checkAccess(options);
  const access = { allow: networks, quotas: quotasOf(options) };
  if (!isAuthenticated(options) || clientId === undefined) {
    if (clientId !== undefined) log("warn", "--client-id without a client secret does nothing");
    return { ...access, auth: undefined };
  }
  const { openAuthenticator } = await import("../auth/open.ts");
  const auth = await openAuthenticator({
    ...options,
    ...await readProvider(options),
    clientId,
    clientSecret: await readSecret(options, (sentence) => log("warn", sentence)),
    cacheMs: options.tokenCache,
    allow: users,
    admins: admin,
    log,
  });
  return { ...access, auth };
}
