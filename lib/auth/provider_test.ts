import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ScistreamError } from "../protocol/errors.ts";
import { whatProviderDid } from "./http.ts";
import { clientSecret, Provider, scopeOf } from "./provider.ts";

/** A provider that has these documents and nothing else. */
function documents(paths: Record<string, (issuer: string) => unknown>) {
  const asked: string[] = [];
  const server: Deno.HttpServer<Deno.NetAddr> = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen() {},
  }, (request) => {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    const document = paths[pathname]?.(issuer);
    if (document === undefined) return new Response("no", { status: 404 });
    return document instanceof Response ? document : Response.json(document);
  });
  const issuer: string = `http://127.0.0.1:${server.addr.port}/lab`;
  return { issuer, asked, [Symbol.asyncDispose]: () => server.shutdown() };
}

const OPENID = "/lab/.well-known/openid-configuration";
const OAUTH = "/.well-known/oauth-authorization-server/lab";

Deno.test("the discovery document is read once, where OpenID or where RFC 8414 has it", async () => {
  await using openId = documents({ [OPENID]: (issuer) => ({ issuer, token_endpoint: "t" }) });
  using first = new Provider({ issuer: openId.issuer });
  const both = await Promise.all([first.metadata(), first.metadata()]);
  assertEquals(both.map(({ token_endpoint }) => token_endpoint), ["t", "t"]);
  assertEquals(openId.asked, [OPENID]);
  await using oauth = documents({ [OAUTH]: (issuer) => ({ issuer, token_endpoint: "u" }) });
  using second = new Provider({ issuer: oauth.issuer });
  assertEquals((await second.metadata()).token_endpoint, "u");
  assertEquals(oauth.asked, [OPENID, OAUTH]);
});

Deno.test("a document of another issuer, or none, is no provider; it is asked for again", async () => {
  let issuer: string | undefined = "https://idp.evil";
  await using server = documents({
    [OPENID]: (own) => issuer === undefined ? undefined : { issuer: issuer || own },
  });
  using provider = new Provider({ issuer: server.issuer });
  const why = async () => whatProviderDid(await assertRejects(() => provider.metadata()));
  assertEquals((await why()).startsWith("its answer is not what it should be"), true);
  issuer = undefined;
  assertEquals(await why(), "it answered HTTP 404");
  issuer = "";
  assertEquals((await provider.metadata()).issuer, server.issuer);
});

Deno.test("a redirect is not followed, and what is too long is not read", async () => {
  const long = () => new Response("x".repeat(2 << 20));
  await using server = documents({
    "/lab/elsewhere": () => Response.redirect("http://127.0.0.1:1/"),
    "/lab/long": long,
  });
  using provider = new Provider({ issuer: server.issuer });
  assertEquals((await provider.http.fetch(`${server.issuer}/elsewhere`, {})).status, 302);
  await assertRejects(
    () => provider.http.fetch(`${server.issuer}/long`, {}),
    Error,
    "more than 1048576 bytes",
  );
});

Deno.test("one question after another goes over one connection", async () => {
  const ports = new Set<number>();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (_request, { remoteAddr }) => {
      ports.add((remoteAddr as Deno.NetAddr).port);
      return new Response("yes");
    },
  );
  {
    const issuer = `http://127.0.0.1:${server.addr.port}`;
    using provider = new Provider({ issuer });
    for (let i = 0; i < 5; i++) {
      const answer = await provider.http.fetch(issuer, { method: "POST", body: "token=x" });
      assertEquals(await answer.text(), "yes");
    }
  }
  assertEquals(ports.size, 1);
  await server.shutdown();
});

Deno.test("secrets go to https, and to this machine; to nobody else", () => {
  for (
    const issuer of [
      "https://idp.example",
      "http://127.0.0.1:8080/x",
      "http://localhost",
      "http://[::1]:1",
    ]
  ) {
    new Provider({ issuer })[Symbol.dispose]();
  }
  for (
    const issuer of [
      "http://idp.example",
      "http://127.0.0.1.evil.example",
      "http://localhost.evil.example",
      "idp.example",
      "https://user:password@idp.example",
      "https://idp.example/?x=1",
      "ftp://localhost",
      "",
    ]
  ) assertThrows(() => new Provider({ issuer }), ScistreamError, JSON.stringify(issuer));
});

/** A certificate authority, and a server's certificate of it. */
async function authority() {
  const folder = await Deno.makeTempDir({ prefix: "scistream-ca-" });
  const made = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
  const script = `openssl req -x509 ${made} -keyout ca.key -out ca.crt -subj /CN=lab -days 1
openssl req ${made} -keyout key -out csr -subj /CN=idp
echo subjectAltName=IP:127.0.0.1 > ext
openssl x509 -req -in csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 1 -extfile ext -out crt`;
  try {
    const { success } = await new Deno.Command("sh", {
      args: ["-ec", script],
      cwd: folder,
      stderr: "null",
    }).output();
    assertEquals(success, true);
    const read = (name: string) => Deno.readTextFileSync(`${folder}/${name}`);
    return { ca: read("ca.crt"), cert: read("crt"), key: read("key") };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a laboratory's own authority is trusted where it is named, and nowhere else", async () => {
  const { ca, cert, key } = await authority();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert, key, onListen() {} },
    (): Response => Response.json({ issuer }),
  );
  const issuer = `https://127.0.0.1:${(server.addr as Deno.NetAddr).port}`;
  {
    using provider = new Provider({ issuer, ca });
    assertEquals((await provider.metadata()).issuer, issuer);
    using other = new Provider({ issuer });
    const error = await assertRejects(() => other.metadata());
    assertEquals(whatProviderDid(error), "its certificate is not trusted");
  }
  await server.shutdown();
});

Deno.test("Globus takes id and secret as they are; RFC 6749 has them form-encoded", async () => {
  const basic = async (provider: Provider) => {
    using _ = provider;
    const headers = new Headers();
    const metadata = { issuer: "i", introspection_endpoint_auth_methods_supported: undefined };
    await clientSecret(provider, metadata, "a+b/c=:%")(
      metadata,
      { client_id: "92c3-6f" },
      new URLSearchParams(),
      headers,
    );
    return atob(headers.get("authorization")?.slice(6) ?? "");
  };
  assertEquals(await basic(new Provider({})), "92c3-6f:a+b/c=:%");
  assertEquals(
    await basic(new Provider({ issuer: "https://idp.example" })),
    "92c3-6f:a%2Bb%2Fc%3D%3A%25",
  );
});

Deno.test("a Globus scope may be named by the server's client id", () => {
  assertEquals(scopeOf(true, "92c3"), "https://auth.globus.org/scopes/92c3/scistream");
  assertEquals(
    scopeOf(true, "https://auth.globus.org/scopes/92c3/x"),
    "https://auth.globus.org/scopes/92c3/x",
  );
  assertEquals(scopeOf(false, "scistream"), "scistream");
  for (const scope of ["", "a b", 'a"b', "a\\b", "a\n", "x".repeat(513)]) {
    assertThrows(() => scopeOf(false, scope), ScistreamError);
  }
});
