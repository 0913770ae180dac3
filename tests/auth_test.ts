/**
 * Who is let in by a control server that authenticates its callers: real tokens of a real provider.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Uid } from "../lib/protocol/uid.ts";
import { eventually, Gateway, scistream, tempFolder } from "./harness.ts";
import {
  assertStreams,
  authenticated,
  call,
  GATEWAY,
  globus,
  globusFlags,
  OTHER,
  plain,
  refusal,
  scopeOf,
  session,
} from "./oauth/gateway.ts";
import type { OAuthServer } from "./oauth/provider.ts";

const newUid = () => Uid.random().reveal();
const INVALID = `AUTH_ERROR 16 Authentication token is invalid for scope ${GATEWAY.id}`;

/** How often a provider was asked while something was done. */
async function asked(oauth: OAuthServer, work: () => Promise<unknown>): Promise<number> {
  const before = oauth.calls.length;
  await work();
  return oauth.calls.length - before;
}

Deno.test("a token that does not count is refused, with at most one question to the provider", async (t) => {
  await using facility = await authenticated(["--type=Mock"]);
  const { oauth, gateway } = facility;
  const mint = (options: Partial<Parameters<OAuthServer["token"]>[0]> = {}) =>
    oauth.token({ user: "alice@anl.gov", server: GATEWAY.id, ...options });
  const owner = await mint();
  const uid = newUid();
  await session(gateway, owner, uid);

  const revoked = await mint();
  await oauth.revoke(revoked);
  const bad: [name: string, token: string | undefined, questions: number][] = [
    ["INVALID_TOKEN", undefined, 0],
    ["what cannot be a token", "a token with spaces", 0],
    ["longer than any token", "x".repeat(20_000), 0],
    ["one that nobody has", "AgpqQoBo1VvvYkz8yYxyQgkgrW7nobYmG6dno8q8rgKG9", 1],
    ["one that has expired", await mint({ expiresInSeconds: -10 }), 1],
    ["a revoked one", revoked, 1],
    ["one of another scope", await mint({ scope: "openid" }), 1],
    ["one of another server", await mint({ server: OTHER.id }), 1],
    [
      "its scope as part of another's name",
      await mint({ scope: `openid ${scopeOf(GATEWAY)}x` }),
      1,
    ],
  ];
  for (const [name, token, questions] of bad) {
    await t.step(name, async () => {
      const wrong = () =>
        asked(oauth, async () => {
          for (
            const method of [
              "req",
              "hello",
              "update",
              "release",
              "status",
              "list",
              "whoami",
            ] as const
          ) {
            // Before anything else: not even what is wrong with the message is told.
            assertEquals(await refusal(call(gateway, token, method, { uid: "!" })), INVALID);
          }
        });
      assertEquals(await wrong(), questions);
      // It is remembered for a while that it does not count.
      assertEquals(await wrong(), 0);
    });
  }
  await t.step("one that is not active, whatever else the provider says of it", async () => {
    const token = await mint();
    oauth.intercept = () => json(`{"active":false,"sub":"1","scope":"${scopeOf(GATEWAY)}"}`);
    assertEquals(await refusal(call(gateway, token, "list")), INVALID);
    oauth.intercept = undefined;
  });
  await assertStreams(gateway, owner, uid);
  assertEquals((await call(gateway, owner, "list")).sessions.length, 1);
  // A good one is asked about once as well, and not again for some time.
  const good = await mint();
  assertEquals(await asked(oauth, () => call(gateway, good, "list")), 1);
  assertEquals(await asked(oauth, () => call(gateway, good, "list")), 0);
});

Deno.test("while the provider does not do its part nobody new is served, and what runs goes on", async (t) => {
  await using facility = await authenticated(["--type=Mock"]);
  const { oauth, gateway } = facility;
  const mint = () => oauth.token({ user: "alice@anl.gov", server: GATEWAY.id });
  const owner = await mint();
  const uid = newUid();
  await session(gateway, owner, uid);

  const answers = {
    "a redirect": { status: 302, headers: { location: "http://127.0.0.1:1/elsewhere" } },
    "an error": { status: 500, body: "oops" },
    "a page": { status: 200, headers: { "content-type": "text/html" }, body: "<h1>hi</h1>" },
    "no JSON": json("{"),
    "a list": json("[true]"),
    "active as a text": json('{"active":"true","sub":"1"}'),
    "a bare yes without sense": json('"active"'),
    "more than a mebibyte": json(`{"active":true,"x":"${"x".repeat(2 << 20)}"}`),
    "that it does not know us": { status: 401, body: "{}" },
    "nothing": "hang" as const,
  };
  for (const [name, answer] of Object.entries(answers)) {
    await t.step(`answers ${name}`, async () => {
      const token = await mint();
      oauth.intercept = () => answer;
      const questions = await asked(oauth, async () => {
        const uid = newUid();
        assertMatch(
          await refusal(call(gateway, token, "req", { uid, role: "PROD", num_conn: 1 })),
          /^UNAVAILABLE 14 the identity provider cannot be asked about your token now/,
        );
      });
      assertEquals(questions, 1);
      // Whoever was let in a moment ago still is.
      await assertStreams(gateway, owner, uid);
      oauth.intercept = undefined;
      // Nothing of it is remembered.
      assertEquals((await call(gateway, token, "whoami")).authenticated, true);
    });
  }
  await t.step("is down, and back", async () => {
    const token = await mint();
    await oauth.stop();
    assertMatch(await refusal(call(gateway, token, "list")), /^UNAVAILABLE 14 /);
    await gateway.process.line(
      /could not be checked with Globus Auth: the connection was refused/,
      "err",
    );
    await assertStreams(gateway, owner, uid);
    await oauth.restart();
    await call(gateway, token, "list");
  });
  assertEquals((await call(gateway, owner, "list")).sessions.length, 1);
});

