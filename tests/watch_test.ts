/**
 * `s2uc watch` over real control servers: what it shows, when it ends, and who sees what.
 * @module
 */
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ControlClient } from "../lib/protocol/client.ts";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { ScistreamError, Status } from "../lib/protocol/errors.ts";
import { Uid } from "../lib/protocol/uid.ts";
import type { WatchUpdate } from "../proto/messages.ts";
import { dial } from "./echo.ts";
import {
  assertOk,
  eventually,
  freePort,
  Gateway,
  run,
  Running,
  type RunOptions,
  SCISTREAM,
  scistream,
} from "./harness.ts";
import { authenticated, call, calling, GATEWAY, session } from "./oauth/gateway.ts";
import { codeOf, User } from "./oauth/user.ts";

const watching = (args: readonly string[], options?: RunOptions) =>
  new Running([...SCISTREAM, "s2uc", "watch", ...args], options);

/** A session towards this port; answers its uid and listener. */
async function inbound(gateway: Gateway, port: number, numConn = 1) {
  const ended = assertOk(
    await scistream([
      ...["s2uc", "inbound-request", ...gateway.flags, "--json", `--num-conn=${numConn}`],
      ...["--remote-ip=127.0.0.1", `--receiver-ports=${port}`],
    ]),
  );
  const made = JSON.parse(ended.out.trim().split("\n").at(-1) as string);
  return { uid: made.uid as string, listener: made.listeners[0] as string };
}

const release = (gateway: Gateway, uid: string) =>
  scistream(["s2uc", "release", uid, ...gateway.flags]);

/** Runs `work` with a client of a control server that authenticates nobody. */
const asking = <T>(gateway: Gateway, work: (client: ControlClient) => Promise<T>) =>
  calling(gateway, undefined, work);

/** The first update of a watch, which ends with it. */
async function first(
  client: ControlClient,
  request: { uid?: string; session?: string } = {},
): Promise<WatchUpdate> {
  for await (const update of client.stream("watch", request)) return update;
  throw new Error("no update");
}

/** That two figures of the same bytes are the same, but for what is cut off at either end. */
function assertClose(what: string, figure: number, iperf: number): void {
  assert(Math.abs(figure / iperf - 1) < 0.05, `${what}: ${figure}, and iperf3 says ${iperf}`);
}

const UNITS: Record<string, number> = { "": 1, k: 1e3, M: 1e6, G: 1e9 };

Deno.test("watch and list agree with iperf3; piped there are no escape codes", async () => {
  await using gateway = await Gateway.start("--wan=plain");
  const port = freePort();
  const server = new Running(["iperf3", "-s", "-1", "--forceflush", "-p", String(port)]);
  await server.line(/Server listening/);
  const { uid, listener } = await inbound(gateway, port);
  const json = watching([uid, ...gateway.flags, "--json"]);
  const piped = watching([uid, ...gateway.flags], { env: { TERM: "xterm" } });
  await Promise.all([json.line(/"kind":"watch"/), piped.line(/ streaming, PROD, S2DS; /)]);
  const [host = "", at = ""] = listener.split(":");
  const ran = assertOk(await run(["iperf3", "-J", "-c", host, "-p", at, "-t", "4", "-b", "800M"]));
  const { end: { sum_received: { seconds, bits_per_second } } } = JSON.parse(ran.out);
  await server.ended;
  await Promise.all([
    json.line(/"connections_open":0,"connections_total":2\b/),
    piped.line(/0 bit\/s; 0 open, 2 total/),
  ]);
  const list = JSON.parse(
    assertOk(await scistream(["s2uc", "list", "--json", ...gateway.flags])).out,
  );
  assertOk(await release(gateway, uid));

  const bytes = list.sessions[0].channels[0].bytes_to_target;
  assertClose("list", bytes * 8 / seconds, bits_per_second);

  const updates = assertOk(await json.ended).out.trim().split("\n").map((line) => JSON.parse(line));
  let bits = 0;
  for (const [i, { at_ms, sessions: [{ channels: [channel] }] }] of updates.entries()) {
    const before = updates[i - 1]?.at_ms ?? at_ms;
    bits += channel.bits_per_second_to_target * (at_ms - before) / 1000;
  }
  assertClose("watch --json", bits / seconds, bits_per_second);
  assertEquals(updates.at(-1).sessions[0].state, "released");

  const { out, err } = assertOk(await piped.ended);
  assert(!(out + err).includes("\x1b"), out);
  const { session } = Uid.parse(uid);
  assertMatch(out, new RegExp(`\nsession ${session} at ${gateway.address} is released\n$`));
  // A line stands for all updates until the next.
  const lines = [...out.matchAll(/^(\S+Z) .*to target ([\d.]+) (\w?)bit\/s/gm)].map((
    [, time, rate, unit],
  ) => ({ ms: Date.parse(time as string), rate: Number(rate) * (UNITS[unit ?? ""] ?? NaN) }));
  let shown = 0;
  for (const [i, { ms, rate }] of lines.entries()) shown += rate * ((lines[i + 1]?.ms ?? ms) - ms);
  assertClose("watch, piped", shown / 1000 / seconds, bits_per_second);
});

