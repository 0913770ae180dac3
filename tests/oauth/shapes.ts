/**
 * Where providers are asked for what, and what else tells one kind from the other.
 * @module
 */

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

/** A kind of provider. */
interface Shape {
  /** The command line client's. */
  nativeClientId: string;
  /** What it signs with. */
  algorithm: string;
  paths: OAuthPaths;
}

const COMMON = {
  discovery: "/.well-known/openid-configuration",
  groups: "/v2/groups/my_groups",
  scopes: "/v2/api/clients/:id/scopes",
};

/** Globus Auth, and oidc-provider as it comes. */
export const SHAPES: Record<"globus" | "plain", Shape> = {
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
};
