/**
 * Which provider, and what it is asked for.
 * @module
 */

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

/** A server's scopes, one by one. */
export function scopesOf(server: OAuthResourceServer): string[] {
  return server.scope.split(" ");
}
