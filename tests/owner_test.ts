/**
 * A session belongs to whoever made it: real tokens, real sessions, bytes that go on.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Uid } from "../lib/protocol/uid.ts";
import { dial, echoes, EchoServer, readExactly, writeAll } from "./echo.ts";
import { assertOk, Gateway, scistream, tempFolder } from "./harness.ts";
import {
  assertStreams,
  authenticated,
  call,
  GATEWAY,
  globus,
  globusFlags,
  refusal,
  session,
} from "./oauth/gateway.ts";
import type { OAuthServer } from "./oauth/provider.ts";

const newUid = () => Uid.random().reveal();
const mint = (oauth: OAuthServer, user: string) => oauth.token({ user, server: GATEWAY.id });
/** Without what is said of one session and not of another. */
const anonymous = (sentence: string) => sentence.replace(/session [0-9a-f]{8}/g, "session …");

Deno.test("others are refused a session as if it were not there, and its stream goes on", async (t) => {
  await using facility = await authenticated(["--wan=plain", "--hello-timeout=1"]);
  const { oauth, gateway } = facility;
  await using echo = new EchoServer();
  const [alice, bob] = [await mint(oauth, "alice@anl.gov"), await mint(oauth, "bob@anl.gov")];
  const uid = newUid();
  const listener = await session(gateway, alice, uid, { app: String(echo.endpoint) });
  using stream = await dial(listener);
  const roundTrip = async (text: string) => {
    const bytes = new TextEncoder().encode(text);
    await writeAll(stream, bytes);
    assertEquals(await readExactly(stream, bytes.length), bytes);
  };
  await roundTrip("before");

  const role = "PROD";
  const calls = {
    hello: { role, prod_listeners: ["10.0.0.1:1"] },
    update: { role, remote_listeners: ["10.0.0.1:1"] },
    release: {},
    status: {},
  };
  for (const [method, message] of Object.entries(calls)) {
    await t.step(method, async () => {
      const ask = (uid: string) =>
        refusal(call(gateway, bob, method as keyof typeof calls, { ...message, uid }));
      const theirs = await ask(uid);
      assertMatch(
        theirs,
        /^AUTH_ERROR 7 you have no session [0-9a-f]{8} here; it is somebody else's, was/,
      );
      assertEquals(anonymous(theirs), anonymous(await ask(newUid())));
      await roundTrip(method);
      await assertStreams(gateway, alice, uid);
    });
  }
  await t.step("by its public id", async () => {
    const { session } = Uid.parse(uid);
    for (const method of ["release", "status"] as const) {
      const theirs = await refusal(call(gateway, bob, method, { session }));
      assertMatch(theirs, /^AUTH_ERROR 7 you have no session/);
      assertEquals(
        anonymous(theirs),
        anonymous(await refusal(call(gateway, bob, method, { session: "00000000" }))),
      );
    }
  });
  await t.step("list shows everyone their own", async () => {
    assertEquals((await call(gateway, bob, "list")).sessions, []);
    const { sessions } = await call(gateway, alice, "list");
    assertEquals(sessions.map(({ owner }) => owner), ["alice@anl.gov"]);
  });
  await t.step("the uid cannot be had twice", async () => {
    assertMatch(
      await refusal(call(gateway, bob, "req", { uid, role, num_conn: 1 })),
      /^INVALID_UID 6 .* exists already/,
    );
  });
  await t.step("somebody else's early hello is not taken for the owner's", async () => {
    const uid = newUid();
    const hello = refusal(call(gateway, bob, "hello", { ...calls.hello, uid }));
    await gateway.process.line(new RegExp(`${Uid.parse(uid)}: hello is early`), "err");
    const req = call(gateway, alice, "req", { uid, role, num_conn: 1 });
    assertMatch(await hello, /^AUTH_ERROR 7 you have no session/);
    assertMatch(await refusal(req), /^TIMEOUT 4 no hello arrived/);
  });
  await roundTrip("after");
  await call(gateway, alice, "release", { session: Uid.parse(uid).session, force: true });
  assertEquals((await call(gateway, alice, "list")).sessions, []);
});

