/**
 * A real OAuth server on loopback: oidc-provider, as a plain OpenID provider or with Globus Auth's
 * ways. Alone: `deno run -A tests/oauth/provider.ts --shape plain --server id:secret:scope`.
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "@std/cli/parse-args";
import { calculateJwkThumbprint, importJWK, type JWK, SignJWT } from "jose";
import * as untyped from "oidc-provider";

/** A confidential client that may introspect. */
export interface OAuthResourceServer {
  id: string;
  secret: string;
  /** The scope, or scopes, of its tokens. */
  scope: string;
  /** What its tokens are meant for (RFC 8707); goes into their `aud`. */
  resource?: string;
}

/** What the provider knows of a user. */
export interface OAuthUser {
  groups?: string[];
  email?: string;
  email_verified?: boolean;
  name?: string;
}

/** Which provider. */
export interface OAuthServerOptions {
  shape: "globus" | "plain";
  /** How long access tokens live; 3600 if not given. */
  accessTokenSeconds?: number;
  /** Access tokens for a `resource` are RFC 9068 JWTs; the plain shape's only. */
  jwt?: boolean;
  servers: OAuthResourceServer[];
  /** By login; any other may log in as well. */
  users?: Record<string, OAuthUser>;
}

/** An access token that needs no login. */
export interface MintOptions {
  /** The login. */
  user: string;
  /** The id of the server that it is for. */
  server: string;
  /** The server's if not given. */
  scope?: string;
  /** From now on; a negative number makes one that has expired. */
  expiresInSeconds?: number;
  /** `aud`; the server's resource if not given, and in a JWT its id if it has none. */
  audience?: string;
  /** Beside, or instead of, what the provider tells of the user. */
  claims?: Record<string, unknown>;
}

/** A request that the provider got. */
export interface OAuthCall {
  method: string;
  path: string;
  /** Behind the question mark. */
  query: string;
  /** Whole once the request has been answered. */
  body: string;
}

/** Instead of the provider's own answer. */
export type Misbehaviour = "hang" | {
  status: number;
  headers?: Record<string, string>;
  body?: string;
};

/** Where a provider is asked for what; `:id` stands for any one part. */
export interface OAuthPaths {
  authorization: string;
  token: string;
  introspection: string;
  revocation: string;
  discovery: string;
  jwks: string;
  userinfo: string;
  groups: string;
  scopes: string;
}

const COMMON = {
  discovery: "/.well-known/openid-configuration",
  groups: "/v2/groups/my_groups",
  scopes: "/v2/api/clients/:id/scopes",
};
const CODE_PAGE = "/v2/web/auth-code";

const SHAPES = {
  globus: {
    nativeClientId: "4787c84e-9c55-4881-b941-cb6720cea11c",
    algorithm: "RS512",
    paths: {
      ...COMMON,
      authorization: "/v2/oauth2/authorize",
      token: "/v2/oauth2/token",
      introspection: "/v2/oauth2/token/introspect",
      revocation: "/v2/oauth2/token/revoke",
      jwks: "/jwk.json",
      userinfo: "/v2/oauth2/userinfo",
    },
  },
  plain: {
    nativeClientId: "scistream-cli",
    algorithm: "RS256",
    paths: {
      ...COMMON,
      authorization: "/auth",
      token: "/token",
      introspection: "/token/introspection",
      revocation: "/token/revocation",
      jwks: "/jwks",
      userinfo: "/me",
    },
  },
} as const;

const OIDC_SCOPES = ["openid", "profile", "email", "offline_access"];
const USER_CLAIMS = ["sub", "preferred_username", "name", "email", "email_verified"];
const DAY = 24 * 60 * 60;
const DEPENDENT_TOKEN = "urn:globus:auth:grant_type:dependent_token";
const GROUPS_SERVER = "groups.api.globus.org";
const GROUPS_SCOPE = `urn:globus:auth:scope:${GROUPS_SERVER}:view_my_groups_and_memberships`;

/** Runs until it is stopped; what it knows stays in memory. */
export class OAuthServer implements AsyncDisposable {
  /** Every request, in order. */
  readonly calls: OAuthCall[] = [];
  /** What was sent to make scopes at Globus. */
  readonly createdScopes: Record<string, unknown>[] = [];
  /** Looked at before anything else happens to a request. */
  intercept?: (request: { method: string; path: string }) => undefined | Misbehaviour;
  /** The command line client's. */
  readonly nativeClientId: string;
  readonly paths: OAuthPaths;
  readonly #options: OAuthServerOptions;
  readonly #key: JWK;
  #port = 0;
  #http?: Server;
  #provider!: Provider;
  #answer!: Handler;
  /** Logins by subject. */
  readonly #logins = new Map<string, string>();
  /** Codes whose request asked for `access_type=offline`. */
  readonly #offline = new Set<string>();
  readonly #claims = new WeakMap<Token, Record<string, unknown>>();
  readonly #scopes = new Set<string>();