const json = (body: string) => ({
  status: 200,
  headers: { "content-type": "application/json" },
  body,
});

Deno.test("an expired token is refused from that second on, whatever is remembered", async () => {
  await using facility = await authenticated(["--type=Mock", "--token-cache=3600"]);
  const { oauth, gateway } = facility;
  const token = await oauth.token({ user: "alice", server: GATEWAY.id, expiresInSeconds: 2 });
  const { expires_ms } = await call(gateway, token, "whoami");
  await eventually("the token expires", () => Date.now() >= expires_ms);
  assertEquals(await refusal(call(gateway, token, "whoami")), INVALID);
});

Deno.test("a revoked token is refused once what is remembered has run out", async () => {
  await using oauth = await globus();
  using folder = tempFolder();
  const flags = globusFlags(oauth, folder.path);
  await using gateway = await Gateway.start("--type=Mock", "--token-cache=0", ...flags);
  const token = await oauth.token({ user: "alice", server: GATEWAY.id });
  await call(gateway, token, "list");
  await oauth.revoke(token);
  assertEquals(await refusal(call(gateway, token, "list")), INVALID);
});

Deno.test("any provider by its discovery document: tokens must be meant for this server", async () => {
  await using oauth = await plain();
  using folder = tempFolder();
  const [, id, secret] = globusFlags(oauth, folder.path) as [string, string, string];
  const flags = [`--issuer=${oauth.url}`, id, secret];
  await using gateway = await Gateway.start("--type=Mock", ...flags);
  const mint = (audience?: string, server = GATEWAY.id) =>
    oauth.token({ user: "alice", server, audience });
  const who = await call(gateway, await mint(GATEWAY.id), "whoami");
  assertEquals([who.authenticated, who.name], [true, "alice"]);
  // The same scope opens the other server, which must not be able to use its callers' tokens here.
  for (const token of [await mint(), await mint(OTHER.id), await mint(undefined, OTHER.id)]) {
    assertEquals(await refusal(call(gateway, token, "whoami")), INVALID);
  }
  await using named = await Gateway.start(
    "--type=Mock",
    ...flags,
    "--scope=openid",
    `--audience=https://${GATEWAY.id}.example`,
  );
  assertEquals(await refusal(call(named, await mint(), "whoami")), INVALID);
  const openid = await oauth.token({ user: "alice", server: GATEWAY.id, scope: "openid email" });
  assertEquals((await call(named, openid, "whoami")).name, "alice");
});