Deno.test("administrators list and release everybody's, and do nothing else to them", async () => {
  await using facility = await authenticated([
    "--type=Mock",
    "--hello-timeout=1",
    "--allow=domain:anl.gov",
    "--admin=user:carol@ops.example",
  ]);
  const { oauth, gateway } = facility;
  const users = ["alice@anl.gov", "bob@anl.gov", "carol@ops.example"];
  const [alice, bob, carol] = await Promise.all(users.map((user) => mint(oauth, user))) as [
    string,
    string,
    string,
  ];
  const uids = [newUid(), newUid(), newUid()] as const;
  await session(gateway, alice, uids[0]);
  await session(gateway, bob, uids[1]);
  await session(gateway, bob, uids[2]);
  const { sessions } = await call(gateway, carol, "list");
  assertEquals(sessions.map(({ owner }) => owner), ["alice@anl.gov", "bob@anl.gov", "bob@anl.gov"]);
  assertEquals((await call(gateway, carol, "status", { uid: uids[0] })).owner, "alice@anl.gov");
  const who = await call(gateway, carol, "whoami");
  assertEquals([who.name, who.admin], ["carol@ops.example", true]);
  const message = { uid: uids[0], role: "PROD", remote_listeners: ["10.0.0.1:1"] };
  assertMatch(await refusal(call(gateway, carol, "update", message)), /^AUTH_ERROR 7 /);
  assertMatch(
    await refusal(call(gateway, carol, "hello", { uid: uids[0], role: "PROD" })),
    /^AUTH_ERROR 7 /,
  );
  // An administrator may know that a uid is not there.
  assertMatch(await refusal(call(gateway, carol, "release", { uid: newUid() })), /^INVALID_UID 5 /);
  await call(gateway, carol, "release", { uid: uids[0] });
  assertMatch(await refusal(call(gateway, alice, "status", { uid: uids[0] })), /^AUTH_ERROR 7 /);

  const release = (token: string, ...flags: string[]) =>
    scistream(["s2uc", "release", ...gateway.flags, ...flags], { env: { SCISTREAM_TOKEN: token } });
  const [named] = (await call(gateway, carol, "list")).sessions;
  assertOk(await release(carol, "--session", named?.session ?? ""));
  assertEquals((await call(gateway, bob, "list")).sessions.length, 1);
  // Everybody's "all" is their own.
  assertOk(await release(alice, "--all"));
  assertEquals((await call(gateway, bob, "list")).sessions.length, 1);
  assertOk(await release(carol, "--all"));
  assertEquals((await call(gateway, carol, "list")).sessions, []);
});

Deno.test("quotas are each identity's own", async (t) => {
  await using facility = await authenticated([
    "--type=Mock",
    "--quota-sessions=2",
    "--quota-channels=5",
    "--quota-rate=1000",
  ]);
  const { oauth, gateway } = facility;
  const [alice, bob] = [await mint(oauth, "alice"), await mint(oauth, "bob")];
  const role = "PROD";
  const refused = (message: { num_conn: number; rate: number }, token = alice) =>
    refusal(call(gateway, token, "req", { uid: newUid(), role, ...message }));
  const first = newUid();
  await t.step("rate", async () => {
    assertMatch(
      await refused({ num_conn: 1, rate: 0 }),
      /^RATE_LIMIT 8 .*at most 1000 kB\/s; ask for a rate/,
    );
    await session(gateway, alice, first, { num_conn: 3, rate: 600 });
    assertMatch(
      await refused({ num_conn: 1, rate: 401 }),
      /^RATE_LIMIT 8 .*you have 600 of your 1000 kB\/s/,
    );
    const update = (rate: number) =>
      call(gateway, alice, "update", { uid: first, role, remote_listeners: [], rate });
    assertMatch(await refusal(update(1001)), /^RATE_LIMIT 8 /);
    assertMatch(await refusal(update(-1)), /^RATE_LIMIT 8 /);
    await update(500);
  });
  await t.step("channels", async () => {
    assertMatch(
      await refused({ num_conn: 3, rate: 1 }),
      /^RATE_LIMIT 8 3 channels asked for, and you have 3 of your 5/,
    );
  });
  await t.step("sessions", async () => {
    await session(gateway, alice, newUid(), { num_conn: 1, rate: 1 });
    assertMatch(
      await refused({ num_conn: 1, rate: 1 }),
      /^RATE_LIMIT 8 you already have your 2 sessions/,
    );
  });
  await t.step("another identity has its own", async () => {
    await session(gateway, bob, newUid(), { num_conn: 5, rate: 1000 });
  });
  await t.step("what is released is there again", async () => {
    await call(gateway, alice, "release", { uid: first });
    await session(gateway, alice, newUid(), { num_conn: 4, rate: 999 });
  });
  assertEquals((await call(gateway, alice, "list")).sessions.length, 2);
});