  private constructor(options: OAuthServerOptions, key: JWK) {
    this.#options = options;
    this.#key = key;
    this.nativeClientId = SHAPES[options.shape].nativeClientId;
    this.paths = SHAPES[options.shape].paths;
  }

  /** Starts one on a port of its own. */
  static async start(options: OAuthServerOptions): Promise<OAuthServer> {
    const server = new OAuthServer(options, await newKey());
    // The issuer holds the port, so this comes first.
    await server.#listen();
    server.#provider = server.#makeProvider();
    server.#answer = server.#provider.callback();
    return server;
  }

  /** The issuer. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** How many requests a path, as in {@link paths}, got. */
  count(path: string): number {
    const pattern = new URLPattern({ pathname: path });
    return this.calls.filter((call) => pattern.test({ pathname: call.path })).length;
  }

  /** The subject of a user. */
  subject(login: string): string {
    const hash = createHash("sha256").update(login).digest("hex");
    const uuid = hash.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, "$1-$2-8$3-a$4-$5");
    const subject = this.#options.shape === "globus" ? uuid : hash.slice(0, 16);
    this.#logins.set(subject, login);
    return subject;
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
    const whole = { alg: this.#algorithm, typ: "at+jwt", kid: this.#key.kid, ...header };
    const key = await importJWK({ ...this.#key, alg: undefined }, whole.alg);
    return await new SignJWT(payload).setProtectedHeader(whole).sign(key);
  }

  /** Ends an opaque access or refresh token at the provider, and no other of its login. */
  async revoke(token: string): Promise<void> {
    const { AccessToken, RefreshToken } = this.#provider;
    const found = await AccessToken.find(token) ?? await RefreshToken.find(token);
    if (!found) throw new Error("the provider keeps no such token");
    await found.destroy();
  }

  /** Down at once, whatever is under way; it knows everything still. */
  async stop(): Promise<void> {
    const http = this.#http;
    if (!http) return;
    this.#http = undefined;
    const closed = new Promise((resolve) => http.close(resolve));
    http.closeAllConnections();
    await closed;
  }

  /** Up again, or anew, on the same port. */
  async restart(): Promise<void> {
    await this.stop();
    await this.#listen();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  get #jwt(): boolean {
    return this.#options.shape === "plain" && this.#options.jwt === true;
  }

  get #algorithm(): string {
    return SHAPES[this.#options.shape].algorithm;
  }

  async #listen(): Promise<void> {
    const http = createServer((request, response) => void this.#serve(request, response));
    await new Promise<void>((resolve, reject) => {
      http.once("error", reject);
      http.listen(this.#port, "127.0.0.1", resolve);
    });
    this.#port = (http.address() as AddressInfo).port;
    this.#http = http;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "" } = request;
    const { pathname: path, search } = new URL(url, this.url);
    const call = { method, path, query: search.slice(1), body: "" };
    this.calls.push(call);
    record(request, (text) => call.body += text);
    const instead = this.intercept?.({ method, path });
    if (!instead) {
      if (this.#options.shape === "globus") this.#takeRawSecret(request);
      return await this.#answer(request, response);
    }
    try {
      // For `calls`.
      for await (const _ of request);
    } catch {
      return; // The client has gone.
    }
    if (instead !== "hang") response.writeHead(instead.status, instead.headers).end(instead.body);
  }

  /** Globus takes id and secret as they are; oidc-provider, as RFC 6749 has it, form-encoded only. */
  #takeRawSecret(request: IncomingMessage): void {
    const pair = basicPair(request.headers.authorization);
    const server = this.#options.servers.find(({ id, secret }) => pair === `${id}:${secret}`);
    if (!server) return;
    const encoded = [server.id, server.secret].map(encodeURIComponent).join(":");
    request.headers.authorization = `Basic ${Buffer.from(encoded).toString("base64")}`;
  }

  #makeProvider(): Provider {
    const { shape, servers, accessTokenSeconds = 3600 } = this.#options;
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
          grant_types: shape === "globus" ? [DEPENDENT_TOKEN] : [],
          response_types: [],
          redirect_uris: [],
        })),
      ],
      clientDefaults: { id_token_signed_response_alg: this.#algorithm },
      enabledJWA: { idTokenSigningAlgValues: [this.#algorithm] },
      jwks: { keys: [this.#key] },
      cookies: { keys: [crypto.randomUUID()] },
      routes: { userinfo, authorization, token, introspection, revocation, jwks },
      scopes: [...OIDC_SCOPES, ...servers.flatMap(scopesOf)],
      claims: { openid: USER_CLAIMS },
      findAccount: (_ctx: unknown, sub: string) => ({
        accountId: sub,
        claims: () => ({ sub, preferred_username: this.#logins.get(sub), ...this.#known(sub) }),
      }),
      extraTokenClaims: (_ctx: unknown, issued: Token) => this.#tokenClaims(issued),
      extraParams: ["access_type"],
      issueRefreshToken: (_ctx: unknown, _client: unknown, code: Token) =>
        code.scopes.has("offline_access") || this.#offline.has(code.jti),
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
    provider.on("authorization.success", ({ oidc: { params } }, { code }) => {
      if (shape === "globus" && params.access_type === "offline" && code) this.#offline.add(code);
    });
    provider.use(showCode);
    if (shape === "globus") this.#beGlobus(provider);
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

  #known(sub: string): Omit<OAuthUser, "groups"> {
    const login = this.#logins.get(sub) ?? "";
    const { groups: _, ...user } = this.#options.users?.[login] ?? {};
    const email = login.includes("@") ? login : `${login}@example.org`;
    return { email, email_verified: false, name: login, ...user };
  }

  #groups(sub: string): string[] {
    return this.#options.users?.[this.#logins.get(sub) ?? ""]?.groups ?? [];
  }

  /** In a JWT, or in what introspection says of an opaque token. */
  #tokenClaims(token: Token): Record<string, unknown> {
    const sub = token.accountId;
    const jwt = token.resourceServer?.accessTokenFormat === "jwt";
    return {
      [jwt ? "preferred_username" : "username"]: this.#logins.get(sub),
      ...this.#known(sub),
      ...this.#options.shape === "plain" && { groups: this.#groups(sub) },
      ...this.#claims.get(token),
    };
  }

  #beGlobus(provider: Provider): void {
    provider.use((ctx, next) => this.#createScope(ctx, next));
    provider.use((ctx, next) => this.#myGroups(ctx, next));
    provider.use((ctx, next) => this.#onePerServer(ctx, next));
    provider.registerGrantType(DEPENDENT_TOKEN, (ctx) => this.#dependentToken(ctx), ["token"]);
  }

  async #createScope(ctx: Context, next: Next): Promise<void> {
    const { pathname } = new URLPattern({ pathname: this.paths.scopes })
      .exec({ pathname: ctx.path }) ?? {};
    if (!pathname || ctx.method !== "POST") return await next();
    const id = decodeURIComponent(pathname.groups.id ?? "");
    const [user, secret] = (basicPair(ctx.get("authorization")) ?? "").split(":").map(formDecode);
    if (!this.#options.servers.some((each) => each.id === user && each.secret === secret)) {
      return fail(ctx, 401, "AUTHENTICATION_FAILED", "Client authentication failed");
    }
    if (id !== user) return fail(ctx, 403, "FORBIDDEN", "Not this client's scopes");
    let text = "";
    for await (const chunk of ctx.req) text += chunk;
    const body = JSON.parse(text);
    this.createdScopes.push(body);
    const { scope_suffix, allow_refresh_tokens = true, ...scope } = body.scope;
    const scopeString = `https://auth.globus.org/scopes/${id}/${scope_suffix}`;
    if (this.#scopes.has(scopeString)) {
      return fail(ctx, 409, "CONFLICT", `Scope ${scopeString} already exists`);
    }
    this.#scopes.add(scopeString);
    ctx.status = 201;
    ctx.body = {
      scopes: [{
        ...scope,
        id: crypto.randomUUID(),
        client: id,
        scope_string: scopeString,
        allows_refresh_token: allow_refresh_tokens,
      }],
    };
  }

  async #myGroups(ctx: Context, next: Next): Promise<void> {
    if (ctx.path !== this.paths.groups || ctx.method !== "GET") return await next();
    const [, bearer = ""] = /^Bearer (\S+)$/i.exec(ctx.get("authorization")) ?? [];
    const token = await this.#provider.AccessToken.find(bearer);
    if (!token?.isValid || !token.scopes.has(GROUPS_SCOPE)) {
      return fail(ctx, 401, "AUTHENTICATION_FAILED", "Not a token for Globus Groups");
    }
    ctx.body = this.#groups(token.accountId).map((name) => ({ id: name, name }));
  }

  async #dependentToken(ctx: Context): Promise<void> {
    const { client, params } = ctx.oidc as OidcContext;
    const server = this.#options.servers.find(({ id }) => id === client.clientId);
    const given = await this.#provider.AccessToken.find(params.token ?? "");
    if (!server || !given?.isValid || !scopesOf(server).some((scope) => given.scopes.has(scope))) {
      throw new oidc.errors.InvalidGrant("not a token for this client");
    }
    const { accountId } = given;
    const token = new this.#provider.AccessToken({ client, accountId, scope: GROUPS_SCOPE });
    ctx.body = [{
      access_token: await token.save(),
      scope: GROUPS_SCOPE,
      resource_server: GROUPS_SERVER,
      expires_in: token.expiration,
      token_type: "Bearer",
    }];
  }

  /** Globus never makes one token for two resource servers: the first one's is on top, others beside. */
  async #onePerServer(ctx: Context, next: Next): Promise<void> {
    await next();
    const { AccessToken: first, RefreshToken: refresh } = ctx.oidc?.entities ?? {};
    if (ctx.path !== this.paths.token || !isTokenAnswer(ctx.body) || !first) return;
    const ofServer = this.#options.servers.map((server) => ({
      id: server.id,
      scopes: [...first.scopes].filter((scope) => scopesOf(server).includes(scope)),
    })).filter(({ scopes }) => scopes.length > 0);
    const asked = [...first.scopes];
    ofServer.sort((a, b) => asked.indexOf(a.scopes[0] ?? "") - asked.indexOf(b.scopes[0] ?? ""));
    const [top, ...others] = ofServer;
    const elsewhere = new Set(others.flatMap(({ scopes }) => scopes));
    const scope = asked.filter((each) => !elsewhere.has(each)).join(" ");
    for (const token of [first, refresh]) {
      if (!token || elsewhere.size === 0) continue;
      token.scope = scope;
      await token.save();
    }
    ctx.body = {
      ...ctx.body,
      scope,
      resource_server: top?.id ?? "auth.globus.org",
      other_tokens: await Promise.all(
        others.map(async ({ id, scopes }) => ({
          ...await this.#tokensOfTheirOwn(first, scopes.join(" "), refresh !== undefined),
          resource_server: id,
        })),
      ),
    };
  }

  /** With a grant of their own as well, so that they outlive the others' revocation. */
  async #tokensOfTheirOwn(
    { accountId, client }: Token,
    scope: string,
    offline: boolean,
  ): Promise<Record<string, unknown>> {
    const { Grant, AccessToken, RefreshToken } = this.#provider;
    const grant = new Grant({ accountId, clientId: client.clientId });
    grant.addOIDCScope(scope);
    const values = { accountId, client, scope, grantId: await grant.save() };
    const access = new AccessToken({ ...values, gty: "authorization_code" });
    return {
      access_token: await access.save(),
      ...offline && {
        refresh_token: await new RefreshToken({
          ...values,
          gty: "authorization_code",
          rotations: 0,
        }).save(),
      },
      expires_in: access.expiration,
      scope,
      token_type: "Bearer",
    };
  }
}