Deno.test("JWT access tokens: only what the provider signed for this server counts", async (t) => {
  await using oauth = await plain({ jwt: true, users: { alice: { groups: ["beamline-7"] } } });
  const resource = `https://${GATEWAY.id}.example`;
  const flags = [
    `--issuer=${oauth.url}`,
    `--client-id=${GATEWAY.id}`,
    "--jwt",
    `--audience=${resource}`,
  ];
  await using gateway = await Gateway.start("--type=Mock", "--allow=group:beamline-7", ...flags);
  const mint = (options: Partial<Parameters<OAuthServer["token"]>[0]> = {}) =>
    oauth.token({ user: "alice", server: GATEWAY.id, ...options });
  const owner = await mint();
  const uid = newUid();
  // The discovery document and the keys, once.
  assertEquals(await asked(oauth, () => session(gateway, owner, uid)), 2);

  const payload = JSON.parse(
    atob((owner.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/")),
  );
  const part = (value: unknown) =>
    new TextEncoder().encode(JSON.stringify(value)).toBase64({
      alphabet: "base64url",
      omitPadding: true,
    });
  const unsigned = `${part({ alg: "none", typ: "at+jwt" })}.${part(payload)}.`;
  await using stranger = await plain({ jwt: true });
  const without = (claim: string) => ({ ...payload, [claim]: undefined });
  const now = Math.floor(Date.now() / 1000);
  const bad: Record<string, string> = {
    "alg none": unsigned,
    "alg none, with a signature": unsigned + owner.split(".")[2],
    "another payload under the signature": owner.replace(
      /\.[^.]+\./,
      `.${part({ ...payload, sub: "bob" })}.`,
    ),
    "the wrong key": await stranger.signJwt(payload),
    "an unknown key's name": await oauth.signJwt(payload, { kid: "no-such-key" }),
    "the wrong audience": await mint({ audience: "https://elsewhere.example" }),
    "another server's audience": await mint({ server: OTHER.id }),
    "no audience": await oauth.signJwt(without("aud")),
    "another issuer": await oauth.signJwt({ ...payload, iss: "https://idp.evil" }),
    "expired": await oauth.signJwt({ ...payload, exp: now - 60, iat: now - 120 }),
    "no expiry": await oauth.signJwt(without("exp")),
    "not valid yet": await oauth.signJwt({ ...payload, nbf: now + 600 }),
    "an ID token": await oauth.signJwt(payload, { typ: "JWT" }),
    "another scope": await oauth.signJwt({ ...payload, scope: "openid" }),
    "no subject": await oauth.signJwt(without("sub")),
    "a keyed hash": await hashed(payload),
    "no JWT": "AgpqQoBo1VvvYkz8yYxyQgkgrW7nobYmG6dno8q8rgKG9",
  };
  for (const [name, token] of Object.entries(bad)) {
    await t.step(name, async () => {
      const questions = await asked(oauth, async () => {
        assertEquals(await refusal(call(gateway, token, "release", { uid })), INVALID);
      });
      assert(questions <= 1, `${questions} questions`);
    });
  }
  await t.step("a good one of somebody who is in no group", async () => {
    assertMatch(
      await refusal(call(gateway, await mint({ user: "bob" }), "list")),
      /^AUTH_ERROR 7 "bob" may not use this control server/,
    );
  });
  await t.step("the provider is not needed once its keys are known", async () => {
    await oauth.stop();
    await assertStreams(gateway, await mint(), uid);
    await using cold = await Gateway.start("--type=Mock", ...flags);
    assertMatch(await refusal(call(cold, owner, "list")), /^UNAVAILABLE 14 /);
    await oauth.restart();
    await call(cold, owner, "list");
  });
});

/** Signed with HS256: whoever can verify such a token could make one. */
async function hashed(payload: Record<string, unknown>): Promise<string> {
  const { SignJWT } = await import("jose");
  const key = new TextEncoder().encode(GATEWAY.secret.padEnd(32, "x"));
  return await new SignJWT(payload).setProtectedHeader({ alg: "HS256", typ: "at+jwt" }).sign(key);
}

Deno.test("what the provider refuses when the server starts is said at once", async () => {
  await using oauth = await globus();
  using folder = tempFolder();
  const flags = [`--globus-url=${oauth.url}`, `--client-id=${GATEWAY.id}`, "--client-secret=wrong"];
  const { makeCertificate } = await import("../lib/certificate.ts");
  const { cert, key } = await makeCertificate({ ips: ["127.0.0.1"], names: [], days: 1 });
  Deno.writeTextFileSync(`${folder.path}/server.crt`, cert);
  Deno.writeTextFileSync(`${folder.path}/server.key`, key, { mode: 0o600 });
  const start = (...more: string[]) =>
    scistream(["s2cs", "--port=0", "--type=Mock", ...flags, ...more], {
      cwd: folder.path,
      env: { SCISTREAM_STATE_DIR: `${folder.path}/state` },
    });
  const refused = await start();
  assertEquals([refused.code, refused.out], [2, ""]);
  assertMatch(
    refused.err,
    /error: \[BAD_FORMAT\] Globus Auth: it refuses this control server's client id and secret/,
  );
  assertMatch(refused.err, /^WARNING: the client secret can be seen in the list of processes/);
  assertEquals(refused.err.includes("wrong"), false);
});

Deno.test("a provider that is down when the server starts is warned of, and asked later", async () => {
  await using oauth = await globus();
  using folder = tempFolder();
  const token = await oauth.token({ user: "alice", server: GATEWAY.id });
  await oauth.stop();
  await using gateway = await Gateway.start("--type=Mock", ...globusFlags(oauth, folder.path));
  await gateway.process.line(/cannot be asked about tokens: the connection was refused/, "err");
  assertMatch(await refusal(call(gateway, token, "list")), /^UNAVAILABLE 14 /);
  await oauth.restart();
  await call(gateway, token, "list");
});