Deno.test("--allow: by name, subject, domain and Globus group; networks beside them", async (t) => {
  await using oauth = await globus({ users: { "dave@else.where": { groups: ["9d1c-beamline"] } } });
  using folder = tempFolder();
  await using gateway = await Gateway.start(
    "--wan=plain",
    `--allow=user:bob@uchicago.edu,id:${oauth.subject("erin@else.where")},domain:anl.gov`,
    "--allow=group:9d1c-beamline,10.99.0.0/16",
    "--token-cache=0",
    `--globus-groups-url=${oauth.url}`,
    ...globusFlags(oauth, folder.path),
  );
  const whoami = async (user: string) => call(gateway, await mint(oauth, user), "whoami");
  for (const user of ["bob@uchicago.edu", "erin@else.where", "Alice@ANL.gov", "dave@else.where"]) {
    await t.step(`${user} is let in`, async () => assertEquals((await whoami(user)).name, user));
  }
  for (const user of ["mallory@else.where", "bob@uchicago.edu.evil", "alice@xanl.gov", "anl.gov"]) {
    await t.step(`${user} is not`, async () => {
      assertMatch(
        await refusal(whoami(user)),
        /^AUTH_ERROR 7 ".*" may not use this control server/,
      );
    });
  }
  await t.step("the networks are for data connections", async () => {
    const bob = await mint(oauth, "bob@uchicago.edu");
    await using echo = new EchoServer();
    const uid = newUid();
    const listener = await session(gateway, bob, uid, { app: String(echo.endpoint) });
    assertEquals(await echoes(listener), false);
    const { channels } = await call(gateway, bob, "status", { uid });
    assertEquals(channels[0]?.connections_refused, 1);
  });
  await t.step("groups that cannot be had let nobody in", async () => {
    oauth.intercept = ({ path }) => path === oauth.paths.groups ? { status: 503 } : undefined;
    assertMatch(await refusal(whoami("mallory@else.where")), /^UNAVAILABLE 14 /);
  });
});

Deno.test("tokens and the client's secret are in no log, no list of processes and no child's environment", async () => {
  await using oauth = await globus();
  // In its environment, where children would find it if they were given that.
  Deno.env.set("SCISTREAM_CLIENT_SECRET", GATEWAY.secret);
  const starting = Gateway.start(
    "--wan=plain",
    "--verbose",
    "--allow=domain:anl.gov",
    `--globus-url=${oauth.url}`,
    `--client-id=${GATEWAY.id}`,
  );
  await using gateway = await starting.finally(() => Deno.env.delete("SCISTREAM_CLIENT_SECRET"));
  await using echo = new EchoServer();
  const [alice, stranger] = [
    await mint(oauth, "alice@anl.gov"),
    await mint(oauth, "eve@evil.example"),
  ];
  await session(gateway, alice, newUid(), { app: String(echo.endpoint) });
  await refusal(call(gateway, stranger, "list"));
  oauth.intercept = () => ({ status: 500 });
  const unknown = "AgpqQoBo1VvvYkz8yYxyQgkgrW7nobYmG6dno8q8rgKG9";
  await refusal(call(gateway, unknown, "list"));
  const { child: { pid: s2cs }, out, err } = gateway.process;
  const texts = [out, err, Deno.readTextFileSync(`/proc/${s2cs}/cmdline`)];
  const pids = gateway.dataServers();
  assert(pids.length > 0);
  for (const pid of pids) {
    texts.push(
      Deno.readTextFileSync(`/proc/${pid}/cmdline`),
      Deno.readTextFileSync(`/proc/${pid}/environ`),
    );
  }
  for (const { name } of Deno.readDirSync(gateway.stateDir)) {
    for (const file of Deno.readDirSync(`${gateway.stateDir}/${name}`)) {
      if (file.isFile) {
        texts.push(Deno.readTextFileSync(`${gateway.stateDir}/${name}/${file.name}`));
      }
    }
  }
  for (const text of texts) {
    for (const secret of [alice, stranger, unknown, GATEWAY.secret]) {
      assertEquals(text.includes(secret), false, text);
    }
  }
});
