/**
 * From a control server's settings to whatever lets its callers in.
 * @module
 */
import type { Log } from "../log.ts";
import { ScistreamError } from "../protocol/errors.ts";
import type { Secret } from "../protocol/secret.ts";
import { Authenticator } from "./authenticator.ts";
import { GLOBUS_GROUPS_URL, globusGroups } from "./globus_groups.ts";
import type { Rules } from "./identity.ts";
import { Introspection } from "./introspection.ts";
import { JwtVerification } from "./jwt.ts";
import { Provider, type ProviderSettings, scopeOf } from "./provider.ts";

/** How a control server authenticates its callers; times in milliseconds. */
export interface AuthSettings extends ProviderSettings {
  /** The control server's own client at the provider. */
  clientId: string;
  /** Its secret, for introspection. */
  clientSecret?: Secret;
  /** Verify JWT access tokens against the provider's keys, instead of asking it. */
  jwt: boolean;
  /** The scope that tokens must carry, or for Globus its client id; the provider's usual one if not given. */
  scope?: string;
  /** Whom tokens must be meant for; the client id if not given, and nobody in particular at Globus. */
  audience?: string;
  /** The claim in which the provider tells of a user's groups. */
  groupsClaim: string;
  /** Where Globus Groups is. */
  globusGroupsUrl?: string;
  /** How long a verdict is kept. */
  cacheMs: number;
  /** Who is served; everyone with a good token if not given. */
  allow?: Rules;
  /** Who may list and release everybody's sessions. */
  admins?: Rules;
  /** Takes why tokens are refused. */
  log: Log;
}

/** What `--issuer` needs of a token where nothing else is said. */
const PLAIN_SCOPE = "scistream";

/**
 * Makes an authenticator, and finds out whether the provider takes the client's id and secret. A
 * provider that cannot be reached now is only warned of: gateways must start all the same.
 * @throws {ScistreamError} BAD_FORMAT when the settings do not go together, or are refused
 */
export async function openAuthenticator(settings: AuthSettings): Promise<Authenticator> {
  const { clientId, clientSecret: secret, jwt, log, allow, admins } = settings;
  const provider = new Provider(settings);
  try {
    const wrong = misfit(settings);
    if (wrong) throw new ScistreamError("BAD_FORMAT", wrong);
    const scope = scopeOf(
      provider.globus,
      settings.scope ?? (provider.globus ? clientId : PLAIN_SCOPE),
    );
    // Globus' scopes hold the server's id. Elsewhere the same scope may open many servers, and each
    // of them could use the tokens of its callers at the others.
    const audience = settings.audience ?? (provider.globus ? undefined : clientId);
    if (jwt || !secret) {
      const expected = { scope, audience: audience ?? clientId };
      log("info", `tokens of ${provider.name} for ${scope}, verified against its keys`);
      return new Authenticator({ ...settings, verifier: new JwtVerification(provider, expected) });
    }
    const client = { id: clientId, secret };
    const verifier = new Introspection(provider, client, { scope, audience });
    const doubt = await verifier.probe();
    if (doubt) {
      log(
        "warn",
        `${provider.name} cannot be asked about tokens: ${doubt}; nobody is served until it can`,
      );
    }
    log("info", `tokens of ${provider.name} for ${scope}, checked by asking it`);
    const { globusGroupsUrl = GLOBUS_GROUPS_URL } = settings;
    const needsGroups = provider.globus && (allow?.nameGroups || admins?.nameGroups);
    const groupsOf = needsGroups
      ? (token: string) => globusGroups(provider, client, globusGroupsUrl, token)
      : undefined;
    return new Authenticator({ ...settings, verifier, groupsOf });
  } catch (error) {
    provider[Symbol.dispose]();
    throw error;
  }
}

/** What does not go together, a sentence. */
function misfit({ clientSecret, jwt, issuer }: AuthSettings): string | undefined {
  if (jwt && issuer === undefined) {
    return "--jwt verifies tokens of an --issuer; Globus Auth's are no JWTs, so leave --jwt away and give --client-secret-file";
  }
  if (!jwt && clientSecret === undefined) {
    return "--issuer needs --client-secret-file to ask it about tokens, or --jwt to verify them against its keys";
  }
}