async function newKey(): Promise<JWK> {
  const algorithm = {
    name: "RSASSA-PKCS1-v1_5",
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
    hash: "SHA-256",
  };
  const { privateKey } = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const { kty, n, e, d, p, q, dp, dq, qi } = await crypto.subtle.exportKey("jwk", privateKey);
  const jwk = { kty, n, e, d, p, q, dp, dq, qi } as JWK;
  return { ...jwk, use: "sig", kid: await calculateJwkThumbprint(jwk) };
}

/** Hands on what whoever reads the request reads; oidc-provider wants to do so itself. */
function record(request: IncomingMessage, take: (text: string) => void): void {
  const decoder = new TextDecoder();
  const read = request.read.bind(request);
  request.read = (size?: number) => {
    const chunk = read(size);
    if (chunk !== null) take(decoder.decode(chunk, { stream: true }));
    return chunk;
  };
}

/** The page that shows a code to be copied, as Globus has one. */
async function showCode(ctx: Context, next: Next): Promise<void> {
  if (ctx.path !== CODE_PAGE) return await next();
  const { code, error, error_description } = ctx.query;
  ctx.type = "html";
  ctx.body = `<!DOCTYPE html><title>Code</title>` +
    (code
      ? `<p>Paste this code:</p><code id="code">${escape(code)}</code>`
      : `<p id="error">${escape(`${error}: ${error_description}`)}</p>`);
}

