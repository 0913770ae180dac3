/**
 * What an identity provider answers, which may be broken: no error tells what was sent or what came.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import * as oauth from "oauth4webapi";
import { globusGroups } from "../../../lib/auth/globus_groups.ts";
import { whatProviderDid } from "../../../lib/auth/http.ts";
import { Introspection } from "../../../lib/auth/introspection.ts";
import { Authorization, granted } from "../../../lib/auth/login.ts";
import { Provider, scopeOf } from "../../../lib/auth/provider.ts";
import { ScistreamError } from "../../../lib/protocol/errors.ts";
import { Secret } from "../../../lib/protocol/secret.ts";
import { assertSentence, attempt, attemptLater, isDate, type Target, textOf } from "../target.ts";

const ISSUER = "https://idp.example.invalid";
/** Stands in answers and in what is sent; any six characters of it are found again. */
const TOKEN = "zQ7xKw3JpV9mTb5h";
const PIECES = Array.from({ length: TOKEN.length - 5 }, (_, i) => TOKEN.slice(i, i + 6));

/** What it answers now: a status and a type on the first line, then the body. */
let answer = "";

function respond(): Promise<Response> {
  const cut = answer.indexOf("\n");
  const [status, type] = (cut < 0 ? "" : answer.slice(0, cut)).split(" ");
  const number = /^[2-5]\d\d$/.test(status ?? "") ? Number(status) : 200;
  const empty = [204, 205, 304].includes(number);
  const headers = { "content-type": /^[!-~]+$/.test(type ?? "") ? type as string : "text/plain" };
  const body = cut < 0 ? answer : answer.slice(cut + 1);
  return Promise.resolve(new Response(empty ? null : body, { status: number, headers }));
}

const provider = {
  name: "test",
  issuer: ISSUER,
  globus: true,
  metadata: () =>
    Promise.resolve({
      issuer: ISSUER,
      token_endpoint: `${ISSUER}/token`,
      authorization_endpoint: `${ISSUER}/authorize`,
      introspection_endpoint: `${ISSUER}/introspect`,
    }),
  failed: Provider.prototype.failed,
  http: { fetch: respond, options: { [oauth.customFetch]: respond } },
  [Symbol.dispose]() {},
} as unknown as Provider;
const client = { id: "gateway", secret: new Secret(TOKEN) };
const introspection = new Introspection(provider, client, { scope: "scistream" });

/** Does it; whatever goes wrong is said without anything of the answer. */
async function told<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    const sentence = error instanceof ScistreamError ? error.message : whatProviderDid(error);
    // OAuth's own error codes are shown.
    const codes = /"error"\s*:/.test(answer) ? [] : PIECES;
    assertSentence(sentence, codes);
  }
}

const json = (value: unknown, status = 200) =>
  `${status} application/json\n${JSON.stringify(value)}`;
const WORDS = [
  "200 application/json\n",
  "401 application/json\n",
  "500 text/html\n",
  `"access_token":"${TOKEN}"`,
  TOKEN,
  '"active":true',
  '"resource_server":"groups.api.globus.org"',
  '"scope":"scistream"',
  "tru",
  "[{",
  '"exp":1e999',
  '"error":"invalid_client"',
];

const introspected: Target = {
  name: "introspection",
  seeds: [
    json({ active: true, scope: "scistream", sub: "u", exp: 4e9 }),
    json({ active: false }),
    json({ error: "invalid_client" }, 401),
    `200 application/json\n{"active":true,"x":"${TOKEN}"x}`,
    `200 application/json\n${TOKEN}`,
  ],
  dictionary: WORDS,
  async run(bytes) {
    answer = textOf(bytes);
    const verdict = await told(() => introspection.verify(TOKEN));
    if (!verdict) return;
    if ("refused" in verdict) assertSentence(verdict.refused, PIECES);
    else assert(isDate(verdict.expiresMs), `expires ${verdict.expiresMs}`);
  },
};

const groups: Target = {
  name: "groups",
  seeds: [
    json([{ resource_server: "groups.api.globus.org", access_token: TOKEN, id: "g1" }]),
    `200 application/json\n[{"access_token":"${TOKEN}"x}]`,
    json([{ id: 7 }, null, "x"]),
    json({}, 500),
  ],
  dictionary: WORDS,
  async run(bytes) {
    answer = textOf(bytes);
    const ids = await told(() => globusGroups(provider, client, "https://groups.invalid", TOKEN));
    assert(ids === undefined || ids.every((id) => typeof id === "string"));
  },
};

