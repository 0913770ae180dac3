import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ScistreamError } from "../protocol/errors.ts";
import { Secret } from "../protocol/secret.ts";
import { findLogin, findLogins, freshToken, isStale } from "./tokens.ts";
import { type Login, TokenStore } from "./token_store.ts";

const login = (more: Partial<Login> = {}): Login => ({
  issuer: "https://idp",
  globus: false,
  clientId: "cli",
  scope: "scistream",
  name: "alice",
  accessToken: new Secret("old"),
  refreshToken: new Secret("refresh"),
  issuedMs: 0,
  expiresMs: 1000,
  ...more,
});

Deno.test("a token is stale a fifth of its life before its end, and a minute at most", () => {
  const short = login({ issuedMs: 0, expiresMs: 10_000 });
  assertEquals([isStale(short, 7_999), isStale(short, 8_000)], [false, true]);
  const long = login({ issuedMs: 0, expiresMs: 3_600_000 });
  assertEquals([isStale(long, 3_539_999), isStale(long, 3_540_000)], [false, true]);
  assertEquals(isStale(login({ expiresMs: 0 }), 1e15), false);
});

Deno.test("a login is found by scope, and by issuer and resource where that is not enough", () => {
  const globus = login({
    globus: true,
    issuer: "https://auth.globus.org",
    scope: "https://auth.globus.org/scopes/92c3/scistream",
  });
  const [a, b] = [login({ resource: "https://a" }), login({ resource: "https://b" })];
  const other = login({ issuer: "https://other" });
  const all = [globus, a, b, other];
  assertEquals(findLogin(all, { scope: "92c3" }), globus);
  assertEquals(findLogin(all, { scope: "92c3", issuer: "https://idp" }), undefined);
  assertEquals(findLogin(all, { scope: "scistream", resource: "https://b" }), b);
  assertEquals(findLogin(all, { scope: "scistream", issuer: "https://other" }), other);
  assertThrows(() => findLogin(all, { scope: "scistream" }), ScistreamError, "in several ways");
  assertEquals(findLogins(all, { scope: "scistream" }), [a, b, other]);
  assertEquals(findLogin(all, { scope: "nothing" }), undefined);
});

/** A provider that answers refreshes like this; the login in its store, of which 5 s are left. */
async function setUp(answer: () => Response, more: Partial<Login> = {}) {
  const folder = await Deno.makeTempDir({ prefix: "scistream-tokens-" });
  const store = new TokenStore(folder);
  let asked = 0;
  const server: Deno.HttpServer<Deno.NetAddr> = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request): Response => {
      if (new URL(request.url).pathname.startsWith("/.well-known")) {
        return Response.json({ issuer, token_endpoint: `${issuer}/token` });
      }
      asked++;
      return answer();
    },
  );
  const issuer = `http://127.0.0.1:${server.addr.port}`;
  const now = Date.now();
  const own = login({ issuer, issuedMs: now - 95_000, expiresMs: now + 5_000, ...more });
  await store.change(() => Promise.resolve([own]));
  return {
    store,
    own,
    asked: () => asked,
    fresh: async () => (await freshToken(store, own)).reveal(),
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

const tokens = (more = {}) =>
  Response.json({ access_token: "new", token_type: "Bearer", expires_in: 100, ...more });

Deno.test("a stale token is replaced and kept; without a new refresh token the old one goes on", async () => {
  await using at = await setUp(() => tokens());
  assertEquals(await Promise.all([at.fresh(), at.fresh()]), ["new", "new"]);
  assertEquals(at.asked(), 1);
  const [kept] = await at.store.read();
  assertEquals([kept?.accessToken.reveal(), kept?.refreshToken?.reveal()], ["new", "refresh"]);
  await using rotating = await setUp(() => tokens({ refresh_token: "next" }));
  await rotating.fresh();
  assertEquals((await rotating.store.read())[0]?.refreshToken?.reveal(), "next");
});

Deno.test("while the provider does not answer, a token that is still good goes on", async () => {
  const broken = () => new Response("oops", { status: 503 });
  await using at = await setUp(broken);
  assertEquals(await at.fresh(), "old");
  await using over = await setUp(broken, { expiresMs: Date.now() - 1 });
  const error = await assertRejects(() => over.fresh(), ScistreamError);
  assertEquals([error.code, /it answered HTTP 503/.test(error.message)], ["CONN_ERROR", true]);
});

Deno.test("a login that has ended is said to have, and kept for what it is", async () => {
  const refused = () => Response.json({ error: "invalid_grant" }, { status: 400 });
  for (
    const at of [
      await setUp(refused),
      await setUp(tokens, { refreshToken: undefined, expiresMs: 1 }),
    ]
  ) {
    await using _ = at;
    const error = await assertRejects(() => at.fresh(), ScistreamError);
    assertEquals([
      error.code,
      /log in again with: s2uc login --scope scistream$/.test(error.message),
    ], ["AUTH_ERROR", true]);
    assertEquals((await at.store.read()).length, 1);
  }
});
