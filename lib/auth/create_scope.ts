import { messageOf, ScistreamError } from "../protocol/errors.ts";
import type { Secret } from "../protocol/secret.ts";
import type { Provider } from "./provider.ts";

/** Globus Groups' view_my_groups_and_memberships: with it a control server can ask for users' groups. */
const GROUPS_SCOPE = "73320ffe-4cb4-4b25-a0a3-83d53d59ce4f";

/** A scope as Globus Auth answers it; more fields come along. */
export interface CreatedScope {
  readonly scope_string: string;
  readonly [field: string]: unknown;
}

/**
 * Makes the scope of a control server's tokens at Globus Auth, as the documents do with curl.
 * @throws {ScistreamError} AUTH_ERROR for a wrong secret, CONN_ERROR, BAD_FORMAT for what Globus refuses
 */
export async function createScope(
  provider: Provider,
  client: { id: string; secret: Secret },
  suffix: string,
): Promise<CreatedScope> {
  const pair = new TextEncoder().encode(`${client.id}:${client.secret.reveal()}`);
  const scope = {
    name: "Scistream Operations",
    description: "All Operations on Scistream",
    scope_suffix: suffix,
    dependent_scopes: [{ optional: false, requires_refresh_token: true, scope: GROUPS_SCOPE }],
    advertised: false,
    allow_refresh_tokens: true,
  };
  const url = `${provider.issuer}/v2/api/clients/${encodeURIComponent(client.id)}/scopes`;
  let response: Response;
  try {
    response = await provider.http.fetch(url, {
      method: "POST",
      headers: {
        authorization: `Basic ${pair.toBase64()}`,
        "content-type": "application/json",
        accept: "application/json",
      },
      body: JSON.stringify({ scope }),
    });
  } catch (error) {
    throw provider.failed("making the scope", error);
  }
  if (response.status === 401) {
    throw new ScistreamError("AUTH_ERROR", `${provider.name} refuses this client id and secret`);
  }
  const answer = await response.json().catch((error) => {
    throw provider.failed("making the scope", new Error(messageOf(error)));
  });
  const created = answer?.scopes?.[0];
  if (response.ok && typeof created?.scope_string === "string") return created;
  const detail = answer?.errors?.[0]?.detail;
  throw new ScistreamError(
    "BAD_FORMAT",
    `${provider.name} did not make the scope: ${
      typeof detail === "string" ? detail.slice(0, 200) : `HTTP ${response.status}`
    }`,
  );
}
