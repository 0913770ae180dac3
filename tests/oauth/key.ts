/**
 * A provider's key.
 * @module
 */
import { calculateJwkThumbprint, importJWK, type JWK, SignJWT } from "jose";

/** Signs whatever it is given. */
export class SigningKey {
  /** With its private part. */
  readonly jwk: JWK;

  private constructor(jwk: JWK) {
    this.jwk = jwk;
  }

  /** Makes one for RS256 and its longer relatives. */
  static async generate(): Promise<SigningKey> {
    const algorithm = {
      name: "RSASSA-PKCS1-v1_5",
      modulusLength: 2048,
      publicExponent: new Uint8Array([1, 0, 1]),
      hash: "SHA-256",
    };
    const { privateKey } = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const { kty, n, e, d, p, q, dp, dq, qi } = await crypto.subtle.exportKey("jwk", privateKey);
    const jwk = { kty, n, e, d, p, q, dp, dq, qi } as JWK;
    return new SigningKey({ ...jwk, use: "sig", kid: await calculateJwkThumbprint(jwk) });
  }

  /** A JWT; the header names the key unless it says otherwise. */
  async sign(
    payload: Record<string, unknown>,
    header: Record<string, unknown> & { alg: string },
  ): Promise<string> {
    const whole = { typ: "at+jwt", kid: this.jwk.kid, ...header };
    const key = await importJWK({ ...this.jwk, alg: undefined }, whole.alg);
    return await new SignJWT(payload).setProtectedHeader(whole).sign(key);
  }
}