const tokenAnswer: Target = {
  name: "token_answers",
  seeds: [
    json({ access_token: TOKEN, token_type: "bearer", expires_in: 3600, refresh_token: "r" }),
    json({ access_token: TOKEN, token_type: "bearer", expires_in: "60" }),
    json({ access_token: TOKEN, token_type: "bearer", expires_in: 1e14 }),
    json({ error: "invalid_grant" }, 400),
  ],
  dictionary: [...WORDS, '"expires_in":1e999', '"token_type":"bearer"', '"expires_in":-1'],
  async run(bytes) {
    answer = textOf(bytes);
    const metadata = await provider.metadata();
    const login = await told(async () => {
      const response = await respond();
      const asked = { client_id: "c" };
      return granted(await oauth.processRefreshTokenResponse(metadata, asked, response), 5);
    });
    if (!login) return;
    assertEquals(String(login.accessToken), "***");
    assert(isDate(login.expiresMs), `expires ${login.expiresMs}`);
  },
};

const AUTHORIZATION = await Authorization.begin({
  provider,
  clientId: "c",
  scopes: ["scistream", "other"],
  redirectUri: "https://app.example.invalid/code",
});
const STATE = new URL(AUTHORIZATION.url).searchParams.get("state") ?? "";
const BACK = "https://app.example.invalid/code?state=STATE&code=";

/** What the user pastes on the first line, then the provider's answer. */
const login: Target = {
  name: "login",
  seeds: [
    `code-1\n${json({ access_token: TOKEN, token_type: "bearer", scope: "scistream other" })}`,
    `${BACK}x\n${
      json({
        access_token: TOKEN,
        token_type: "bearer",
        scope: "scistream",
        other_tokens: [{ access_token: TOKEN, scope: "other", expires_in: 60 }],
      })
    }`,
    `${BACK}x\n${json({ access_token: TOKEN, token_type: "bearer", scope: "else" })}`,
    "https://app.example.invalid/code?error=access_denied&state=STATE\n",
    "a b\n",
  ],
  dictionary: [
    ...WORDS,
    BACK,
    "&error=x",
    "&iss=y",
    '"other_tokens":[',
    '"expires_in":1e99',
    "STATE",
  ],
  async run(bytes) {
    const text = textOf(bytes);
    const cut = text.indexOf("\n");
    answer = cut < 0 ? "" : text.slice(cut + 1);
    const pasted = (cut < 0 ? text : text.slice(0, cut)).replace("STATE", STATE);
    const told = /error/.test(text) ? [] : PIECES;
    const secrets = pasted.includes(TOKEN.slice(0, 6)) ? [] : told;
    const { value } = await attemptLater(
      () => AUTHORIZATION.pasted(pasted),
      [ScistreamError],
      secrets,
    );
    assert(value === undefined || value.length === 2);
    for (const { accessToken, refreshToken, name, issuedMs, expiresMs } of value ?? []) {
      assertEquals([String(accessToken), String(refreshToken ?? "***")], ["***", "***"]);
      assert(typeof accessToken.reveal() === "string" && typeof name === "string");
      assert(isDate(issuedMs) && isDate(expiresMs), `expires ${expiresMs}`);
    }
  },
};

const settings: Target = {
  name: "provider",
  seeds: [
    "https://idp.example.org/realm",
    "http://localhost:8080",
    "http://127.0.0.1",
    "http://idp.example.org",
    "https://u:p@h/?x#y",
    "4787c84e-9c55-4881-b941-cb6720cea11c",
    "openid profile",
  ],
  dictionary: ["https://", "http://", "localhost", "[::1]", "127.0.0.1", "@", "?", "#"],
  run(bytes) {
    const text = textOf(bytes);
    for (const globus of [true, false]) {
      const scope = attempt(() => scopeOf(globus, text), [ScistreamError]).value;
      assert(scope === undefined || !/\s/.test(scope) && scope.includes(text));
    }
    const made = attempt(() => new Provider({ issuer: text }), [ScistreamError]).value;
    if (!made) return;
    using used = made;
    const url = new URL(used.issuer);
    assert(["https:", "http:"].includes(url.protocol) && url.password === "");
    const local = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
    assert(url.protocol === "https:" || local, used.issuer);
  },
};

/** Those of this file. */
export const providerTargets: readonly Target[] = [
  introspected,
  groups,
  tokenAnswer,
  login,
  settings,
];
