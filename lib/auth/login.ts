/**
 * Logging in: authorization code with PKCE (RFC 6749, 7636, 8252), OpenID's nonce where there is one.
 * @module
 */
import * as oauth from "oauth4webapi";
import { ScistreamError } from "../protocol/errors.ts";
import { Secret } from "../protocol/secret.ts";
import type { Provider } from "./provider.ts";
import type { Login } from "./token_store.ts";

/** What to log in for. */
export interface LoginRequest {
  provider: Provider;
  /** PEM authority of the provider, kept with the tokens. */
  ca?: string;
  /** The user client's own client there; a public one. */
  clientId: string;
  /** Scopes of control servers. */
  scopes: readonly string[];
  /** What the tokens are for, where the provider wants that named (RFC 8707). */
  resource?: string;
  /** Where the provider sends the browser, with the code. */
  redirectUri: string;
}

/** A login that waits for its code. */
export class Authorization {
  readonly #request: LoginRequest;
  readonly #metadata: oauth.AuthorizationServer;
  readonly #verifier = oauth.generateRandomCodeVerifier();
  readonly #state = oauth.generateRandomState();
  readonly #nonce = oauth.generateRandomNonce();
  #url = "";

  private constructor(request: LoginRequest, metadata: oauth.AuthorizationServer) {
    this.#request = request;
    this.#metadata = metadata;
  }

  /**
   * Prepares a login.
   * @throws {ScistreamError} CONN_ERROR when the provider cannot be reached
   */
  static async begin(request: LoginRequest): Promise<Authorization> {
    const { provider } = request;
    const metadata = await provider.metadata().catch((error) => {
      throw provider.failed("reading the provider's endpoints", error);
    });
    const authorization = new Authorization(request, metadata);
    authorization.#url = await authorization.#address();
    return authorization;
  }

  /** What the user opens in a browser. It holds no secret. */
  get url(): string {
    return this.#url;
  }

