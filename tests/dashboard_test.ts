/**
 * The dashboard as people see it: a real control server with real sessions, in a real browser.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import axe from "axe-core";
import type { BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { Uid } from "../lib/protocol/uid.ts";
import { browse, IperfStream, watched } from "./browsing.ts";
import { eventually, freePort, Gateway, portRange, scistream, tempFolder } from "./harness.ts";
import { authenticated, call, GATEWAY, globus, globusFlags, session } from "./oauth/gateway.ts";

const PHONE = { viewport: { width: 390, height: 844 } };
const DESKTOP = { viewport: { width: 1280, height: 860 } };

/** A page that remembers what went wrong on it, and where it asked. */
async function visit(
  context: BrowserContext,
  url: string,
): Promise<{ page: Page; wrong: string[]; hosts: Set<string> }> {
  const page = await context.newPage();
  const wrong: string[] = [];
  const hosts = new Set<string>();
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) wrong.push(message.text());
  });
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("request", (request) => hosts.add(new URL(request.url()).host));
  await page.goto(url);
  return { page, wrong, hosts };
}

const isLive = (page: Page) => page.locator("#live[data-live=true]").waitFor();

/** What axe-core finds, a line each. */
async function violations(page: Page): Promise<string[]> {
  // Evaluated, and not added as a script: the page's policy allows no scripts but its own.
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate("axe.run()") as axe.AxeResults;
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

/** The operator's token, as the operator reads it. */
function operatorToken(gateway: Gateway): string {
  const [folder] = [...Deno.readDirSync(gateway.stateDir)].filter(({ isDirectory }) => isDirectory);
  const path = `${gateway.stateDir}/${folder?.name}/dashboard.token`;
  assertEquals((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
  return Deno.readTextFileSync(path).trim();
}

/** The lines of the audit log about a call. */
function audited(gateway: Gateway, about: string) {
  return Deno.readTextFileSync(gateway.audit).trim().split("\n").map((line) => JSON.parse(line))
    .filter(({ call }) => call === about);
}

Deno.test("no console errors, nothing from elsewhere, no violation: both themes, phone and desktop", async () => {
  await using at = await watched(["--type=Mock"]);
  const uid = Uid.random();
  await session(at.gateway, undefined, uid.reveal(), { num_conn: 5 });
  await session(at.gateway, undefined, "short-uid", {});
  await using browser = await browse();
  for (const look of [PHONE, DESKTOP]) {
    for (const colorScheme of ["light", "dark"] as const) {
      const context = await browser.newContext({ ...look, colorScheme, reducedMotion: "reduce" });
      for (const path of ["/", `/sessions/${uid.session}`, "/sign-in"]) {
        const { page, wrong, hosts } = await visit(context, at.url + path);
        if (path !== "/sign-in") await isLive(page);
        assertEquals(await violations(page), [], `${path} ${colorScheme} ${look.viewport.width}`);
        assertEquals(wrong, []);
        assertEquals([...hosts], [at.http]);
        // No sideways scrolling of the page itself.
        const wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
        assertEquals(wide, 0, `${path} ${look.viewport.width}`);
        await page.close();
      }
      await context.close();
    }
  }
});

Deno.test("the theme that was chosen is remembered", async () => {
  await using at = await watched(["--type=Mock"]);
  await using browser = await browse();
  const context = await browser.newContext({ ...DESKTOP, colorScheme: "light" });
  const { page } = await visit(context, at.url);
  const back = () => page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor");
  const light = await back();
  await page.locator("#theme[aria-pressed=false]").click();
  const dark = await back();
  assert(light !== dark);
  await page.reload();
  assertEquals(await back(), dark);
  await page.locator("#theme[aria-pressed=true]").click();
  assertEquals(await back(), light);
});

Deno.test("keyboard only: sign in with the operator's token, filter, open a session, release it", async () => {
  await using at = await watched(["--type=Mock"]);
  const uids = [Uid.random(), Uid.random(), Uid.random()];
  for (const uid of uids) await session(at.gateway, undefined, uid.reveal(), { num_conn: 2 });
  const [first] = uids as [Uid];
  await using browser = await browse();
  const context = await browser.newContext(DESKTOP);
  const { page, wrong } = await visit(context, at.url);
  await isLive(page);
  const { keyboard } = page;
  const focused = () => page.evaluate("document.activeElement.outerHTML") as Promise<string>;
  /** Tab, until what has the focus looks so. */
  const tabTo = async (pattern: RegExp) => {
    for (let i = 0; i < 60; i++) {
      await keyboard.press("Tab");
      if (pattern.test(await focused())) return;
    }
    throw new Error(`Tab does not reach ${pattern}`);
  };

  await tabTo(/>Sign in</);
  await keyboard.press("Enter");
  await page.waitForURL(/sign-in/);
  const path = await page.locator("code").innerText();
  assertMatch(path, /dashboard\.token$/);
  await keyboard.type("not-the-token");
  await keyboard.press("Enter");
  await page.locator("[role=alert]").waitFor();
  await keyboard.type(Deno.readTextFileSync(path).trim());
  await keyboard.press("Enter");
  await isLive(page);
  assertMatch(await page.innerText("header"), /operator/);

  await tabTo(/type="search"/);
  await keyboard.type(first.session);
  await page.locator("#sessions tbody tr").and(page.locator(`[data-key="${first.session}"]`))
    .waitFor();
  assertEquals(await page.locator("#sessions tbody tr").count(), 1);
  await tabTo(new RegExp(`^<a href="/sessions/${first.session}"`));
  await keyboard.press("Enter");
  await page.waitForURL(/sessions/);
  await isLive(page);
  await tabTo(/id="release"/);
  // Changed one's mind: nothing happens.
  await keyboard.press("Enter");
  await page.locator("dialog[open]").waitFor();
  await keyboard.press("Escape");
  await keyboard.press("Enter");
  await tabTo(/name="force"/);
  await keyboard.press("ArrowDown");
  await tabTo(/value="release"/);
  await keyboard.press("Enter");
  await page.getByText("This session is over.").waitFor();

  const { sessions } = await call(at.gateway, undefined, "list");
  assertEquals(sessions.length, 2);
  const [released] = audited(at.gateway, "release");
  assertEquals([released.session, released.caller, released.outcome], [
    first.session,
    "operator",
    "OK",
  ]);
  assertMatch(released.peer, /^127\.0\.0\.1:\d+$/);
  assertEquals(audited(at.gateway, "sign-in").map(({ outcome }) => outcome), ["AUTH_ERROR", "OK"]);
  // The browser's own line about the answer 401 is none of the page's.
  assertEquals(wrong.filter((line) => !line.includes("401")), []);
});

Deno.test("what changes is there at once: a new session comes, a released one goes", async () => {
  await using at = await watched(["--type=Mock"]);
  await using browser = await browse();
  const { page } = await visit(await browser.newContext(DESKTOP), at.url);
  await isLive(page);
  const uid = Uid.random();
  await session(at.gateway, undefined, uid.reveal());
  const row = page.locator(`#sessions [data-key="${uid.session}"]`);
  await row.waitFor();
  await page.locator(`#topology [href="/sessions/${uid.session}"]`).waitFor({ state: "attached" });
  await call(at.gateway, undefined, "release", { uid: uid.reveal() });
  await row.waitFor({ state: "detached" });
  assertEquals(await page.locator("#figure-sessions dd").first().innerText(), "0");
});

Deno.test("200 sessions of 5 channels: one page of rows, and the browser keeps up", async () => {
  await using at = await watched(["--type=Mock", "--call-rate=0", "--call-rate-in-all=0"], 1000);
  await Promise.all(
    Array.from(
      { length: 200 },
      () => session(at.gateway, undefined, Uid.random().reveal(), { num_conn: 5 }),
    ),
  );
  await using browser = await browse();
  const context = await browser.newContext(DESKTOP);
  await context.addInitScript(`
    self.longTasks = [];
    new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((e) => e.duration)))
      .observe({ type: "longtask", buffered: true });
    self.heard = 0;
    const Plain = EventSource;
    self.EventSource = class extends Plain {
      constructor(url) { super(url); this.addEventListener("message", () => heard++); }
    };
  `);
  const { page, wrong } = await visit(context, at.url);
  await isLive(page);
  assertEquals(await page.locator("#sessions tbody tr").count(), 25);
  assertEquals(await page.locator("#figure-sessions dd").first().innerText(), "200");
  assertMatch(await page.innerText("#sessions-title + .count"), /1–25 of 200/);
  assert(await page.locator("#topology .nodes > *").count() <= 24);
  await page.getByRole("button", { name: "Next" }).click();
  assertMatch(await page.innerText("#sessions-title + .count"), /26–50 of 200/);
  const painted = await page.evaluate(
    "performance.getEntriesByName('first-contentful-paint')[0]?.startTime",
  );
  await eventually("five events are heard", () => page.evaluate("heard >= 5"));
  const long = await page.evaluate("longTasks") as number[];
  console.log(
    `200 sessions: first contentful paint after ${Math.round(Number(painted))} ms; ` +
      `long tasks: ${long.length} (${long.map(Math.round).join(", ")} ms)`,
  );
  assertEquals(wrong, []);
});

Deno.test("the figure that is shown is iperf3's own", async () => {
  await using at = await watched(["--wan=plain", "--workers=1"]);
  await using stream = await IperfStream.start(at.gateway, "127.0.0.1");
  await using browser = await browse();
  const { page } = await visit(await browser.newContext(DESKTOP), at.url);
  await isLive(page);
  const sent = stream.send("127.0.0.1", "-b", "200M", "-t", "8", "--json").ended;
  const shown: number[] = [];
  const figure = page.locator("#figure-to dd").first();
  let isOver = false;
  sent.finally(() => isOver = true);
  while (!isOver) {
    const [, value] = /^([\d.]+) Mbit\/s$/.exec(await figure.innerText()) ?? [];
    if (value) shown.push(Number(value));
    // It changes once a second; this is a look now and then, and waits for nothing.
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  const { end } = JSON.parse((await sent).out);
  const own = end.sum_received.bits_per_second / 1e6;
  const middle = shown.toSorted((a, b) => a - b)[Math.floor(shown.length / 2)] as number;
  console.log(`iperf3 says ${own.toFixed(1)} Mbit/s, the dashboard ${shown.join(", ")}`);
  assert(Math.abs(middle / own - 1) < 0.05, `${middle} and ${own}`);
});

Deno.test("uids are nowhere; headers protect; other names and other pages are refused; readers are bounded", async () => {
  await using at = await watched(["--type=Mock"]);
  const uid = Uid.random();
  await session(at.gateway, undefined, uid.reveal(), { num_conn: 2 });
  await session(at.gateway, undefined, Uid.random().reveal());
  const path = `/sessions/${uid.session}`;
  // At once, and not with the next second's look.
  const made = await fetch(at.url + path);
  await made.body?.cancel();
  assertEquals(made.status, 200);
  const texts: string[] = [];
  for (const each of ["/", path, "/metrics", "/sign-in"]) {
    const response = await fetch(at.url + each);
    assertMatch(response.headers.get("content-security-policy") ?? "", /^default-src 'none'/);
    assertEquals(response.headers.get("x-content-type-options"), "nosniff");
    texts.push(await response.text(), JSON.stringify([...response.headers]));
  }
  await using stack = new AsyncDisposableStack();
  const read = async (events: string) => {
    const response = await fetch(at.url + events);
    if (response.status !== 200) {
      await response.body?.cancel();
      return response.status;
    }
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    stack.defer(() => reader.cancel());
    texts.push(new TextDecoder().decode((await reader.read()).value));
    return 200;
  };
  const answers = [];
  for (const i of Array(18).keys()) {
    answers.push(await read(i === 0 ? `${path}/events` : "/events"));
  }
  assertEquals(answers, [...Array(16).fill(200), 503, 503]);
  assert(texts.some((text) => text.includes(uid.session)));
  for (const text of texts) assert(!text.includes(uid.reveal()) && !text.includes(uid.hash));

  // fetch says its own Host; curl says any.
  const curl = async (...args: string[]) => {
    const command = ["-s", "-o", "/dev/null", "-w", "%{http_code}", ...args];
    const { stdout } = await new Deno.Command("curl", { args: command }).output();
    return new TextDecoder().decode(stdout);
  };
  assertEquals(await curl(at.url, "-H", "Host: evil.example"), "421");
  assertEquals(await curl(at.url, "-H", "Host: 127.0.0.1.evil.example:80"), "421");
  assertEquals(await curl(at.url, "-H", "Host: localhost:8080"), "200");
  const token = operatorToken(at.gateway);
  const post = (...args: string[]) =>
    curl(`${at.url}${path}/release`, "-X", "POST", "-H", "Content-Type: application/json", ...args);
  const bearer = ["-H", `Authorization: Bearer ${token}`];
  assertEquals(await post(), "403");
  assertEquals(await post(...bearer, "-H", "Origin: http://evil.example"), "403");
  assertEquals(await post("-H", `Origin: ${at.url}`), "401");
  assertEquals(await post("-H", `Authorization: Bearer ${token}x`), "401");
  assertEquals(await post(...bearer, "-d", "x".repeat(40_000)), "413");
  assertEquals(await post(...bearer, "-d", "{"), "400");
  assertEquals((await call(at.gateway, undefined, "list")).sessions.length, 2);
  assertEquals(await post(...bearer, "-d", '{"force":true}'), "200");
  assertEquals(await post(...bearer, "-d", '{"force":true}'), "404");
  assertEquals((await call(at.gateway, undefined, "list")).sessions.length, 1);
});

Deno.test("authenticated: users see their own, administrators all and the metrics; sign-ins end with their tokens", async () => {
  const http = `127.0.0.1:${freePort()}`;
  const url = `http://${http}`;
  await using facility = await authenticated(
    ["--type=Mock", `--http=${http}`, "--admin=user:root@anl.gov", "--token-cache=0"],
  );
  const { oauth, gateway } = facility;
  const mint = (user: string) => oauth.token({ user, server: GATEWAY.id });
  const users = ["alice@anl.gov", "bob@anl.gov", "root@anl.gov"];
  const [alice, bob, root] = await Promise.all(users.map(mint)) as [string, string, string];
  const [hers, his] = [Uid.random(), Uid.random()];
  await session(gateway, alice, hers.reveal());
  await session(gateway, bob, his.reveal());

  for (const path of ["/healthz", "/readyz"]) {
    const response = await fetch(url + path);
    assertEquals([await response.text(), response.status][1], 200);
  }
  const status = async (path: string, token?: string) => {
    const headers: HeadersInit = token ? { authorization: `Bearer ${token}` } : {};
    const response = await fetch(url + path, { headers, redirect: "manual" });
    await response.body?.cancel();
    return response.status;
  };
  assertEquals(await status("/"), 303);
  assertEquals(await status("/events"), 401);
  assertEquals(await status("/metrics"), 401);
  assertEquals(await status("/metrics", `${root}x`), 401);
  assertEquals(await status("/metrics", alice), 403);
  assertEquals(await status("/metrics", root), 200);
  assertEquals(await status(`/sessions/${his.session}`, alice), 404);

  await using browser = await browse();
  const enter = async (token: string, more: BrowserContextOptions = DESKTOP) => {
    const context = await browser.newContext(more);
    const { page } = await visit(context, url);
    await page.fill("#token", token);
    await page.getByRole("button", { name: "Sign in" }).click();
    return { context, page };
  };
  const shown = async (page: Page) => {
    await isLive(page);
    return (await page.locator("#sessions td.link").allInnerTexts()).sort();
  };
  const wrong = await enter("AgpqQoBo1VvvYkz8yYxyQgkgrW7nobYmG6dno8q8rgKG9");
  assertMatch(await wrong.page.locator("[role=alert]").innerText(), /token is invalid/);
  assertEquals(await violations(wrong.page), []);
  const at = {
    alice: await enter(alice),
    bob: await enter(bob),
    root: await enter(root),
  };
  assertEquals(await shown(at.alice.page), [hers.session]);
  assertEquals(await shown(at.bob.page), [his.session]);
  assertEquals(await shown(at.root.page), [hers.session, his.session].sort());
  const cookies = await at.alice.context.cookies();
  assertEquals(cookies.map(({ httpOnly, sameSite }) => [httpOnly, sameSite]), [[true, "Strict"]]);
  for (const secret of [alice, hers.reveal()]) {
    assert(!JSON.stringify(cookies).includes(secret));
    assert(!(await at.alice.page.content()).includes(secret));
  }

  // One's own is released under one's own name.
  await at.alice.page.click(`#sessions a[href="/sessions/${hers.session}"]`);
  await at.alice.page.click("#release");
  await at.alice.page.click("dialog button[value=release]");
  await at.alice.page.getByText("This session is over.").waitFor();
  assertEquals(audited(gateway, "release").map(({ caller, session }) => [caller, session]), [
    ["alice@anl.gov", hers.session],
  ]);
  // A token that is revoked ends what is open.
  await oauth.revoke(bob);
  await at.bob.page.waitForURL(/sign-in/);
  await at.root.page.getByRole("button", { name: "Sign out" }).click();
  await at.root.page.waitForURL(/sign-in/);
  assertEquals((await at.root.context.cookies()).length, 0);
});

Deno.test("too many bad tokens of one address are not looked at any more", async () => {
  await using at = await watched(["--type=Mock", "--bad-token-rate=1"]);
  const statuses = new Set<number>();
  for (const _ of Array(15).keys()) {
    const response = await fetch(at.url, { headers: { authorization: "Bearer wrong-token" } });
    await response.body?.cancel();
    statuses.add(response.status);
  }
  assertEquals([...statuses], [401, 429]);
  // Whoever has the good one is not kept out by that.
  const token = operatorToken(at.gateway);
  const response = await fetch(at.url, { headers: { authorization: `Bearer ${token}` } });
  assertMatch(await response.text(), /operator/);
});

Deno.test("on other addresses: with authentication and TLS only, by the certificate's names, renewed with it", async () => {
  const usage = async (...flags: string[]) => {
    const { code, err } = await scistream(["s2cs", ...flags]);
    assertEquals(code, 2, err);
    return err;
  };
  assertMatch(await usage("--http=10.0.0.1:5080"), /"10\.0\.0\.1:5080" is not a loopback address/);
  assertMatch(await usage("--http=10.0.0.1:5080", "--ssl=False"), /in the clear/);

  await using oauth = await globus();
  using folder = tempFolder();
  const http = `0.0.0.0:${freePort()}`;
  await using gateway = await Gateway.start(
    "--type=Mock",
    `--http=${http}`,
    ...globusFlags(oauth, folder.path),
  );
  const url = `https://localhost:${http.split(":")[1]}`;
  const curl = async (...args: string[]) => {
    const command = ["-sS", "--cacert", gateway.cert, "-w", "%{http_code}", ...args];
    const { stdout, stderr } = await new Deno.Command("curl", { args: command }).output();
    return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  };
  assertEquals(await curl(`${url}/readyz`), "ready\n200");
  assertMatch(await curl(`${url}/`, "-H", "Host: evil.example"), /421$/);
  assertMatch(await curl("-i", `${url}/`), /location: \/sign-in[^]*303$/i);
  const token = await oauth.token({ user: "alice@anl.gov", server: GATEWAY.id });
  const signIn = ["--data-urlencode", `token=${token}`, "-H", `Origin: ${url}`];
  assertMatch(
    await curl("-i", `${url}/sign-in`, ...signIn),
    /set-cookie: __Host-scistream-\d+=\S+; Max-Age=\d+; Path=\/; HttpOnly; SameSite=Strict; Secure/i,
  );
  await gateway.certify();
  gateway.process.child.kill("SIGHUP");
  await gateway.process.line(/were read again/, "err");
  assertEquals(await curl(`${url}/readyz`), "ready\n200");
});

Deno.test("it ends promptly with pages open, says so before, and takes the operator's token along", async () => {
  await using at = await watched(["--wan=plain", "--workers=1", "--drain-timeout=60"]);
  await using stream = await IperfStream.start(at.gateway, "127.0.0.1");
  await using browser = await browse();
  const { page } = await visit(await browser.newContext(DESKTOP), at.url);
  await isLive(page);
  const token = operatorToken(at.gateway);
  assertEquals(token.length, 32);
  stream.send("127.0.0.1", "-b", "10M", "-t", "60");
  await page.locator("#figure-to dd", { hasText: "Mbit/s" }).waitFor();
  at.gateway.process.child.kill("SIGTERM");
  // Streams may finish; who looks on sees that.
  await page.locator("td[data-state=draining]").waitFor();
  const response = await fetch(`${at.url}/readyz`);
  assertEquals([await response.text(), response.status], ["shutting down\n", 503]);
  const { code } = await at.gateway.process.stop();
  assertEquals(code, 0);
  assertEquals(
    [...Deno.readDirSync(at.gateway.stateDir)].filter(({ isDirectory }) => isDirectory),
    [],
  );
  await page.locator("#live[data-live=false]").waitFor();
});

Deno.test("ready only when what an earlier control server left has been taken up", async () => {
  await using at = await watched(["--workers=1"]);
  const uid = Uid.random();
  await session(at.gateway, undefined, uid.reveal());
  const { gateway } = at;
  gateway.process.child.kill("SIGKILL");
  await gateway.process.ended;
  const [child] = gateway.dataServers() as [number];
  // What cannot answer cannot be taken up.
  Deno.kill(child, "SIGSTOP");
  const port = Number(gateway.address.split(":")[1]);
  const flags = ["--workers=1", `--http=${at.http}`, `--port-range=${portRange(10).text}`];
  const launched = gateway.launch(port, ...flags);
  const ask = async (path: string) => {
    try {
      const response = await fetch(at.url + path);
      return `${response.status} ${await response.text()}`;
    } catch {
      return "nobody listens yet";
    }
  };
  await eventually("it recovers", async () => /^503 recovering/.test(await ask("/readyz")));
  assertEquals(await ask("/healthz"), "200 alive\n");
  Deno.kill(child, "SIGCONT");
  await launched;
  assertEquals(await ask("/readyz"), "200 ready\n");
  await eventually("it is shown", async () => (await ask("/")).includes(uid.session));
});

Deno.test("who begins a request and does not end it is cut", async () => {
  await using at = await watched(["--type=Mock"]);
  using conn = await Deno.connect({ port: Number(at.http.split(":")[1]) });
  await conn.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: "));
  const answer = new TextDecoder().decode(
    await new Response(conn.readable, {}).arrayBuffer(),
  );
  assertMatch(answer, /^(HTTP\/1\.1 408|$)/);
});
