/**
 * From login to logout, as a user does it: a real provider, a real browser, real streams.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { dial, EchoServer, readExactly, writeAll } from "./echo.ts";
import { assertOk, eventually, freePort, Gateway, tempFolder } from "./harness.ts";
import { signIn } from "./oauth/browser.ts";
import {
  authenticated,
  call,
  GATEWAY,
  globus,
  globusFlags,
  OTHER,
  plain,
  refusal,
  scopeOf,
} from "./oauth/gateway.ts";
import type { OAuthServer } from "./oauth/provider.ts";
import { codeOf, User } from "./oauth/user.ts";

const ALICE = "alice@anl.gov";

/** How many refresh grants the provider was asked for. */
const refreshes = (oauth: OAuthServer) =>
  oauth.calls.filter(({ body }) => body.includes("grant_type=refresh_token")).length;

/** Whether a token is refused. */
const isRefused = (gateway: Gateway, token: string | undefined) =>
  call(gateway, token, "list").then(() => false, () => true);

/** The part of s2uc.toml about a control server. */
const entry = (gateway: Gateway, scope: string, more = "") =>
  `[servers."${gateway.address}"]\nscope = "${scope}"\nserver-cert = "${gateway.cert}"\n${more}\n`;

/** A user who is logged in for one control server. */
async function loggedIn() {
  const stack = new AsyncDisposableStack();
  const { oauth, gateway } = stack.use(await authenticated(["--type=Mock"]));
  const alice = stack.use(new User(ALICE));
  alice.configure(entry(gateway, GATEWAY.id));
  assertOk(await alice.login([`--globus-url=${oauth.url}`], codeOf));
  return { oauth, alice, gateway, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

Deno.test("Globus: login with the pasted code, stream, refresh in mid-session, logout, refused", async (t) => {
  await using oauth = await globus({ accessTokenSeconds: 8 });
  using folder = tempFolder();
  using alice = new User(ALICE);
  const flags = (
    server: typeof GATEWAY,
  ) => ["--token-cache=0", ...globusFlags(oauth, folder.path, server)];
  await using prod = await Gateway.start(...flags(GATEWAY));
  await using cons = await Gateway.start(...flags(OTHER));
  await using echo = new EchoServer();
  alice.configure(entry(prod, GATEWAY.id) + entry(cons, OTHER.id));
  const both = ["--prod-s2cs", prod.address, "--cons-s2cs", cons.address];
  const connect = () =>
    alice.run(
      "s2uc",
      "connect",
      ...both,
      "--remote_ip=127.0.0.1",
      "--receiver_ports",
      String(echo.endpoint.port),
      "--json",
    );

  await t.step("before the login everything is refused, with what to do", async () => {
    const { code, err } = await connect();
    assertEquals(code, 1);
    assertMatch(
      err,
      new RegExp(`Authentication token is invalid for scope .*; log in with .s2uc login --scope`),
    );
  });
  await t.step("one login is for both servers, each with a token of its own", async () => {
    const ended = assertOk(await alice.login([`--globus-url=${oauth.url}`], codeOf));
    for (const { id } of [GATEWAY, OTHER]) {
      assertMatch(ended.out, new RegExp(`logged in as ${ALICE} for ${scopeOf({ id })}\n`));
    }
    const saved = alice.saved();
    assertEquals(Object.keys(saved).sort(), [GATEWAY, OTHER].map(scopeOf).sort());
    assertEquals(new Set(Object.values(saved).map(({ accessToken }) => accessToken)).size, 2);
    // What is secret is in the file, and nowhere else.
    for (const { accessToken, refreshToken } of Object.values(saved)) {
      for (const secret of [accessToken, refreshToken]) {
        assertEquals((ended.out + ended.err).includes(secret), false);
      }
    }
  });
  let uid = "";
  let stream: Deno.TcpConn | undefined;
  const roundTrip = async (text: string) => {
    const bytes = new TextEncoder().encode(text);
    await writeAll(stream as Deno.TcpConn, bytes);
    assertEquals(await readExactly(stream as Deno.TcpConn, bytes.length), bytes);
  };
  await t.step("a stream through both gateways", async () => {
    const { out } = assertOk(await connect());
    const answer = JSON.parse(out);
    uid = answer.uid;
    stream = await dial(answer.listeners[0]);
    await roundTrip("hello");
  });
  await t.step("its tokens expire, and are refreshed without asking", async () => {
    const before = alice.saved()[scopeOf(GATEWAY)];
    await eventually("the token expires", () => isRefused(prod, before?.accessToken));
    await roundTrip("while the token has expired");
    assertOk(await alice.run("s2uc", "update", uid, "--s2cs", prod.address, "--rate=500000"));
    const after = alice.saved()[scopeOf(GATEWAY)];
    assert(
      after?.accessToken !== before?.accessToken && after?.refreshToken !== before?.refreshToken,
    );
    await roundTrip("with a new token");
  });
  await t.step("several commands at once refresh once", async () => {
    const token = alice.saved()[scopeOf(OTHER)]?.accessToken;
    await eventually("the token expires", () => isRefused(cons, token));
    const before = refreshes(oauth);
    const status = () => alice.run("s2uc", "check-status", uid, "--s2cs", cons.address);
    for (const ended of await Promise.all([status(), status(), status(), status()])) {
      assertMatch(assertOk(ended).out, /streaming/);
    }
    assertEquals(refreshes(oauth) - before, 1);
  });
  await t.step("a request that waits for longer than its token lives", async () => {
    const request = alice.start(["s2uc", "prod-req", "--s2cs", prod.address]);
    const [, waiting = "", token = ""] = await request.line(/\n(\S+) \S+ (\S+) PROD\n/);
    await eventually("the token expires", () => isRefused(prod, token));
    const own = await oauth.token({ user: ALICE, server: GATEWAY.id });
    const app = { role: "PROD", prod_listeners: [String(echo.endpoint)] };
    await call(prod, own, "hello", { uid: waiting, ...app });
    assertOk(await request.ended);
    assertOk(await alice.run("s2uc", "release", waiting, "--s2cs", prod.address));
  });
  await t.step("release and logout; the same call is refused afterwards", async () => {
    await roundTrip("last");
    stream?.close();
    assertOk(
      await alice.run("s2uc", "release", uid, "--s2cs", prod.address, "--s2cs", cons.address),
    );
    const saved = Object.values(alice.saved());
    const ended = assertOk(await alice.run("s2uc", "logout"));
    assertEquals(
      ended.out.trim().split("\n").sort(),
      [GATEWAY, OTHER].map((server) => `logged out of ${scopeOf(server)}`).sort(),
    );
    assertEquals(alice.saved(), {});
    const again = await connect();
    assertEquals(again.code, 1);
    assertMatch(again.err, /Authentication token is invalid for scope/);
    // Nor is there anything left of them at the provider.
    for (const { accessToken } of saved) {
      assertMatch(await refusal(call(prod, accessToken, "list")), /^AUTH_ERROR 16 /);
    }
    assertEquals(oauth.count(oauth.paths.revocation), 4);
  });
});

Deno.test("any provider: login with the loopback page in a real browser, several scopes side by side", async (t) => {
  await using oauth = await plain({ jwt: true, users: { [ALICE]: { groups: ["beamline-7"] } } });
  using alice = new User(ALICE);
  const start = (server: typeof GATEWAY) =>
    Gateway.start(
      "--type=Mock",
      "--jwt",
      `--issuer=${oauth.url}`,
      `--client-id=${server.id}`,
      `--audience=https://${server.id}.example`,
      "--allow=group:beamline-7",
    );
  await using first = await start(GATEWAY);
  await using second = await start(OTHER);
  const more = (server: typeof GATEWAY) =>
    `issuer = "${oauth.url}"\nclient-id = "${oauth.nativeClientId}"\nresource = "https://${server.id}.example"`;
  alice.configure(
    entry(first, "scistream", more(GATEWAY)) + entry(second, "scistream", more(OTHER)),
  );
  // What opens the page on this "desktop": it leaves the address for the test.
  const opened = `${alice.home}/opened`;
  const browser = `${alice.home}/browser`;
  Deno.writeTextFileSync(browser, `#!/bin/sh\nprintf '%s\\n' "$1" >> "${opened}"\n`, {
    mode: 0o755,
  });

  await t.step("one trip for each server: no token is good at two of them", async () => {
    const process = alice.start(["s2uc", "login", "--browser"], { BROWSER: browser });
    for (let i = 0; i < 2; i++) {
      const url = await eventually("the browser opens", () => {
        try {
          return Deno.readTextFileSync(opened).split("\n").slice(0, -1)[i];
        } catch {
          return undefined;
        }
      });
      const page = await signIn(url as string, ALICE);
      assertMatch(page.text, /SciStream has what it needs/);
      assertMatch(page.url, /^http:\/\/127\.0\.0\.1:\d+\/callback\?/);
    }
    const ended = assertOk(await process.ended);
    assertMatch(ended.out, new RegExp(`(logged in as ${ALICE} for scistream\n.*){2}`, "s"));
  });
  await t.step("each control server accepts its own, as check-auth shows", async () => {
    const ended = assertOk(await alice.run("s2uc", "check-auth"));
    const blocks = ended.out.trim().split("\n\n");
    assertEquals(blocks.length, 2);
    for (const [i, gateway] of [first, second].entries()) {
      assertMatch(blocks[i] as string, new RegExp(`identity: ${ALICE}\n`));
      assertMatch(
        blocks[i] as string,
        /expires: \d{4}-\d\d-\d\dT[\d:.]+Z \(in .*\); refreshed by itself\n/,
      );
      assertMatch(
        blocks[i] as string,
        new RegExp(`\n${gateway.address}: accepts it, as ${ALICE}$`),
      );
      assertEquals(blocks[i]?.match(/accepts it/g)?.length, 1);
    }
    assertOk(await alice.run("s2uc", "list", "--s2cs", first.address));
    assertEquals(/token/.test(ended.out), false);
    const [shown] = (await alice.run("s2uc", "check-auth", "--show-token", "--json")).out.split(
      "\n",
    );
    assertEquals(JSON.parse(shown as string).token.split(".").length, 3);
    // A token for one is refused by the other.
    assertMatch(
      await refusal(call(second, JSON.parse(shown as string).token, "list")),
      /^AUTH_ERROR 16 /,
    );
  });
  await t.step("a page that knows nothing of the login cannot end it", async () => {
    const port = freePort();
    const process = alice.start([
      "s2uc",
      "login",
      "--browser",
      "--scope=scistream",
      `--issuer=${oauth.url}`,
      `--client-id=${oauth.nativeClientId}`,
      `--redirect-uri=http://127.0.0.1:${port}/callback`,
      `--resource=https://${GATEWAY.id}.example`,
    ], { BROWSER: "/nonexistent" });
    const [, url = ""] = await process.line(/-+\n(http\S+)\n-+\n/);
    const forged = await fetch(`http://127.0.0.1:${port}/callback?code=stolen&state=guessed`);
    assertEquals([forged.status, await forged.text()], [
      400,
      "this belongs to no login that is under way\n",
    ]);
    assertEquals(
      (await fetch(`http://127.0.0.1:${port}/`).then(async (r) => [r.status, await r.text()]))[0],
      404,
    );
    await signIn(url, ALICE);
    assertOk(await process.ended);
  });
  await t.step("Ctrl-C while the browser is waited for", async () => {
    const process = alice.start(["s2uc", "login", "--browser"], { BROWSER: "/nonexistent" });
    await process.line(/-+\n(http\S+)\n-+\n/);
    const ended = await process.stop("SIGINT");
    assertEquals([ended.code, ended.err.trim().split("\n").at(-1)], [130, "interrupted"]);
  });
});

/** Flags of `s2uc login` at a provider that is not Globus. */
const loginFlags = (oauth: OAuthServer) => [
  "--scope=scistream",
  `--issuer=${oauth.url}`,
  `--client-id=${oauth.nativeClientId}`,
];

Deno.test("without a browser here: the address that it ends at is pasted as a whole", async (t) => {
  await using oauth = await plain();
  using alice = new User(ALICE);
  using folder = tempFolder();
  const resource = `https://${GATEWAY.id}.example`;
  const flags = [...loginFlags(oauth), `--resource=${resource}`];
  const [, ...client] = globusFlags(oauth, folder.path);
  await using gateway = await Gateway.start(
    "--type=Mock",
    `--issuer=${oauth.url}`,
    `--audience=${resource}`,
    ...client,
  );
  await t.step("as it is", async () => {
    const ended = assertOk(await alice.login(flags, ({ url }) => url));
    assertMatch(ended.out, new RegExp(`logged in as ${ALICE} for scistream`));
    assertOk(await alice.run("s2uc", "list", ...gateway.flags, "--scope=scistream"));
  });
  const failing: Record<string, [copy: (url: string) => string, what: RegExp]> = {
    "with another state": [
      (url) => url.replace(/state=[^&]+/, "state=forged"),
      /unexpected "state"/,
    ],
    "without its state": [(url) => url.replace(/&?state=[^&]+/, ""), /"state" missing/],
    "of another provider": [
      (url) => url.replace(/iss=[^&]+/, "iss=https%3A%2F%2Fevil.example"),
      /unexpected "iss"/,
    ],
    "with another code": [
      (url) => url.replace(/code=[^&]+/, "code=forged"),
      /answered 400 invalid_grant/,
    ],
    "when access was denied": [
      (url) => url.replace(/code=[^&]+/, "error=access_denied"),
      /answered access_denied/,
    ],
    "not at all, but something else": [() => "no code\twith a tab", /no authorization code/],
    "not at all": [() => "", /no authorization code was entered/],
  };
  for (const [name, [copy, what]] of Object.entries(failing)) {
    await t.step(name, async () => {
      const before = Deno.readTextFileSync(alice.tokens);
      const ended = await alice.login(flags, ({ url }) => copy(url));
      assert([1, 2, 3].includes(ended.code), String(ended.code));
      assertMatch(ended.err, what);
      assertEquals(ended.err.trim().split("\n").length, 1);
      assertEquals(Deno.readTextFileSync(alice.tokens), before);
    });
  }
});

Deno.test("an answer that is not to this login's nonce and challenge is refused", async (t) => {
  await using oauth = await plain();
  using alice = new User(ALICE);
  const flags = loginFlags(oauth);
  for (
    const [parameter, what] of [["nonce", /"nonce"/], [
      "code_challenge",
      /400 invalid_grant/,
    ]] as const
  ) {
    await t.step(parameter, async () => {
      const process = alice.start(["s2uc", "login", ...flags]);
      const [, shown = ""] = await process.line(/-+\n(\S+)\n-+\n/);
      const url = new URL(shown);
      url.searchParams.set(parameter, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
      await process.type((await signIn(url.href, ALICE)).url);
      const ended = await process.ended;
      assert([1, 3].includes(ended.code), String(ended.code));
      assertMatch(ended.err, what);
      assertEquals((await alice.run("s2uc", "check-auth")).code, 1);
    });
  }
});

Deno.test("logout when the provider cannot be reached: removed here, said, and exit code 1", async () => {
  await using oauth = await globus();
  using alice = new User(ALICE);
  assertOk(await alice.login([`--globus-url=${oauth.url}`, "--scope", GATEWAY.id], codeOf));
  await oauth.stop();
  const ended = await alice.run("s2uc", "logout", "--scope", GATEWAY.id);
  assertEquals([ended.code, ended.out], [1, ""]);
  assertMatch(ended.err, /revoking your tokens at Globus Auth failed: the connection was refused/);
  assertMatch(ended.err, /are removed here, but go on for whoever has them until they expire/);
  assertEquals(alice.saved(), {});
  assertEquals((await alice.run("s2uc", "logout")).out, "you were not logged in\n");
});

Deno.test("a token store that others can read, or that is damaged, is refused before anything is sent", async () => {
  await using user = await loggedIn();
  const { alice, gateway, oauth } = user;
  const list = () => alice.run("s2uc", "list", "--s2cs", gateway.address);
  assertOk(await list());
  Deno.chmodSync(alice.tokens, 0o644);
  const open = await list();
  assertEquals([open.code, open.out], [2, ""]);
  assertMatch(
    open.err,
    /error: \[BAD_FORMAT\] the token store .* can be read by other users \(mode 644\)/,
  );
  Deno.chmodSync(alice.tokens, 0o600);
  Deno.writeTextFileSync(alice.tokens, "{");
  assertMatch((await list()).err, /is damaged; move it away and log in again/);
  const login = await alice.run("s2uc", "login", `--globus-url=${oauth.url}`);
  assertEquals([login.code, login.out], [2, ""]);
});

Deno.test("a token goes to the server that it is for, encrypted, or nowhere", async () => {
  await using user = await loggedIn();
  const { alice, gateway } = user;
  await using open = await Gateway.start("--type=Mock");
  await using unencrypted = await Gateway.start("--type=Mock", "--ssl=False");
  const token = alice.saved()[scopeOf(GATEWAY)]?.accessToken as string;
  const request = async (...flags: string[]) => {
    const ended = await alice.run("s2uc", "inbound-request", "--receiver_ports=1", ...flags);
    return { sent: ended.out.split("\n")[1]?.split(" ")[2], ...ended };
  };
  assertEquals(assertOk(await request("--s2cs", gateway.address)).code, 0);
  assertEquals((await request("--s2cs", gateway.address)).sent, token);
  // A server that no [servers] names gets none; nor does one without TLS, whatever it is named.
  assertEquals((await request(...open.flags)).sent, "INVALID_TOKEN");
  const clear = await request("--s2cs", unencrypted.address, "--ssl=False", "--scope", GATEWAY.id);
  assertEquals(clear.sent, "INVALID_TOKEN");
  assertMatch(clear.err, /WARNING: no token is sent to .*: --ssl=False would show it to everyone/);
  assertEquals((await request(...open.flags, "--scope", GATEWAY.id)).sent, token);
  const unknown = await request(...open.flags, "--scope", "nowhere");
  assertMatch(unknown.err, /not logged in for nowhere, so no token is sent/);
});

Deno.test("prod-req prints the token, and appctrl takes it as argument, from stdin or the environment", async (t) => {
  await using user = await loggedIn();
  const { alice, gateway } = user;
  using app = new User("application");
  app.configure(`[servers."${gateway.address}"]\nserver-cert = "${gateway.cert}"\n`);
  const way = async (argument: (token: string) => string, stdin: boolean, env: boolean) => {
    const request = alice.start(["s2uc", "prod-req", "--s2cs", gateway.address]);
    const [, uid = "", token = ""] = await request.line(/\n(\S+) \S+ (\S+) PROD\n/);
    const hello = app.start(
      ["appctrl", "mock", uid, gateway.address, argument(token), "PROD", "127.0.0.1"],
      env ? { SCISTREAM_TOKEN: token } : {},
    );
    if (stdin) await hello.type(token);
    assertEquals(assertOk(await hello.ended).out, "Sending Prod listeners...\n");
    assertOk(await request.ended);
    const seen = Deno.readTextFileSync(alice.tokens).includes(token);
    assertEquals(seen, true);
  };
  await t.step("as argument", () => way((token) => token, false, false));
  await t.step("from stdin", () => way(() => "-", true, false));
  await t.step("from the environment", () => way(() => "INVALID_TOKEN", false, true));
  await t.step("none", async () => {
    const ended = await app.run(
      "appctrl",
      "mock",
      "0123456789",
      gateway.address,
      "INVALID_TOKEN",
      "PROD",
    );
    assertEquals(ended.code, 1);
    assertMatch(ended.err, /\[AUTH_ERROR\] Authentication token is invalid for scope/);
  });
  await t.step("the application that appctrl runs does not get it", async () => {
    const request = alice.start(["s2uc", "prod-req", "--s2cs", gateway.address]);
    const [, uid = "", token = ""] = await request.line(/\n(\S+) \S+ (\S+) PROD\n/);
    const args = [
      "appctrl",
      "run",
      uid,
      gateway.address,
      "INVALID_TOKEN",
      "PROD",
      "--listen=1",
      "--",
      "env",
    ];
    const run = app.start(args, { SCISTREAM_TOKEN: token });
    const { out } = assertOk(await run.ended);
    assertMatch(out, /SCISTREAM_LISTENERS=/);
    assertEquals(out.includes(token), false);
    assertOk(await request.ended);
  });
});

Deno.test("create-scope makes the scope that the documents make with curl", async () => {
  await using oauth = await globus();
  using folder = tempFolder();
  using operator = new User("operator");
  globusFlags(oauth, folder.path);
  const create = (secret: string) => {
    Deno.writeTextFileSync(`${folder.path}/secret`, secret, { mode: 0o600 });
    return operator.run(
      "s2uc",
      "create-scope",
      `--globus-url=${oauth.url}`,
      `--client-id=${GATEWAY.id}`,
      `--client-secret-file=${folder.path}/secret`,
    );
  };
  const wrong = await create("wrong");
  assertEquals([wrong.code, wrong.out], [1, ""]);
  assertMatch(wrong.err, /\[AUTH_ERROR\] Globus Auth refuses this client id and secret/);
  assertEquals(assertOk(await create(GATEWAY.secret)).out, `${scopeOf(GATEWAY)}\n`);
  assertEquals(oauth.createdScopes[0], {
    scope: {
      name: "Scistream Operations",
      description: "All Operations on Scistream",
      scope_suffix: "scistream",
      dependent_scopes: [{
        optional: false,
        requires_refresh_token: true,
        scope: "73320ffe-4cb4-4b25-a0a3-83d53d59ce4f",
      }],
      advertised: false,
      allow_refresh_tokens: true,
    },
  });
  const again = await create(GATEWAY.secret);
  assertEquals(again.code, 2);
  assertMatch(again.err, /did not make the scope/);
});