/** What went wrong where the user cannot be sent back, with the details that clients are not told. */
function showError(
  ctx: Context,
  shown: Record<string, string>,
  error: { error_detail?: string },
): void {
  ctx.type = "html";
  const { error_detail = "" } = error;
  const lines = Object.entries({ ...shown, error_detail });
  ctx.body = `<!DOCTYPE html><title>Error</title>` +
    lines.map(([name, text]) => `<p>${name}: ${escape(text)}</p>`).join("");
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Whoever has a secret may introspect any token: that a token is meant for it, each checks itself. */
function isConfidential(_ctx: unknown, client: Client): boolean {
  return client.clientAuthMethod !== "none";
}

function isOwn(_ctx: unknown, client: Client, token: Token): boolean {
  return token.clientId === client.clientId;
}

function scopesOf(server: OAuthResourceServer): string[] {
  return server.scope.split(" ");
}

/** `ID:SECRET`, as it was sent. */
function basicPair(authorization: string | undefined): string | undefined {
  const [, encoded] = /^Basic (\S+)$/i.exec(authorization ?? "") ?? [];
  return encoded && Buffer.from(encoded, "base64").toString();
}

function formDecode(text: string): string {
  return new URLSearchParams(`=${text}`).get("") ?? "";
}

function fail(ctx: Context, status: number, code: string, detail: string): void {
  ctx.status = status;
  ctx.body = { errors: [{ code, status: `${status}`, detail }] };
}

function isTokenAnswer(body: unknown): body is Record<string, unknown> {
  return typeof body === "object" && body !== null && "access_token" in body;
}

/** The parts of oidc-provider that are used here; it comes without types. */
const oidc = untyped as unknown as {
  Provider: new (issuer: string, setup: Record<string, unknown>) => Provider;
  errors: Record<"InvalidGrant" | "InvalidTarget", new (detail?: string) => Error>;
};

type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;
type Next = () => Promise<void>;

interface Provider {
  AccessToken: TokenModel;
  RefreshToken: TokenModel;
  Client: { find(id: string): Promise<Client | undefined> };
  Grant: new (values: { accountId: string; clientId: string }) => Grant;
  ResourceServer: new (identifier: string, info: Record<string, unknown>) => ResourceServer;
  callback(): Handler;
  use(middleware: (ctx: Context, next: Next) => Promise<void>): void;
  on(
    event: "authorization.success",
    listener: (ctx: { oidc: OidcContext }, answer: { code?: string }) => void,
  ): void;
  registerGrantType(
    name: string,
    handler: (ctx: Context) => Promise<void>,
    parameters: string[],
  ): void;
  interactionFinished(
    request: IncomingMessage,
    response: ServerResponse,
    result: { login?: { accountId: string } },
    options: unknown,
  ): Promise<void>;
}

interface Client {
  clientId: string;
  clientAuthMethod: string;
}

interface Grant {
  addOIDCScope(scope: string): void;
  save(): Promise<string>;
}

interface ResourceServer {
  accessTokenFormat: string;
}

interface Token {
  readonly jti: string;
  readonly accountId: string;
  readonly clientId: string;
  readonly client: Client;
  readonly scopes: Set<string>;
  readonly isValid: boolean;
  readonly expiration: number;
  scope?: string;
  aud?: string;
  resourceServer?: ResourceServer;
  save(): Promise<string>;
  destroy(): Promise<void>;
}

interface TokenModel {
  new (values: Record<string, unknown>): Token;
  find(value: string): Promise<Token | undefined>;
}

interface OidcContext {
  client: Client;
  params: Record<string, string | undefined>;
  entities: { AccessToken?: Token; RefreshToken?: Token };
}

/** Koa's. */
interface Context {
  readonly method: string;
  readonly path: string;
  readonly query: Record<string, string | undefined>;
  readonly req: IncomingMessage;
  readonly oidc?: OidcContext;
  status: number;
  type: string;
  body: unknown;
  get(header: string): string;
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
