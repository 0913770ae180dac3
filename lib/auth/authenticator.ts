/**
 * Whether a call's token lets it in, and who the caller is.
 * @module
 */
import type { Log } from "../log.ts";
import { quote, ScistreamError, Status } from "../protocol/errors.ts";
import type { Secret } from "../protocol/secret.ts";
import { INVALID_TOKEN } from "../protocol/token.ts";
import { whatProviderDid } from "./http.ts";
import { type Identity, readIdentity, type Rules } from "./identity.ts";
import type { Verifier } from "./verifier.ts";
import { Verdicts } from "./verdicts.ts";

/** Who calls. */
export interface Principal {
  /** What belongs to a user is kept under this: the provider and its subject. */
  readonly id: string;
  /** For people. */
  readonly name: string;
  /** May list and release everybody's sessions. */
  readonly admin: boolean;
  /** When the token ends; milliseconds since 1970 UTC. */
  readonly expiresMs: number;
}

/** Settings of an authenticator; times in milliseconds. */
export interface AuthOptions {
  /** Finds out what a token is worth. */
  verifier: Verifier;
  /** What the sentences of contract section 4 call this server's scope by. */
  clientId: string;
  /** Who is served; everyone with a good token if not given. */
  allow?: Rules;
  /** Who may list and release everybody's sessions. */
  admins?: Rules;
  /** The claim in which the provider tells of a user's groups. */
  groupsClaim: string;
  /** Asks for the groups of a token's user, where the provider tells none in claims. */
  groupsOf?: (token: string) => Promise<string[]>;
  /** How long a verdict is kept; a token that is revoked is served for at most as long. */
  cacheMs: number;
  /** Takes why tokens are refused. */
  log: Log;
}

/** RFC 6750 section 2.1 `b64token`, bounded; a JWT with many groups has some thousand characters. */
const TOKEN = /^[A-Za-z0-9\-._~+/]{8,16384}={0,8}$/;

/** Tokens that are being checked at once: whoever sends many different ones has to wait. */
const MOST_AT_ONCE = 256;

/** Decides over every call before anything else happens to it. */
export class Authenticator implements Disposable {
  readonly #options: AuthOptions;
  readonly #verdicts = new Verdicts<Principal, ScistreamError>();
  #asking = 0;
  #isOver = false;

  /** Takes the verifier over, and closes it when it is disposed of. */
  constructor(options: AuthOptions) {
    this.#options = options;
  }

  /** Whether {@linkcode authenticate} decides over this token without asking anybody. */
  knows(token: Secret): boolean {
    const text = token.reveal();
    return !canBeToken(text) || this.#verdicts.knows(text);
  }

  /**
   * Who the token stands for. Fails closed: what cannot be found out is refused.
   * @throws {ScistreamError} AUTH_ERROR, or UNAVAILABLE while the provider cannot be asked
   */
  async authenticate(token: Secret): Promise<Principal> {
    const { clientId, cacheMs } = this.#options;
    const text = token.reveal();
    if (text === "") {
      throw unauthenticated(`Authentication token is missing for scope ${clientId}`);
    }
    // What cannot be a token is not worth a question.
    if (!canBeToken(text)) throw invalid(clientId);
    const known = await this.#verdicts.get(text, async () => {
      this.#asking++;
      const value = await this.#find(text).finally(() => {
        if (--this.#asking === 0 && this.#isOver) this.#close();
      });
      if (value instanceof ScistreamError) return { value, good: false, ms: cacheMs };
      return { value, good: true, ms: cacheMs };
    });
    if (known instanceof ScistreamError) throw known;
    // The provider's time counts, whatever is remembered.
    if (known.expiresMs <= Date.now()) throw invalid(clientId);
    return known;
  }

  async #find(token: string): Promise<Principal | ScistreamError> {
    const { clientId, allow, admins, log } = this.#options;
    if (this.#verdicts.pending >= MOST_AT_ONCE) {
      throw new ScistreamError("UNAVAILABLE", "too many tokens are being checked; try again later");
    }
    const found = await this.#ask(token);
    if (typeof found === "string") {
      log("info", `a token was refused: ${found}`);
      return invalid(clientId);
    }
    const { identity, expiresMs } = found;
    const admin = admins?.fit(identity) ?? false;
    if (allow && !admin && !allow.fit(identity)) {
      log("info", `${identity.name} was refused: no --allow rule fits`);
      return new ScistreamError(
        "AUTH_ERROR",
        `${quote(identity.name)} may not use this control server; ask its operator`,
        { status: Status.PERMISSION_DENIED },
      );
    }
    const id = `${identity.issuer} ${identity.subject}`;
    return { id, name: identity.name, admin, expiresMs };
  }

  /** The identity, or why the token does not count. */
  async #ask(token: string): Promise<{ identity: Identity; expiresMs: number } | string> {
    const { verifier, groupsClaim, groupsOf, log } = this.#options;
    try {
      const verdict = await verifier.verify(token);
      if ("refused" in verdict) return verdict.refused;
      const identity = readIdentity(verifier.issuer, verdict.claims, groupsClaim);
      if (!identity) return "it names no subject (sub)";
      const groups = await groupsOf?.(token) ?? identity.groups;
      return { identity: { ...identity, groups }, expiresMs: verdict.expiresMs };
    } catch (error) {
      const why = error instanceof ScistreamError ? error.message : whatProviderDid(error);
      log("error", `a token could not be checked with ${verifier.provider}: ${why}`);
      throw new ScistreamError(
        "UNAVAILABLE",
        "the identity provider cannot be asked about your token now, and nobody is served without that; try again later",
      );
    }
  }

  /** Closes the connections to the provider, once what is being asked is answered. */
  [Symbol.dispose](): void {
    this.#isOver = true;
    if (this.#asking === 0) this.#close();
  }

  #close(): void {
    this.#options.verifier[Symbol.dispose]();
  }
}

function canBeToken(text: string): boolean {
  return text !== INVALID_TOKEN && TOKEN.test(text);
}

function unauthenticated(sentence: string): ScistreamError {
  return new ScistreamError("AUTH_ERROR", sentence, { status: Status.UNAUTHENTICATED });
}

function invalid(clientId: string): ScistreamError {
  return unauthenticated(`Authentication token is invalid for scope ${clientId}`);
}
