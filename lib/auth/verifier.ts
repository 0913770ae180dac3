import type { Claims } from "./identity.ts";
import type { Provider } from "./provider.ts";

/** What a token must be to count here. */
export interface Expected {
  /** It must carry this scope. */
  readonly scope: string;
  /** It must be meant for this one; where the scope itself names the server, any will do. */
  readonly audience?: string;
}

/** A token that counts, or why it does not, for the log of the control server. */
export type Verdict =
  | { readonly claims: Claims; readonly expiresMs: number }
  | { readonly refused: string };

/** Finds out what tokens are worth. */
export interface Verifier extends Disposable {
  /** The provider's name, for people. */
  readonly provider: string;
  /** The provider's issuer. */
  readonly issuer: string;
  /**
   * Asks the provider at most once.
   * @throws {Error} when it cannot be found out: the provider is not reached or answers nonsense
   */
  verify(token: string): Promise<Verdict>;
}

/** One that belongs to a provider, and closes the connections to it. */
export abstract class ProvidersVerifier<E extends Expected = Expected> implements Verifier {
  constructor(protected readonly at: Provider, protected readonly expected: E) {}

  get provider(): string {
    return this.at.name;
  }

  get issuer(): string {
    return this.at.issuer;
  }

  abstract verify(token: string): Promise<Verdict>;

  [Symbol.dispose](): void {
    this.at[Symbol.dispose]();
  }
}

/** A token without an end is asked about again soon all the same. */
const NO_EXPIRY_MS = 60_000;

/** The last second that a date can have (ECMA-262, "Time Values and Time Range"). */
const LAST_SECOND = 8.64e12;

/** Where two machines' clocks may differ. */
export const CLOCK_SECONDS = 30;

/** The checks that do not depend on how the claims were had: time, issuer, audience and scope. */
export function judge(
  claims: Claims,
  issuer: string,
  expected: Expected,
  nowMs = Date.now(),
): Verdict {
  const { exp, nbf, iss } = claims;
  if (exp !== undefined && !isTime(exp)) return { refused: "its expiry is not a time" };
  const expiresMs = exp === undefined ? nowMs + NO_EXPIRY_MS : exp * 1000;
  if (expiresMs <= nowMs) return { refused: "it has expired" };
  if (nbf !== undefined && !isTime(nbf)) return { refused: "its beginning is not a time" };
  if (nbf !== undefined && nbf * 1000 > nowMs + CLOCK_SECONDS * 1000) {
    return { refused: "it is not valid yet" };
  }
  if (iss !== undefined && iss !== issuer) return { refused: "it is of another issuer" };
  if (!words(claims.scope ?? claims.scp).includes(expected.scope)) {
    return { refused: `it does not carry the scope ${expected.scope}` };
  }
  const { audience } = expected;
  if (audience !== undefined && !words(claims.aud).includes(audience)) {
    return { refused: `it is not meant for ${audience} (aud)` };
  }
  return { claims, expiresMs };
}

/** Seconds since 1970 UTC (RFC 7519, section 2, NumericDate). */
function isTime(claim: unknown): claim is number {
  return typeof claim === "number" && Math.abs(claim) <= LAST_SECOND;
}

/** A claim of several words: a list, or one text with spaces. */
function words(claim: unknown): string[] {
  if (Array.isArray(claim)) return claim.filter((each) => typeof each === "string");
  return typeof claim === "string" ? claim.split(" ") : [];
}
