/**
 * A real OAuth server on loopback: oidc-provider, as a plain OpenID provider or with Globus Auth's
 * ways. Alone: `deno run -A tests/oauth/provider.ts --shape plain --server id:secret:scope`.
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { parseArgs } from "@std/cli/parse-args";
import { DEPENDENT_TOKEN, Globus } from "./globus.ts";
import { SigningKey } from "./key.ts";
import { type Client, type Handler, oidc, type Provider, type Token } from "./oidc_provider.ts";
import {
  type MintOptions,
  type OAuthResourceServer,
  type OAuthServerOptions,
  scopesOf,
} from "./options.ts";
import { CODE_PAGE, showCode, showError } from "./pages.ts";
import { type OAuthPaths, SHAPES } from "./shapes.ts";
import { Users } from "./accounts.ts";
import { WatchedServer } from "./watched_server.ts";

export type { MintOptions, OAuthResourceServer, OAuthServerOptions, OAuthUser } from "./options.ts";
export type { OAuthPaths } from "./shapes.ts";
export type { Misbehaviour, OAuthCall } from "./watched_server.ts";

const OIDC_SCOPES = ["openid", "profile", "email", "offline_access"];
const USER_CLAIMS = ["sub", "preferred_username", "name", "email", "email_verified"];
const DAY = 24 * 60 * 60;

/** Runs until it is stopped; what it knows stays in memory. */
export class OAuthServer extends WatchedServer {
  /** The command line client's. */
  readonly nativeClientId: string;
  readonly paths: OAuthPaths;
  readonly #options: OAuthServerOptions;
  readonly #key: SigningKey;
  readonly #users: Users;
  readonly #globus?: Globus;
  readonly #claims = new WeakMap<Token, Record<string, unknown>>();
  #provider!: Provider;
  #answer!: Handler;

  private constructor(options: OAuthServerOptions, key: SigningKey) {
    super();
    const { shape, servers } = options;
    this.nativeClientId = SHAPES[shape].nativeClientId;
    this.paths = SHAPES[shape].paths;
    this.#options = options;
    this.#key = key;
    this.#users = new Users(options);
    if (shape === "globus") this.#globus = new Globus(servers, this.paths, this.#users);
  }

  /** Starts one on a port of its own. */
  static async start(options: OAuthServerOptions): Promise<OAuthServer> {
    const server = new OAuthServer(options, await SigningKey.generate());
    // The issuer holds the port, so this comes first.
    await server.listen();
    server.#provider = server.#makeProvider();
    server.#answer = server.#provider.callback();
    return server;
  }

  /** What was sent to make scopes at Globus. */
  get createdScopes(): Record<string, unknown>[] {
    return this.#globus?.createdScopes ?? [];
  }

  /** The subject of a user. */
  subject(login: string): string {
    return this.#users.subject(login);
  }

