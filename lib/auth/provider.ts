/**
 * Identity providers: Globus Auth as it is built in, any other by its discovery document.
 * @module
 */
import * as oauth from "oauth4webapi";
import { quote, ScistreamError } from "../protocol/errors.ts";
import { Http, type HttpSettings, whatProviderDid } from "./http.ts";

/** Globus Auth (contract section 7). */
export const GLOBUS_URL = "https://auth.globus.org";
/** SciStream's native app at Globus. */
export const GLOBUS_NATIVE_CLIENT = "4787c84e-9c55-4881-b941-cb6720cea11c";

/** Which provider, and how it is reached. */
export interface ProviderSettings extends HttpSettings {
  /** An OAuth 2.0 or OpenID provider by its issuer; Globus Auth if not given. */
  issuer?: string;
  /** Where Globus Auth is; the SDK's GLOBUS_SDK_SERVICE_URL_AUTH names another for tests. */
  globusUrl?: string;
}

/** An identity provider. */
export class Provider implements Disposable {
  /** Names it: what tokens and identities are told apart by. */
  readonly issuer: string;
  /** Whether it is Globus Auth, which has ways of its own. */
  readonly globus: boolean;
  /** The connections to it. */
  readonly http: Http;
  #metadata?: Promise<oauth.AuthorizationServer>;

  /** @throws {ScistreamError} BAD_FORMAT for an address that is none, or that tokens must not go to */
  constructor(settings: ProviderSettings) {
    const { issuer, globusUrl = GLOBUS_URL } = settings;
    this.globus = issuer === undefined;
    this.issuer = issuer ?? globusUrl.replace(/\/+$/, "");
    const { plain } = checkUrl(this.issuer);
    this.http = new Http({ ...settings, plain });
    if (this.globus) this.#metadata = Promise.resolve(globusMetadata(this.issuer));
  }

  /** For people. */
  get name(): string {
    return this.globus ? "Globus Auth" : this.issuer;
  }

  /**
   * Its endpoints and abilities (RFC 8414); read once, and again after a failure.
   * @throws {Error} as oauth4webapi and fetch do
   */
  metadata(): Promise<oauth.AuthorizationServer> {
    this.#metadata ??= this.#discover().catch((error) => {
      this.#metadata = undefined;
      throw error;
    });
    return this.#metadata;
  }

  /** OpenID's place for the document first, because more providers have it there; then RFC 8414's. */
  async #discover(): Promise<oauth.AuthorizationServer> {
    const issuer = new URL(this.issuer);
    const ask = (algorithm: "oidc" | "oauth2") =>
      oauth.discoveryRequest(issuer, { ...this.http.options, algorithm });
    let response = await ask("oidc");
    if (response.status === 404) response = await ask("oauth2");
    return await oauth.processDiscoveryResponse(issuer, response);
  }

  /** An error for a user who asked this provider for `what` and did not get it. */
  failed(what: string, error: unknown): ScistreamError {
    if (error instanceof ScistreamError) return error;
    const sentence = `${what} at ${this.name} failed: ${whatProviderDid(error)}`;
    const refused = error instanceof oauth.ResponseBodyError ||
      error instanceof oauth.AuthorizationResponseError;
    return new ScistreamError(refused ? "AUTH_ERROR" : "CONN_ERROR", sentence, { cause: error });
  }

  /** Closes the connections. */
  [Symbol.dispose](): void {
    this.http[Symbol.dispose]();
  }
}

/** https, or http on this machine: tokens and secrets go there. */
export function checkUrl(text: string): { plain: boolean } {
  const url = URL.parse(text);
  if (!url || url.search || url.hash || url.username || url.password) {
    throw new ScistreamError("BAD_FORMAT", `issuer ${quote(text)} is not an https:// address`);
  }
  const local = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
  if (url.protocol === "https:") return { plain: false };
  if (url.protocol === "http:" && local) return { plain: true };
  throw new ScistreamError(
    "BAD_FORMAT",
    `issuer ${quote(text)} is not https://, and secrets would go to it in the clear`,
  );
}

function globusMetadata(url: string): oauth.AuthorizationServer {
  return {
    issuer: url,
    authorization_endpoint: `${url}/v2/oauth2/authorize`,
    token_endpoint: `${url}/v2/oauth2/token`,
    introspection_endpoint: `${url}/v2/oauth2/token/introspect`,
    revocation_endpoint: `${url}/v2/oauth2/token/revoke`,
    userinfo_endpoint: `${url}/v2/oauth2/userinfo`,
    jwks_uri: `${url}/jwk.json`,
    id_token_signing_alg_values_supported: ["RS512"],
    token_endpoint_auth_methods_supported: ["client_secret_basic"],
  };
}

/**
 * How a confidential client proves itself. Globus takes the secret as it is, as its SDK sends it; RFC
 * 6749 section 2.3.1 has id and secret form-encoded first, and other providers decode them.
 */
export function clientSecret(
  provider: Provider,
  metadata: oauth.AuthorizationServer,
  secret: string,
): oauth.ClientAuth {
  const methods = metadata.introspection_endpoint_auth_methods_supported ??
    metadata.token_endpoint_auth_methods_supported ?? ["client_secret_basic"];
  if (!methods.includes("client_secret_basic") && methods.includes("client_secret_post")) {
    return oauth.ClientSecretPost(secret);
  }
  const encode = provider.globus ? (text: string) => text : formEncode;
  return (_as, client, _body, headers) => {
    const pair = new TextEncoder().encode(`${encode(client.client_id)}:${encode(secret)}`);
    headers.set("authorization", `Basic ${pair.toBase64()}`);
  };
}

function formEncode(text: string): string {
  return new URLSearchParams([["", text]]).toString().slice(1);
}

/**
 * The scope of a control server's tokens. Globus' scopes are addresses that hold the server's client
 * id, and may be named by that alone; other providers' are what they are.
 */
export function scopeOf(globus: boolean, text: string): string {
  if (!/^[\x21\x23-\x5b\x5d-\x7e]{1,512}$/.test(text)) {
    throw new ScistreamError(
      "BAD_FORMAT",
      `scope ${quote(text)} is not one; name the control server's client id or its scope`,
    );
  }
  if (!globus || text.includes(":")) return text;
  return `https://auth.globus.org/scopes/${text}/scistream`;
}
