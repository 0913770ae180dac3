/**
 * Access tokens that prove themselves (RFC 9068): checked against the provider's keys, without asking.
 * @module
 */
import { createRemoteJWKSet, customFetch, errors, jwtVerify, type JWTVerifyGetKey } from "jose";
import { messageOf } from "../protocol/errors.ts";
import { PROVIDER_MS } from "./http.ts";
import {
  CLOCK_SECONDS,
  type Expected,
  judge,
  ProvidersVerifier,
  type Verdict,
} from "./verifier.ts";

/** Never the symmetric ones: whoever can check those can make them. */
const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];

/** What is wrong with the token itself; whatever else is thrown is the provider's fault. */
const TOKENS_FAULT = [
  errors.JWTExpired,
  errors.JWTClaimValidationFailed,
  errors.JWTInvalid,
  errors.JWSInvalid,
  errors.JWSSignatureVerificationFailed,
  errors.JOSEAlgNotAllowed,
  errors.JOSENotSupported,
  errors.JWKSNoMatchingKey,
  errors.JWKSMultipleMatchingKeys,
];

/** Verifies locally; the keys are fetched once, and again when a token names one that is new. */
export class JwtVerification extends ProvidersVerifier<Required<Expected>> {
  #keys?: JWTVerifyGetKey;

  override async verify(token: string): Promise<Verdict> {
    const keys = await this.#keySet();
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer: this.issuer,
        algorithms: ALGORITHMS,
        // An ID token is not an access token, and says the same of itself but for this.
        typ: "at+jwt",
        requiredClaims: ["sub", "exp", "iat"],
        clockTolerance: CLOCK_SECONDS,
      });
      return judge(payload, this.issuer, this.expected);
    } catch (error) {
      if (!TOKENS_FAULT.some((kind) => error instanceof kind)) throw error;
      return { refused: messageOf(error) };
    }
  }

  async #keySet(): Promise<JWTVerifyGetKey> {
    if (this.#keys) return this.#keys;
    const { jwks_uri } = await this.at.metadata();
    if (jwks_uri === undefined) throw new Error("its discovery document names no jwks_uri");
    return this.#keys = createRemoteJWKSet(new URL(jwks_uri), {
      timeoutDuration: PROVIDER_MS,
      [customFetch]: this.at.http.fetch,
    });
  }
}
