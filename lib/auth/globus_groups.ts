/**
 * A user's Globus groups: the control server exchanges the user's token for one of Globus Groups.
 * Its scope must have been made with that dependency (seeds: dependent_scopes), which is what
 * `s2uc create-scope` does.
 * @module
 */
import * as oauth from "oauth4webapi";
import type { ServerClient } from "./introspection.ts";
import { clientSecret, type Provider } from "./provider.ts";

/** Globus Groups. */
export const GLOBUS_GROUPS_URL = "https://groups.api.globus.org";

const DEPENDENT = "urn:globus:auth:grant_type:dependent_token";
const RESOURCE_SERVER = "groups.api.globus.org";

/**
 * The ids of the groups that the token's user is in. Ids and not names: anybody can give a group of
 * their own any name.
 * @throws {Error} when they cannot be had
 */
export async function globusGroups(
  provider: Provider,
  client: ServerClient,
  groupsUrl: string,
  token: string,
): Promise<string[]> {
  const metadata = await provider.metadata();
  const exchange = await oauth.genericTokenEndpointRequest(
    metadata,
    { client_id: client.id },
    clientSecret(provider, metadata, client.secret.reveal()),
    DEPENDENT,
    { token },
    provider.http.options,
  );
  // One entry for each dependency of the scope.
  const entries = listOf(await json(exchange));
  const granted = entries.find((entry) => entry.resource_server === RESOURCE_SERVER)?.access_token;
  if (typeof granted !== "string") {
    throw new Error("it gives no token for Globus Groups; make the scope with `s2uc create-scope`");
  }
  const response = await provider.http.fetch(`${groupsUrl}/v2/groups/my_groups`, {
    headers: { authorization: `Bearer ${granted}`, accept: "application/json" },
  });
  return listOf(await json(response)).map(({ id }) => id).filter((id) => typeof id === "string");
}

async function json(response: Response): Promise<unknown> {
  if (response.status !== 200) throw new Error(`it answered HTTP ${response.status} about groups`);
  try {
    return await response.json();
  } catch {
    // The parser's own sentence quotes what came, and that may be a piece of a token.
    throw new Error("its answer about groups is not JSON");
  }
}

function listOf(value: unknown): Record<string, unknown>[] {
  if (!Array.isArray(value)) throw new Error("its answer about groups is not a list");
  return value.filter((each) => typeof each === "object" && each !== null);
}
