/**
 * The parts of oidc-provider that are used here; it comes without types.
 * @module
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import * as untyped from "oidc-provider";

/** The package. */
export const oidc = untyped as unknown as {
  Provider: new (issuer: string, setup: Record<string, unknown>) => Provider;
  errors: Record<"InvalidGrant" | "InvalidTarget", new (detail?: string) => Error>;
};

/** Answers a request. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;
/** What comes behind a middleware. */
export type Next = () => Promise<void>;

/** A provider, and what it knows, by kind. */
export interface Provider {
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

/** A registered client. */
export interface Client {
  clientId: string;
  clientAuthMethod: string;
}

/** What a user consented to. */
export interface Grant {
  addOIDCScope(scope: string): void;
  save(): Promise<string>;
}

/** What a token of its audience is like. */
export interface ResourceServer {
  accessTokenFormat: string;
}

/** An access or refresh token, or an authorization code. */
export interface Token {
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

/** Makes and finds tokens of one kind. */
export interface TokenModel {
  new (values: Record<string, unknown>): Token;
  find(value: string): Promise<Token | undefined>;
}

/** What an OAuth request is about. */
export interface OidcContext {
  client: Client;
  params: Record<string, string | undefined>;
  entities: { AccessToken?: Token; RefreshToken?: Token };
}

/** Koa's. */
export interface Context {
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
