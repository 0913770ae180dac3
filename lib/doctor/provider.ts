/**
 * The check of the identity provider.
 * @module
 */
import { Http } from "../auth/http.ts";
import { checkUrl } from "../auth/provider.ts";
import { messageOf } from "../protocol/errors.ts";
import { type Check, fail, failed, type Finding, ok, skip } from "./check.ts";

/** Who knows the callers. */
export interface ProviderSettings {
  clientId?: string;
  issuer?: string;
  /** Path of the authority that its certificate ends at. */
  issuerCa?: string;
  globusUrl: string;
}

/** A token's times are to the second; this much is forgiven nowhere. */
const MOST_APART_MS = 60_000;

/** `identity-provider`: whether it answers, and what its clock says beside this one. */
export function providerCheck(settings: ProviderSettings): Check {
  return {
    name: "identity-provider",
    async look(signal) {
      if (settings.clientId === undefined) return skip("callers are not authenticated");
      try {
        return await provider(settings, signal);
      } catch (error) {
        signal.throwIfAborted();
        return failed(error);
      }
    },
  };
}

async function provider(settings: ProviderSettings, signal: AbortSignal): Promise<Finding> {
  const { issuer, issuerCa, globusUrl } = settings;
  const base = (issuer ?? globusUrl).replace(/\/+$/, "");
  const { plain } = checkUrl(base);
  let ca: string | undefined;
  try {
    if (issuerCa !== undefined) ca = await Deno.readTextFile(issuerCa);
  } catch (error) {
    return fail(`${issuerCa} cannot be read: ${messageOf(error)}`, "name it with --issuer-ca");
  }
  const { response, why } = await metadata(base, { ca, plain }, signal);
  if (!response) {
    return fail(
      `${base} does not answer: ${why}`,
      "see that this machine may reach it (HTTPS), and --issuer and --issuer-ca",
    );
  }
  if (!response.ok) {
    return fail(
      `${base} has no metadata (HTTP status ${response.status})`,
      "see --issuer: it is the provider's own name, to the letter",
    );
  }
  const theirs = Date.parse(response.headers.get("date") ?? "");
  const apart = Number.isNaN(theirs) ? 0 : Date.now() - theirs;
  if (Math.abs(apart) > MOST_APART_MS) {
    return fail(
      `this clock is ${Math.round(Math.abs(apart) / 1000)} s ${
        apart > 0 ? "ahead of" : "behind"
      } that of ${base}, so tokens are taken for expired or for not valid yet`,
      "set the clock: sudo timedatectl set-ntp true",
    );
  }
  return ok(`${base} answers${Number.isNaN(theirs) ? "" : ", and its clock is this one's"}`);
}

/** What every provider answers without a secret (OpenID Connect Discovery 1.0, section 4). */
async function metadata(
  base: string,
  settings: { ca?: string; plain: boolean },
  signal: AbortSignal,
): Promise<{ response?: Response; why: string }> {
  using http = new Http(settings);
  try {
    const response = await http.fetch(`${base}/.well-known/openid-configuration`, { signal });
    return { response, why: "" };
  } catch (error) {
    signal.throwIfAborted();
    // fetch's own words say nothing; the reason is in the cause.
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    return { why: messageOf(cause) };
  }
}