  /** An access token of the native client, without a login. */
  async token(options: MintOptions): Promise<string> {
    const { user, scope, audience, claims } = options;
    const server = this.#options.servers.find(({ id }) => id === options.server);
    if (!server) throw new Error(`no such server: ${options.server}`);
    const client = await this.#provider.Client.find(this.nativeClientId);
    const seconds = options.expiresInSeconds ?? this.#options.accessTokenSeconds ?? 3600;
    const token = new this.#provider.AccessToken({
      client,
      accountId: this.subject(user),
      scope: scope ?? server.scope,
      exp: Math.floor(Date.now() / 1000) + seconds,
    });
    const aud = audience ?? server.resource ?? (this.#jwt ? server.id : undefined);
    if (this.#jwt) {
      const { ResourceServer } = this.#provider;
      token.resourceServer = new ResourceServer(aud as string, this.#resource(server));
    }
    token.aud = aud;
    if (claims) this.#claims.set(token, claims);
    return await token.save();
  }

  /** Signs whatever with the provider's own key. */
  async signJwt(
    payload: Record<string, unknown>,
    header: Record<string, unknown> = {},
  ): Promise<string> {
    return await this.#key.sign(payload, { alg: this.#algorithm, ...header });
  }

  /** Ends an opaque access or refresh token at the provider, and no other of its login. */
  async revoke(token: string): Promise<void> {
    const { AccessToken, RefreshToken } = this.#provider;
    const found = await AccessToken.find(token) ?? await RefreshToken.find(token);
    if (!found) throw new Error("the provider keeps no such token");
    await found.destroy();
  }

  protected override async answer(
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    this.#globus?.takeRawSecret(request);
    await this.#answer(request, response);
  }

  get #jwt(): boolean {
    return this.#options.shape === "plain" && this.#options.jwt === true;
  }

  get #algorithm(): string {
    return SHAPES[this.#options.shape].algorithm;
  }

  #makeProvider(): Provider {
    const { servers, accessTokenSeconds = 3600 } = this.#options;
    const { userinfo, authorization, token, introspection, revocation, jwks } = this.paths;
    const redirects = [`${this.url}${CODE_PAGE}`, "http://127.0.0.1/", "http://127.0.0.1/callback"];
    const provider = new oidc.Provider(this.url, {
      clients: [
        {
          client_id: this.nativeClientId,
          application_type: "native",
          token_endpoint_auth_method: "none",
          grant_types: ["authorization_code", "refresh_token"],
          response_types: ["code"],
          redirect_uris: redirects,
        },
        ...servers.map(({ id, secret }) => ({
          client_id: id,
          client_secret: secret,
          grant_types: this.#globus ? [DEPENDENT_TOKEN] : [],
          response_types: [],
          redirect_uris: [],
        })),
      ],
      clientDefaults: { id_token_signed_response_alg: this.#algorithm },
      enabledJWA: { idTokenSigningAlgValues: [this.#algorithm] },
      jwks: { keys: [this.#key.jwk] },
      cookies: { keys: [crypto.randomUUID()] },
      routes: { userinfo, authorization, token, introspection, revocation, jwks },
      scopes: [...OIDC_SCOPES, ...servers.flatMap(scopesOf)],
      claims: { openid: USER_CLAIMS },
      findAccount: (_ctx: unknown, sub: string) => ({
        accountId: sub,
        claims: () => ({
          sub,
          preferred_username: this.#users.login(sub),
          ...this.#users.known(sub),
        }),
      }),
      extraTokenClaims: (_ctx: unknown, issued: Token) => this.#tokenClaims(issued),
      extraParams: ["access_type"],
      issueRefreshToken: (_ctx: unknown, _client: unknown, code: Token) =>
        code.scopes.has("offline_access") || this.#globus?.isOffline(code.jti) === true,
      rotateRefreshToken: true,
      // A token works on when the browser that got it is gone.
      expiresWithSession: () => false,
      clientBasedCORS: () => false,
      renderError: showError,
      features: {
        introspection: { enabled: true, allowedPolicy: isConfidential },
        revocation: { enabled: true, allowedPolicy: isOwn },
        resourceIndicators: {
          enabled: servers.some(({ resource }) => resource !== undefined),
          useGrantedResource: () => true,
          getResourceServerInfo: (_ctx: unknown, wanted: string) => {
            const server = servers.find(({ resource }) => resource === wanted);
            if (!server) throw new oidc.errors.InvalidTarget();
            return this.#resource(server);
          },
        },
      },
      ttl: {
        AccessToken: accessTokenSeconds,
        AuthorizationCode: 60,
        Grant: DAY,
        IdToken: 3600,
        Interaction: 3600,
        RefreshToken: DAY,
        Session: DAY,
      },
    });
    // The development pages take the login itself for the subject.
    const finished = provider.interactionFinished.bind(provider);
    provider.interactionFinished = (request, response, result, options) => {
      const { login } = result;
      const named = login && { login: { accountId: this.subject(login.accountId) } };
      return finished(request, response, { ...result, ...named }, options);
    };
    provider.use(showCode);
    this.#globus?.teach(provider);
    return provider;
  }

  #resource(server: OAuthResourceServer): Record<string, unknown> {
    return {
      scope: server.scope,
      audience: server.resource,
      accessTokenTTL: this.#options.accessTokenSeconds ?? 3600,
      accessTokenFormat: this.#jwt ? "jwt" : "opaque",
      jwt: { sign: { alg: this.#algorithm } },
    };
  }

  /** In a JWT, or in what introspection says of an opaque token. */
  #tokenClaims(token: Token): Record<string, unknown> {
    const sub = token.accountId;
    const jwt = token.resourceServer?.accessTokenFormat === "jwt";
    return {
      [jwt ? "preferred_username" : "username"]: this.#users.login(sub),
      ...this.#users.known(sub),
      ...!this.#globus && { groups: this.#users.groups(sub) },
      ...this.#claims.get(token),
    };
  }
}

/** Whoever has a secret may introspect any token: that a token is meant for it, each checks itself. */
function isConfidential(_ctx: unknown, client: Client): boolean {
  return client.clientAuthMethod !== "none";
}

function isOwn(_ctx: unknown, client: Client, token: Token): boolean {
  return token.clientId === client.clientId;
}

/** `id:secret:scope[:resource]`; a resource begins with http. */
function parseServer(text: string): OAuthResourceServer {
  const [, id, secret, scope, resource] =
    /^([^:]+):([^:]+):(.+?)(?::(https?:\/\/.+))?$/.exec(text) ?? [];
  if (!id || !secret || !scope) throw new Error(`not id:secret:scope[:resource]: ${text}`);
  return { id, secret, scope, resource };
}

if (import.meta.main) {
  const { shape, jwt, server } = parseArgs(Deno.args, {
    string: ["shape", "server"],
    boolean: ["jwt"],
    collect: ["server"],
  });
  const { url, paths } = await OAuthServer.start({
    shape: shape === "globus" ? "globus" : "plain",
    jwt: jwt === true,
    servers: (server as string[]).map(parseServer),
  });
  console.log(JSON.stringify({ url, paths }));
}