  /** Whether the provider tells who the user is. Plain OAuth 2.0 knows no identities. */
  get #openId(): boolean {
    const { scopes_supported, id_token_signing_alg_values_supported } = this.#metadata;
    return scopes_supported?.includes("openid") ??
      id_token_signing_alg_values_supported !== undefined;
  }

  async #address(): Promise<string> {
    const { provider, clientId, scopes, resource, redirectUri } = this.#request;
    const url = oauthEndpoint(this.#metadata.authorization_endpoint);
    const openId = this.#openId ? ["openid", "profile", "email"] : [];
    // Two ways to ask for tokens that outlive the login; OpenID grants its own only with consent.
    const offline = !provider.globus && this.#openId ? ["offline_access"] : [];
    const parameters: Record<string, string | undefined> = {
      client_id: clientId,
      redirect_uri: redirectUri,
      response_type: "code",
      scope: [...scopes, ...openId, ...offline].join(" "),
      state: this.#state,
      nonce: this.#openId ? this.#nonce : undefined,
      code_challenge: await oauth.calculatePKCECodeChallenge(this.#verifier),
      code_challenge_method: "S256",
      // Whoever logs in is asked who that is, whatever the browser remembers.
      prompt: offline.length > 0 ? "login consent" : "login",
      access_type: provider.globus ? "offline" : undefined,
      resource,
    };
    for (const [name, value] of Object.entries(parameters)) {
      if (value !== undefined) url.searchParams.set(name, value);
    }
    return url.href;
  }

  /**
   * Takes what the user pastes: the code, or the whole address that the browser was sent to.
   * @throws {ScistreamError} AUTH_ERROR, CONN_ERROR
   */
  pasted(text: string): Promise<Login[]> {
    const address = URL.parse(text);
    if (address && /^https?:$/.test(address.protocol)) return this.redirected(address.searchParams);
    if (!/^[\x21-\x7e]{1,2048}$/.test(text)) {
      throw new ScistreamError("AUTH_ERROR", "what was pasted is no authorization code");
    }
    // A code alone comes without its state; that it is for this login is proven by PKCE and nonce.
    const answer = new URLSearchParams({ code: text, state: this.#state });
    if (this.#metadata.authorization_response_iss_parameter_supported) {
      answer.set("iss", this.#metadata.issuer);
    }
    return this.redirected(answer);
  }

  /** Whether these belong to this login: whoever knows nothing of it cannot end it. */
  isAnswer(parameters: URLSearchParams): boolean {
    return parameters.get("state") === this.#state;
  }

  /**
   * Takes what the provider sent the browser back with, and exchanges the code for tokens.
   * @throws {ScistreamError} AUTH_ERROR when the provider refuses, or the answer is not to this login
   */
  async redirected(parameters: URLSearchParams): Promise<Login[]> {
    const { provider, clientId, resource, redirectUri } = this.#request;
    const client: oauth.Client = { client_id: clientId };
    try {
      const answer = oauth.validateAuthResponse(this.#metadata, client, parameters, this.#state);
      const response = await oauth.authorizationCodeGrantRequest(
        this.#metadata,
        client,
        oauth.None(),
        answer,
        redirectUri,
        this.#verifier,
        {
          ...provider.http.options,
          additionalParameters: resource === undefined ? {} : { resource },
        },
      );
      const tokens = await oauth.processAuthorizationCodeResponse(
        this.#metadata,
        client,
        response,
        this.#openId ? { expectedNonce: this.#nonce, requireIdToken: true } : {},
      );
      return this.#logins(tokens);
    } catch (error) {
      throw provider.failed("logging in", error);
    }
  }

  #logins(answer: oauth.TokenEndpointResponse): Login[] {
    const { provider, ca, clientId, scopes, resource } = this.#request;
    const claims = oauth.getValidatedIdTokenClaims(answer);
    const name = [claims?.preferred_username, claims?.email, claims?.sub]
      .find((each) => typeof each === "string") ?? "";
    const all = [answer, ...otherTokens(answer.other_tokens)];
    const missing: string[] = [];
    const logins = scopes.flatMap((scope) => {
      // An answer without a scope grants what was asked for (RFC 6749 section 5.1).
      const tokens = all.find((each) =>
        (each.scope ?? scopes.join(" ")).split(" ").includes(scope)
      );
      if (!tokens) {
        missing.push(scope);
        return [];
      }
      const had = {
        issuer: provider.issuer,
        globus: provider.globus,
        ca,
        clientId,
        scope,
        resource,
      };
      return [{ ...had, name: String(name), ...granted(tokens) }];
    });
    if (missing.length > 0) {
      throw new ScistreamError(
        "AUTH_ERROR",
        `${provider.name} did not grant ${
          missing.join(", ")
        }; is that the control server's scope, and may you use it?`,
      );
    }
    return logins;
  }
}

/** The last time that a Date can have, which a provider may be beyond. */
const LAST_MS = 8.64e15;

/** What a token answer holds, as it is kept. */
export function granted(tokens: oauth.TokenEndpointResponse, nowMs = Date.now()) {
  const { access_token, refresh_token, expires_in } = tokens;
  return {
    accessToken: new Secret(access_token),
    ...refresh_token === undefined ? {} : { refreshToken: new Secret(refresh_token) },
    issuedMs: nowMs,
    expiresMs: expires_in === undefined ? 0 : Math.min(nowMs + expires_in * 1000, LAST_MS),
  };
}

/** Globus answers the tokens of further scopes beside the first, each like an answer of its own. */
function otherTokens(value: unknown): oauth.TokenEndpointResponse[] {
  if (!Array.isArray(value)) return [];
  return value.filter((each) =>
    typeof each?.access_token === "string" && typeof each.scope === "string" &&
    ["string", "undefined"].includes(typeof each.refresh_token) &&
    ["number", "undefined"].includes(typeof each.expires_in)
  );
}

function oauthEndpoint(address: string | undefined): URL {
  const url = URL.parse(address ?? "");
  if (url && /^https?:$/.test(url.protocol)) return url;
  throw new ScistreamError(
    "CONN_ERROR",
    "the provider tells no authorization_endpoint to log in at",
  );
}
