/**
 * What tokens, claims and rules say.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { exportJWK, importPKCS8, importX509, SignJWT } from "jose";
import { Authenticator } from "../../../lib/auth/authenticator.ts";
import { readIdentity, Rules } from "../../../lib/auth/identity.ts";
import { JwtVerification } from "../../../lib/auth/jwt.ts";
import type { Provider } from "../../../lib/auth/provider.ts";
import { judge, type Verdict } from "../../../lib/auth/verifier.ts";
import { ScistreamError } from "../../../lib/protocol/errors.ts";
import { Secret } from "../../../lib/protocol/secret.ts";
import {
  assertSentence,
  attempt,
  attemptLater,
  isDate,
  isRecord,
  jsonOf,
  type Target,
  textOf,
} from "../target.ts";
import { CERTIFICATE, KEY } from "./pem.ts";

const ISSUER = "https://idp.example.invalid";
const EXPECTED = { scope: "scistream", audience: "gateway" };
const NOW = Date.UTC(2026, 0, 1);
/** Long after. */
const LATER = NOW / 1000 + 1e9;
const GOOD = {
  sub: "u1",
  iss: ISSUER,
  username: "alice@anl.example",
  email: "a@b.example",
  email_verified: true,
  groups: ["staff", "beamline"],
  scope: "openid scistream",
  aud: ["gateway"],
  exp: LATER,
  iat: 1,
  nbf: 1,
};
const CLAIM_WORDS = [
  ...Object.entries(GOOD).map(([key, value]) => `"${key}":${JSON.stringify(value)}`),
  '"exp":1e999',
  '"exp":-1',
  '"nbf":"x"',
  '"scp":["scistream"]',
  '"sub":null',
  '"\\u0007"',
  '"preferred_username":"@"',
  '"aud":"gateway other"',
];

/** What a verdict must be, whatever it was made of. */
function assertVerdict(verdict: Verdict, nowMs: number): void {
  if ("refused" in verdict) return assertSentence(verdict.refused);
  assert(isDate(verdict.expiresMs), `expires ${verdict.expiresMs}`);
  assert(verdict.expiresMs > nowMs);
  const { nbf, iss, exp } = verdict.claims;
  assert(nbf === undefined || typeof nbf === "number" && nbf * 1000 <= nowMs + 30_000, "nbf");
  assert(iss === undefined || iss === ISSUER);
  assert(exp === undefined || typeof exp === "number");
}

const claims: Target = {
  name: "claims",
  seeds: [
    JSON.stringify(GOOD),
    '{"sub":"u","scp":["scistream"],"aud":"gateway"}',
    JSON.stringify({ ...GOOD, exp: NOW / 1000 }),
    JSON.stringify({ ...GOOD, exp: 1e14 }),
    '{"sub":7}',
  ],
  dictionary: CLAIM_WORDS,
  run(bytes) {
    const given = jsonOf(bytes);
    if (!isRecord(given)) return;
    assertVerdict(judge(given, ISSUER, EXPECTED, NOW), NOW);
    const identity = readIdentity(ISSUER, given, "groups");
    if (!identity) return;
    const { subject, name, domain, groups } = identity;
    for (const text of [subject, name, ...groups]) {
      assert(text !== "" && text.length <= 255 && !/\p{Cc}/u.test(text), JSON.stringify(text));
    }
    assert(!domain.includes("@") && domain === domain.toLowerCase());
    // What cannot be read out of somebody's identity cannot be ruled about.
    for (const rule of [`id:${subject}`, `user:${name}`]) {
      if (rule === rule.trim() && /^[^\n\u2028\u2029]+$/.test(rule)) {
        assert(Rules.parse([rule]).fit(identity), rule);
      }
    }
    const same = { ...given, username: name, groups };
    const again = readIdentity(ISSUER, same, "groups");
    assertEquals([again?.subject, again?.name, again?.groups], [subject, name, groups]);
  },
};

const rules: Target = {
  name: "rules",
  seeds: [
    "user:alice@anl.example\ngroup:staff",
    "id:u1",
    "domain:ANL.example",
    "10.0.0.0/8",
    "user:",
  ],
  dictionary: ["user:", "id:", "domain:", "group:", "\n", " "],
  run(bytes) {
    const texts = textOf(bytes).split("\n");
    const nobody = { issuer: ISSUER, subject: "", name: "", domain: "", groups: [] };
    const { value } = attempt(() => Rules.parse(texts), [ScistreamError]);
    assertEquals(typeof value?.nameGroups, value ? "boolean" : "undefined");
    if (value) {
      assert(texts.every(Rules.isRule));
      assert(!value.fit(nobody), "a rule that fits nobody");
    }
  },
};

