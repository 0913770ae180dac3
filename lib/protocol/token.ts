import { Secret } from "./secret.ts";

/** What the reference client sends when it has no token (contract section 2). */
export const INVALID_TOKEN = "INVALID_TOKEN";

/** Metadata key of the access token. */
export const AUTHORIZATION = "authorization";

/** Metadata key of the error code, beside the one in the status details. */
export const ERROR_CODE_KEY = "scistream-error-code";

/** The bare token of an `authorization` entry: the wire carries it bare, `Bearer ` is accepted too. */
export function bareToken(entry: string): Secret {
  return new Secret(entry.replace(/^Bearer +/i, ""));
}