/** `s2uc watch` on a terminal of 80 columns and 24 rows. */
function onTerminal(args: readonly string[], env: Record<string, string>): Running {
  const command = [...SCISTREAM, "s2uc", "watch", ...args].join(" ");
  return new Running(["script", "-qec", `stty cols 80 rows 24; ${command}`, "/dev/null"], { env });
}

Deno.test("on a terminal it is drawn again in place, never wider than 80 columns", async () => {
  await using gateway = await Gateway.start("--max-conn=20");
  // Nothing listens there, so that there are errors to show.
  const { uid, listener } = await inbound(gateway, freePort(), 8);
  const one = onTerminal([uid, ...gateway.flags], { TERM: "xterm" });
  const all = onTerminal([...gateway.flags, "--count=3"], { TERM: "xterm", NO_COLOR: "1" });
  await one.line(/… \d+ more lines/);
  (await dial(listener)).close();
  await one.line(/last error \d+s ago: /);
  assertOk(await all.ended);
  assertOk(await release(gateway, uid));
  const ended = assertOk(await one.ended);
  assertMatch(ended.out, /to target {5}0 bit\/s +▁+ 0 B/);
  assertMatch(ended.out, / released, PROD, S2DS, /);
  assertMatch(ended.out, /session [0-9a-f]{8} at \S+ is released\r\n$/);
  // It may have begun before the connection that was made here, or after it.
  assertMatch(all.out, /8 channels, 0 open, [01] total/);
  for (const { out } of [one, all]) {
    assert(out.includes("\x1b[J"), "is drawn again");
    // Up, and clear: no colours, and nothing else.
    const bare = out.replaceAll("\x1b", "ESC").replaceAll(/ESC\[\d*[AJ]|\r/g, "");
    assert(!bare.includes("ESC"), bare);
    for (const line of bare.split("\n")) {
      assert([...line].length <= 80, line);
    }
  }
  const dumb = onTerminal([...gateway.flags, "--count=1"], { TERM: "dumb" });
  assert(!assertOk(await dumb.ended).out.includes("\x1b"));
});

Deno.test("a session that expires ends its watch with the reason", async () => {
  await using gateway = await Gateway.start("--type=Mock", "--hello-timeout=3");
  const request = new Running([...SCISTREAM, "s2uc", "prod-req", ...gateway.flags]);
  const [, uid = ""] = await request.line(/^(\S{36}) /m);
  await gateway.process.line(/reserved → waiting/, "err");
  const ended = assertOk(await watching([uid, ...gateway.flags]).ended);
  assertMatch(ended.out, / waiting, PROD, Mock; /);
  assertMatch(ended.out, /is expired: no hello arrived within 3 s\n$/);
  assertEquals((await request.ended).code, 1);
});

Deno.test("a control server that is killed: it reconnects once there is one again", async () => {
  await using gateway = await Gateway.start();
  const { uid } = await inbound(gateway, freePort());
  const one = watching([uid, ...gateway.flags, "--json"]);
  const all = watching([...gateway.flags]);
  await Promise.all([one.line(/"kind"/), all.line(/streaming/)]);
  await gateway.process.stop("SIGKILL");
  const reconnecting = new RegExp(`^${gateway.address}: reconnecting: `, "m");
  await Promise.all([one, all].map((each) => each.line(reconnecting, "err")));
  const before = one.out.length;
  await gateway.launch(Endpoint.parse(gateway.address).port);
  await eventually("updates come again", () => one.out.length > before);
  await all.line(/reason: taken up again after the control server was restarted/);
  assertOk(await release(gateway, uid));
  const { out } = assertOk(await one.ended);
  assertEquals(JSON.parse(out.trim().split("\n").at(-1) as string).sessions[0].state, "released");
  await all.line(/ is over\n/);
  assertEquals((await all.stop("SIGINT")).code, 0);
});

Deno.test("what is wrong at first is said, and another server is watched all the same", async () => {
  await using gateway = await Gateway.start("--type=Mock");
  const nobody = `127.0.0.1:${freePort()}`;
  const alone = await scistream(["s2uc", "watch", "--s2cs", nobody, "--ssl=False"]);
  assertEquals([alone.code, alone.out], [3, ""]);
  assertMatch(alone.err, /^error: \[CONN_ERROR\] could not reach .* refused; is s2cs running/);
  const both = await watching(["--s2cs", nobody, ...gateway.flags, "--count=2"]).ended;
  assertEquals(both.code, 3);
  assertMatch(both.out, / no sessions\n$/);
  assertMatch(both.err, /^error: \[CONN_ERROR\] could not reach/);
});

Deno.test("a reader that goes away ends it", async () => {
  await using gateway = await Gateway.start("--type=Mock");
  const command = [...SCISTREAM, "s2uc", "watch", ...gateway.flags, "--json"].join(" ");
  const ended = assertOk(await run(["bash", "-o", "pipefail", "-c", `${command} | head -n 1`]));
  assertEquals(ended.out.split("\n").length, 2);
});

Deno.test("200 watches at one server: all are told, others are served, nothing is left", async () => {
  const http = `127.0.0.1:${freePort()}`;
  await using gateway = await Gateway.start("--type=Mock", `--http=${http}`);
  const pending = async () => {
    const text = await (await fetch(`http://${http}/metrics`)).text();
    return Number(/^scistream_pending_calls (\d+)$/m.exec(text)?.[1]);
  };
  await inbound(gateway, freePort());
  const over = new AbortController();
  await asking(gateway, async (client) => {
    const begun = Array.from({ length: 200 }, () => Promise.withResolvers<void>());
    const watches = begun.map(async ({ resolve }) => {
      let seen = 0;
      for await (
        const { sessions } of client.stream("watch", {}, { signal: over.signal })
      ) {
        assertEquals(sessions.map(({ state }) => state), ["streaming"]);
        if (++seen === 3) resolve();
      }
    });
    const ended = Promise.allSettled(watches);
    await Promise.race([Promise.all(begun.map(({ promise }) => promise)), ended]);
    assertEquals(await pending(), 200);
    await asking(gateway, async (other) => {
      assertEquals((await other.call("list", {})).sessions.length, 1);
    });
    over.abort(new Error("over"));
    await ended;
    await eventually("no call is pending", async () => await pending() === 0);
  });
});

Deno.test("a watch counts as a call that waits", async () => {
  await using gateway = await Gateway.start("--type=Mock", "--max-pending-per-caller=2");
  await asking(gateway, async (client) => {
    const held = [client.stream("watch", {}), client.stream("watch", {})];
    for (const each of held) await each.next();
    const error = await assertRejects(() => first(client), ScistreamError);
    assertEquals(error.code, "RATE_LIMIT");
    for (const each of held) await each.return();
    await eventually("there is room again", () => first(client).then(() => true, () => false));
  });
});

Deno.test("a control server that stops ends its watches at once, and by name", async () => {
  await using gateway = await Gateway.start("--type=Mock");
  await asking(gateway, async (client) => {
    const watch = client.stream("watch", {});
    await watch.next();
    const end = assertRejects(
      async () => {
        while (!(await watch.next()).done);
      },
      ScistreamError,
      "is shutting down",
    );
    const [error, { code }] = await Promise.all([end, gateway.process.stop()]);
    assertEquals([error.code, code], ["UNAVAILABLE", 0]);
  });
});

Deno.test("bad requests for a watch are refused as those for a status", async () => {
  await using gateway = await Gateway.start("--type=Mock");
  await asking(gateway, async (client) => {
    for (
      const [request, code, status] of [
        [{ uid: "/".repeat(20) }, "INVALID_UID", Status.INVALID_ARGUMENT],
        [{ uid: "unknown-uid" }, "INVALID_UID", Status.NOT_FOUND],
        [{ session: "zz" }, "INVALID_UID", Status.INVALID_ARGUMENT],
        [{ session: "1a2b3c4d" }, "AUTH_ERROR", Status.PERMISSION_DENIED],
      ] as const
    ) {
      const error = await assertRejects(() => first(client, request), ScistreamError);
      assertEquals([error.code, error.status], [code, status]);
    }
  });
});

Deno.test("two users see their own, an administrator everybody's", async () => {
  await using facility = await authenticated(["--type=Mock", "--admin=user:carol@ops.example"]);
  const { oauth, gateway } = facility;
  const mint = (user: string) => oauth.token({ user, server: GATEWAY.id });
  const users = ["alice@anl.gov", "bob@anl.gov", "carol@ops.example"];
  const tokens = await Promise.all(users.map(mint));
  const [alice, bob] = tokens;
  const uids = [Uid.random(), Uid.random()] as const;
  await session(gateway, alice, uids[0].reveal());
  await session(gateway, bob, uids[1].reveal());
  const names = uids.map((uid) => uid.session);
  const seen = await Promise.all(
    tokens.map((token) => calling(gateway, token, (client) => first(client))),
  );
  assertEquals(
    seen.map(({ sessions }) => sessions.map((each) => each.session)),
    [[names[0]], [names[1]], names] as string[][],
  );
  const refused = (token: string | undefined, request: { uid?: string; session?: string }) =>
    assertRejects(
      () => calling(gateway, token, (client) => first(client, request)),
      ScistreamError,
    );
  for (const request of [{ uid: uids[0].reveal() }, { session: names[0] as string }]) {
    const { sessions } = await calling(gateway, alice, (client) => first(client, request));
    assertEquals(sessions.map(({ owner }) => owner), ["alice@anl.gov"]);
    const error = await refused(bob, request);
    assertEquals([error.code, error.status], ["AUTH_ERROR", Status.PERMISSION_DENIED]);
  }
  assertEquals((await refused("no-such-token", {})).status, Status.UNAUTHENTICATED);

  // On the command line, from beginning to end.
  const cli = watching([uids[0].reveal(), ...gateway.flags], {
    env: { SCISTREAM_TOKEN: alice ?? "" },
  });
  await cli.line(/ streaming, PROD, Mock/);
  await call(gateway, alice, "release", { uid: uids[0].reveal() });
  assertMatch(assertOk(await cli.ended).out, / is released\n$/);
});

Deno.test("a token that ends takes its watch with it", async () => {
  await using facility = await authenticated(["--type=Mock"]);
  const { oauth, gateway } = facility;
  const token = await oauth.token({
    user: "alice@anl.gov",
    server: GATEWAY.id,
    expiresInSeconds: 3,
  });
  const error = await calling(gateway, token, (client) =>
    assertRejects(async () => {
      let seen = 0;
      for await (const _ of client.stream("watch", {})) if (++seen === 30) break;
      throw new Error(`was told ${seen} times, and went on`);
    }, ScistreamError));
  assertEquals([error.code, error.status], ["AUTH_ERROR", Status.UNAUTHENTICATED]);
  assertMatch(Deno.readTextFileSync(gateway.audit), /"call":"watch".*"outcome":"AUTH_ERROR"/);
});

Deno.test("on the command line a watch goes on with a fresh token when its own has ended", async () => {
  await using facility = await authenticated(["--type=Mock"], { accessTokenSeconds: 4 });
  const { oauth, gateway } = facility;
  using alice = new User("alice@anl.gov");
  alice.configure(
    `[servers."${gateway.address}"]\nscope = "${GATEWAY.id}"\nserver-cert = "${gateway.cert}"\n`,
  );
  assertOk(await alice.login([`--globus-url=${oauth.url}`], codeOf));
  const watch = alice.start(["s2uc", "watch", "--s2cs", gateway.address, "--json", "--count=9"]);
  const { out, err } = assertOk(await watch.ended);
  assertEquals([out.trim().split("\n").length, err], [9, ""]);
  const asked = Deno.readTextFileSync(gateway.audit);
  assert(/"call":"watch".*"outcome":"AUTH_ERROR"/.test(asked), "the token has ended meanwhile");
});