/** A verifier that takes the token for its own claims. */
function naive(ask: () => Verdict) {
  return {
    provider: "test",
    issuer: ISSUER,
    verify: () => Promise.resolve(ask()),
    [Symbol.dispose]() {},
  };
}

const authenticator: Target = {
  name: "authenticator",
  seeds: [
    "AgpQoBo1VvvYkk2n",
    "INVALID_TOKEN",
    "",
    "short",
    `${"x".repeat(40)}==`,
    `${"x".repeat(16)}${"=".repeat(17_000)}`,
    "a b c d e f g",
  ],
  dictionary: ["=", "~", ".", "Bearer "],
  async run(bytes) {
    const token = textOf(bytes);
    let asked = 0;
    const told: string[] = [];
    using checker = new Authenticator({
      verifier: naive(() => {
        asked++;
        return judge(bytes.length % 2 ? {} : GOOD, ISSUER, EXPECTED, NOW);
      }),
      clientId: "gateway",
      groupsClaim: "groups",
      cacheMs: 1000,
      log: (_level, message) => void told.push(message),
    });
    const secrets = token.length >= 16 ? [token] : [];
    const { value } = await attemptLater(
      () => checker.authenticate(new Secret(token)),
      [ScistreamError],
      secrets,
    );
    for (const message of told) assertSentence(message, secrets);
    if (asked > 0) assert(/^[!-~]{8,17000}$/.test(token), "a question that is not worth it");
    if (value) assertEquals(value.name, GOOD.username);
  },
};

const signingKey = await importPKCS8(KEY, "ES256");
const jwk = await exportJWK(await importX509(CERTIFICATE, "ES256", { extractable: true }));
const provider = {
  name: "test",
  issuer: ISSUER,
  metadata: () => Promise.resolve({ issuer: ISSUER, jwks_uri: `${ISSUER}/jwks` }),
  http: {
    fetch: () => Promise.resolve(Response.json({ keys: [{ ...jwk, kid: "1" }] })),
  },
  [Symbol.dispose]() {},
} as unknown as Provider;
const verification = new JwtVerification(provider, EXPECTED);

/** Header, payload and signature, a line each; "sign" in the last signs the payload. */
function jwt(header: object, payload: object, signature = "sign"): string {
  return [JSON.stringify(header), JSON.stringify(payload), signature].join("\n");
}

async function tokenOf(text: string): Promise<string> {
  const [header = "", payload = "", signature = ""] = text.split("\n");
  const claims = jsonOf(new TextEncoder().encode(payload));
  if (signature === "sign" && isRecord(claims)) {
    const signed = new SignJWT(claims).setProtectedHeader({ alg: "ES256", typ: "at+jwt" });
    const made = await signed.sign(signingKey).catch(() => undefined);
    if (made) return made;
  }
  if (signature === "raw") return header;
  const encoder = new TextEncoder();
  const part = (each: string) =>
    encoder.encode(each).toBase64({ alphabet: "base64url", omitPadding: true });
  return [part(header), part(payload), part(signature)].join(".");
}

const HEADER = { alg: "ES256", typ: "at+jwt" };

const tokens: Target = {
  name: "jwt",
  seeds: [
    jwt(HEADER, GOOD),
    jwt(HEADER, GOOD, "x".repeat(64)),
    jwt({ ...HEADER, kid: "1", crit: ["b64"], b64: false }, GOOD, "x"),
    jwt({ alg: "none" }, GOOD, ""),
    jwt({ alg: "RS256", kid: "1" }, GOOD, "x"),
    "a.b.c\n\nraw",
    "a.b.c.d.e\n\nraw",
  ],
  dictionary: [
    ...CLAIM_WORDS,
    '"alg":"HS256"',
    '"alg":"EdDSA"',
    '"alg":"ES384"',
    '"alg":"PS256"',
    '"kid":"1"',
    '"kid":{}',
    '"crit":["exp"]',
    '"b64":false',
    '"jwk":{}',
    '"typ":1',
    "\nsign",
    "\nraw",
  ],
  fresh: 300,
  async run(bytes) {
    // Whoever sends a bad token is refused; it must not look as if the provider were at fault.
    assertVerdict(await verification.verify(await tokenOf(textOf(bytes))), Date.now());
  },
};

/** Those of this file. */
export const authTargets: readonly Target[] = [claims, rules, authenticator, tokens];
