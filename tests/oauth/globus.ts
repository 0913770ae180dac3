/**
 * What Globus Auth does in ways of its own: tokens that come apart by resource server, secrets as they
 * are, scopes made over HTTP, dependent tokens, groups.
 * @module
 */
import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { type Context, type Next, oidc, type Provider, type Token } from "./oidc_provider.ts";
import { type OAuthResourceServer, scopesOf } from "./options.ts";
import type { OAuthPaths } from "./shapes.ts";
import type { Users } from "./accounts.ts";

/** The grant of a server that goes on in its caller's name. */
export const DEPENDENT_TOKEN = "urn:globus:auth:grant_type:dependent_token";
const GROUPS_SERVER = "groups.api.globus.org";
const GROUPS_SCOPE = `urn:globus:auth:scope:${GROUPS_SERVER}:view_my_groups_and_memberships`;

/** Teaches a provider Globus' ways. */
export class Globus {
  /** What was sent to make scopes. */
  readonly createdScopes: Record<string, unknown>[] = [];
  readonly #servers: OAuthResourceServer[];
  readonly #paths: OAuthPaths;
  readonly #users: Users;
  /** Codes whose request asked for `access_type=offline`. */
  readonly #offline = new Set<string>();
  readonly #scopes = new Set<string>();

  constructor(servers: OAuthResourceServer[], paths: OAuthPaths, users: Users) {
    this.#servers = servers;
    this.#paths = paths;
    this.#users = users;
  }

  /** To be called once, before the provider answers. */
  teach(provider: Provider): void {
    provider.on("authorization.success", ({ oidc: { params } }, { code }) => {
      if (params.access_type === "offline" && code) this.#offline.add(code);
    });
    provider.use((ctx, next) => this.#createScope(ctx, next));
    provider.use((ctx, next) => this.#myGroups(provider, ctx, next));
    provider.use((ctx, next) => this.#onePerServer(provider, ctx, next));
    const dependent = (ctx: Context) => this.#dependentToken(provider, ctx);
    provider.registerGrantType(DEPENDENT_TOKEN, dependent, ["token"]);
  }

  /** Whether a refresh token comes with this code's access token, `offline_access` or not. */
  isOffline(code: string): boolean {
    return this.#offline.has(code);
  }

  /** Globus takes id and secret as they are; oidc-provider, as RFC 6749 has it, form-encoded only. */
  takeRawSecret(request: IncomingMessage): void {
    const pair = basicPair(request.headers.authorization);
    const server = this.#servers.find(({ id, secret }) => pair === `${id}:${secret}`);
    if (!server) return;
    const encoded = [server.id, server.secret].map(encodeURIComponent).join(":");
    request.headers.authorization = `Basic ${Buffer.from(encoded).toString("base64")}`;
  }

  async #createScope(ctx: Context, next: Next): Promise<void> {
    const { pathname } = new URLPattern({ pathname: this.#paths.scopes })
      .exec({ pathname: ctx.path }) ?? {};
    if (!pathname || ctx.method !== "POST") return await next();
    const id = decodeURIComponent(pathname.groups.id ?? "");
    const [user, secret] = (basicPair(ctx.get("authorization")) ?? "").split(":").map(formDecode);
    if (!this.#servers.some((each) => each.id === user && each.secret === secret)) {
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

  async #myGroups(provider: Provider, ctx: Context, next: Next): Promise<void> {
    if (ctx.path !== this.#paths.groups || ctx.method !== "GET") return await next();
    const [, bearer = ""] = /^Bearer (\S+)$/i.exec(ctx.get("authorization")) ?? [];
    const token = await provider.AccessToken.find(bearer);
    if (!token?.isValid || !token.scopes.has(GROUPS_SCOPE)) {
      return fail(ctx, 401, "AUTHENTICATION_FAILED", "Not a token for Globus Groups");
    }
    ctx.body = this.#users.groups(token.accountId).map((name) => ({ id: name, name }));
  }

  async #dependentToken({ AccessToken }: Provider, ctx: Context): Promise<void> {
    const { client, params } = ctx.oidc ?? {};
    const server = this.#servers.find(({ id }) => id === client?.clientId);
    const given = await AccessToken.find(params?.token ?? "");
    if (!server || !given?.isValid || !scopesOf(server).some((scope) => given.scopes.has(scope))) {
      throw new oidc.errors.InvalidGrant("not a token for this client");
    }
    const { accountId } = given;
    const token = new AccessToken({ client, accountId, scope: GROUPS_SCOPE });
    ctx.body = [{
      access_token: await token.save(),
      scope: GROUPS_SCOPE,
      resource_server: GROUPS_SERVER,
      expires_in: token.expiration,
      token_type: "Bearer",
    }];
  }

  /** Globus never makes one token for two resource servers: the first one's is on top, others beside. */
  async #onePerServer(provider: Provider, ctx: Context, next: Next): Promise<void> {
    await next();
    const { AccessToken: first, RefreshToken: refresh } = ctx.oidc?.entities ?? {};
    if (ctx.path !== this.#paths.token || !isTokenAnswer(ctx.body) || !first) return;
    const ofServer = this.#servers.map((server) => ({
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
          ...await tokensOfTheirOwn(provider, first, scopes.join(" "), refresh !== undefined),
          resource_server: id,
        })),
      ),
    };
  }
}

/** With a grant of their own as well, so that they outlive the others' revocation. */
async function tokensOfTheirOwn(
  { Grant, AccessToken, RefreshToken }: Provider,
  { accountId, client }: Token,
  scope: string,
  offline: boolean,
): Promise<Record<string, unknown>> {
  const grant = new Grant({ accountId, clientId: client.clientId });
  grant.addOIDCScope(scope);
  const grantId = await grant.save();
  const values = { accountId, client, scope, grantId, gty: "authorization_code" };
  const access = new AccessToken(values);
  return {
    access_token: await access.save(),
    ...offline && { refresh_token: await new RefreshToken({ ...values, rotations: 0 }).save() },
    expires_in: access.expiration,
    scope,
    token_type: "Bearer",
  };
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
