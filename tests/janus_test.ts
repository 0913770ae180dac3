// Sessions of type Janus: real containers on two engines, behind a controller whose REST is Janus'.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { makeCertificate } from "../lib/certificate.ts";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { Uid } from "../lib/protocol/uid.ts";
import { dial, echoes, EchoServer, exactBothWays, nameAt, NamedServer, roundTrip } from "./echo.ts";
import { Engine, whyNoEngine } from "./engine.ts";
import { eventually, freePort, Gateway, leftOutIf, portRange, run, SCISTREAM } from "./harness.ts";
import { Janus, PASSWORD } from "./janus/gateways.ts";
import { Pair, type Stream } from "./pair.ts";

const { ignore, because } = leftOutIf(whyNoEngine());
const engines: Engine[] = [];

Deno.test.beforeAll(async () => {
  if (ignore) return;
  for (const engine of await Promise.all([Engine.start(), Engine.start()])) {
    engines.push(engine);
    await engine.images();
  }
});
Deno.test.afterAll(async () => {
  for (const engine of engines) await engine[Symbol.asyncDispose]();
});

function start(more: Parameters<typeof Janus.start>[1] = {}): Promise<Janus> {
  return Janus.start(engines as [Engine, Engine], more);
}

/** A test that needs the engines. */
function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `Janus: ${name}${because}`, ignore, fn });
}

/** What both sides' check-status tell of a session. */
async function told(pair: Pair, stream: Stream): Promise<string> {
  const sides = await pair.status(stream);
  return sides.map(({ state, reason, channels }) =>
    [state, reason, ...channels.map((channel) => channel.last_error)].join(" ")
  ).join("\n");
}

/** Waits until both sides tell so of a session. */
async function bothTell(pair: Pair, stream: Stream, words: RegExp): Promise<void> {
  await eventually(
    `both tell ${words}`,
    async () => (await told(pair, stream)).match(words)?.length === 2,
  );
}

const hostsOf = (
  listeners: readonly string[],
) => [...new Set(listeners.map((each) => Endpoint.parse(each).host))];

test("two sessions on two nodes: exact both ways, moved, released, gone", async () => {
  await using janus = await start();
  await using one = new EchoServer();
  await using other = new NamedServer("other");
  await using pair = await janus.pair();
  const a = await pair.connect(one.endpoint, 2);
  const b = await pair.connect(one.endpoint, 2);
  // WAN addresses for producers, LAN addresses for consumers, a session on one node.
  assertEquals([a, b].flatMap(({ prod }) => hostsOf(prod)).sort(), ["127.0.0.2", "127.0.0.4"]);
  assertEquals([a, b].flatMap(({ cons }) => hostsOf(cons)).sort(), ["127.0.0.3", "127.0.0.5"]);
  assertEquals(
    (await Promise.all(engines.map((each) => each.containers()))).map((names) => names.length),
    [2, 2],
  );
  await Promise.all([...a.cons, ...b.cons].map(exactBothWays));
  await pair.update(a, other.endpoint);
  for (const listener of a.cons) assertEquals(await nameAt(listener), "other");
  assert(await echoes(b.cons[1] as string), "the other session is not touched");
  for (const side of await pair.status(a)) assertEquals(side.state, "streaming");
  await pair.release(a);
  assert(!await echoes(a.cons[0] as string));
  assert(await echoes(b.cons[0] as string));
  await pair.release(b);
  assertEquals(await janus.left(), []);
  for (const { gateway } of [pair.prod, pair.cons]) {
    assertEquals((await gateway.process.stop()).code, 0);
    assertEquals([...Deno.readDirSync(gateway.stateDir)], []);
  }
});

test("whoever stops s2cs has nothing left", async () => {
  await using janus = await start();
  await using echo = new EchoServer();
  await using pair = await janus.pair({ "drain-timeout": "1" });
  const stream = await pair.connect(echo.endpoint);
  assert(await echoes(stream.cons[0] as string));
  for (const { gateway } of [pair.prod, pair.cons]) {
    const { code, err } = await gateway.process.stop();
    assertEquals(code, 0);
    assert(!err.includes(PASSWORD));
  }
  assertEquals(await janus.left(), []);
});

test("s2cs that cannot use Janus says why, and does not start", async () => {
  const other = await makeCertificate({ ips: ["127.0.0.1"], names: ["localhost"], days: 1 });
  await using janus = await start();
  await using secured = await start({ tls: other });
  const wrong = `${janus.folder.path}/wrong`;
  Deno.writeTextFileSync(wrong, "wrong password", { mode: 0o600 });
  const cases: [Janus, Record<string, string>, RegExp][] = [
    [janus, { "janus-password-file": wrong }, /does not take the password of user "scistream"/],
    [janus, { "janus-profile": "p" }, /no profile "p" .*it has "scistream", "bridged", "bare"/],
    [janus, { "janus-profile": "bridged" }, /network "bridge".* set its mgmt_net to host/],
    [janus, { "janus-profile": "bare" }, /no folder that profile "bare" of Janus mounts/],
    [janus, { "janus-image": "i:1" }, /no image "i" for this user; it has "haproxy"/],
    [janus, { "janus-node": "x=127.0.0.1" }, /no node "x" for this user; it has "dtn1", "dtn2"/],
    [janus, { "janus-url": `http://127.0.0.1:${freePort()}` }, /is not reachable: .*refused/],
    [secured, {}, /certificate of Janus .*is not trusted.*--janus-ca FILE/],
    [janus, { "janus-config-dir": "/nonexistent/x" }, /--janus-config-dir "\/nonexistent\/x"/],
  ];
  await using gateway = await janus.gateway();
  for (const [where, more, words] of cases) {
    const flags = ["--server-crt", gateway.cert, "--server-key", gateway.key, "--port=0"];
    const state = `--state-dir=${janus.folder.path}/state`;
    const ended = await run([...SCISTREAM, "s2cs", ...flags, state, ...where.flags(more)]);
    assertMatch(ended.err, words);
    assert(ended.code !== 0);
    assert(!ended.err.includes("wrong password") && !ended.err.includes(PASSWORD));
  }
  assertEquals(await janus.left(), []);
});

test("TLS with its own certificate, and without verification", async () => {
  const tls = await makeCertificate({ ips: ["127.0.0.1"], names: ["localhost"], days: 1 });
  await using janus = await start({ tls });
  const ca = `${janus.folder.path}/ca.pem`;
  Deno.writeTextFileSync(ca, tls.cert);
  await using echo = new EchoServer();
  await using pair = await janus.pair({ "janus-ca": ca });
  const stream = await pair.connect(echo.endpoint);
  await exactBothWays(stream.cons[0] as string);
  await pair.release(stream);
  await using careless = await janus.gateway({ "janus-insecure": "True" });
  assertEquals(careless.process.err.match(/is not verified \(--janus-insecure\)/g)?.length, 1);
});

test("an error that Janus hides fails the request with Janus' words, and leaves nothing", async () => {
  await using janus = await start();
  await using echo = new EchoServer();
  await using pair = await janus.pair({ "janus-image": "not-there:1" });
  const error = await assertRejects(() => pair.connect(echo.endpoint), Error);
  assertMatch(error.message, /could not create a container on node "dtn[12]": .*not-there:1/);
  await janus.gone();
  for (const dtn of ["dtn1", "dtn2"]) assertMatch(pair.prod.gateway.process.err, new RegExp(dtn));
});

test("a port that somebody has is not taken", async () => {
  await using janus = await start();
  await using echo = new EchoServer();
  const { first, text } = portRange(20);
  const strangers = ["127.0.0.3", "127.0.0.5"].map((hostname) =>
    Deno.listen({ hostname, port: first })
  );
  await using pair = Pair.of(await janus.gateway(), await janus.gateway({ "port-range": text }));
  const stream = await pair.connect(echo.endpoint);
  assertEquals(stream.cons.map((each) => Endpoint.parse(each).port), [first + 1]);
  assert(await echoes(stream.cons[0] as string));
  for (const stranger of strangers) stranger.close();
  await pair.release(stream);
  assertEquals(await janus.left(), []);
});

test("a container that is killed, or removed, is made anew", async () => {
  await using janus = await start();
  await using echo = new EchoServer();
  await using pair = await janus.pair();
  const stream = await pair.connect(echo.endpoint, 2);
  for (const how of [["kill"], ["rm", "--force"]]) {
    for (const engine of engines) {
      for (const name of await engine.containers()) await engine.docker(...how, name);
    }
    await eventually("they are there again", () => echoes(stream.cons[1] as string));
    await bothTell(pair, stream, /recovered; before, its container on node dtn[12] has ended/g);
  }
  await pair.release(stream);
  assertEquals(await janus.left(), []);
});

test("a controller that comes back knows its sessions; streams do not notice", async () => {
  await using janus = await start();
  await using echo = new EchoServer();
  await using pair = await janus.pair();
  const stream = await pair.connect(echo.endpoint);
  using established = await dial(stream.cons[0] as string);
  await janus.server.down();
  await bothTell(pair, stream, /^failed Janus at .* is not reachable/gm);
  await roundTrip(established, "meanwhile");
  await assertRejects(() => pair.connect(echo.endpoint), Error, "is not reachable");
  await janus.server.up();
  await bothTell(pair, stream, /^streaming recovered/gm);
  await roundTrip(established, "afterwards");
  established.close();
  await pair.release(stream);
  assertEquals(await janus.left(), []);
});

test("a controller that lost its records is told, and what it forgot can be removed by hand", async () => {
  await using janus = await start();
  await using echo = new EchoServer();
  await using pair = await janus.pair();
  const stream = await pair.connect(echo.endpoint);
  using established = await dial(stream.cons[0] as string);
  await janus.server.down();
  janus.server.lose(100);
  // Somebody else's, which have the ids that ours had.
  const theirs = [1, 2, 3, 4, 5, 6];
  for (const id of theirs) {
    const row = { id, state: "STARTED", services: {}, request: [{ kwargs: {} }] };
    janus.server.rows.set(id, row);
  }
  await janus.server.up();
  await bothTell(pair, stream, /lost its record.* must be removed there/g);
  await roundTrip(established, "it goes on");
  established.close();
  for (const engine of engines) {
    for (const name of await engine.containers()) await engine.docker("rm", "--force", name);
  }
  await eventually(
    "there are others",
    async () => (await told(pair, stream)).match(/^streaming recovered/gm)?.length === 2,
  );
  assert(await echoes(stream.cons[0] as string));
  await pair.release(stream);
  assertEquals(await janus.left(), theirs.map((id) => `session ${id}`));
});

test("a node that is away takes no sessions, and its own come back with it", async () => {
  await using janus = await start();
  await using echo = new EchoServer();
  await using pair = await janus.pair();
  const streams = [await pair.connect(echo.endpoint), await pair.connect(echo.endpoint)];
  const [, second] = engines as [Engine, Engine];
  await second.stop();
  const { process } = pair.prod.gateway;
  await process.line(/Janus does not reach node dtn2/, "err");
  const more = await pair.connect(echo.endpoint);
  assertEquals(hostsOf(more.prod), ["127.0.0.2"]);
  await second.restart();
  await process.line(/Janus reaches node dtn2 again/, "err");
  for (const { cons } of [...streams, more]) {
    await eventually("it is there", () => echoes(cons[0] as string));
  }
  for (const stream of [...streams, more]) await pair.release(stream);
  await janus.gone();
});

test("an update that fails leaves the session as it was", async () => {
  await using janus = await start();
  await using first = new NamedServer("first");
  await using second = new NamedServer("second");
  await using pair = await janus.pair();
  const stream = await pair.connect(first.endpoint);
  const before = [...janus.server.rows.keys()];
  for (const call of [/^POST .create$/, /^PUT .stop/, /^PUT .start/]) {
    janus.server.faults.push({ call, how: { status: 503, body: "no room" } });
    await assertRejects(() => pair.update(stream, second.endpoint), Error, "no room");
    await eventually(
      "it is as before",
      async () => await nameAt(stream.cons[0] as string).catch(() => "") === "first",
    );
    // The same container: none was made anew.
    assertEquals([...janus.server.rows.keys()], before);
  }
  await pair.update(stream, second.endpoint);
  assertEquals(await nameAt(stream.cons[0] as string), "second");
  await pair.release(stream);
  assertEquals(await janus.left(), []);
});

test("a container that was made twice, because the first answer was lost, is removed", async () => {
  await using janus = await start();
  await using echo = new EchoServer();
  await using pair = await janus.pair({ "reconcile-interval": "1" });
  const { server } = janus;
  const stream = await pair.connect(echo.endpoint);
  const row = structuredClone([...server.rows.values()][0]);
  assert(row);
  const request = { ...row.request?.[0] as object };
  const answer = await fetch(`${server.url}/api/janus/controller/create`, {
    method: "POST",
    headers: { Authorization: `Basic ${btoa(`scistream:${PASSWORD}`)}` },
    body: JSON.stringify(request),
  });
  const [id] = Object.keys(await answer.json());
  assertEquals(server.rows.size, 3);
  await eventually("it is gone", () => !server.rows.has(Number(id)));
  assert(await echoes(stream.cons[0] as string));
  await pair.release(stream);
  assertEquals(await janus.left(), []);
});

test("what could not be removed is removed later", async () => {
  await using janus = await start();
  await using echo = new EchoServer();
  await using pair = await janus.pair();
  const stream = await pair.connect(echo.endpoint);
  await janus.server.down();
  await pair.release(stream).catch(() => {});
  assertEquals(janus.server.rows.size, 2);
  await janus.server.up();
  await janus.gone();
});

const portOf = (gateway: Gateway) => Endpoint.parse(gateway.address).port;

test("s2cs killed: streams go on, sessions are taken up, what was being made is removed", async () => {
  await using janus = await start();
  await using echo = new EchoServer();
  await using other = new NamedServer("other");
  await using pair = await janus.pair();
  const stream = await pair.connect(echo.endpoint);
  using established = await dial(stream.cons[0] as string);
  for (const { gateway } of [pair.prod, pair.cons]) {
    await gateway.process.stop("SIGKILL");
    await roundTrip(established, "meanwhile");
    await gateway.launch(portOf(gateway), ...janus.flagsOf(gateway));
    await roundTrip(established, "afterwards");
  }
  established.close();
  // In the middle of an update: written down, and not done.
  const { gateway, client } = pair.prod;
  await gateway.process.stop("SIGKILL");
  gateway.env = { SCISTREAM_FAULT_POINT: "update.prepared" };
  await gateway.launch(portOf(gateway), ...janus.flagsOf(gateway));
  await assertRejects(() => pair.update(stream, other.endpoint));
  await gateway.process.ended;
  assert(await echoes(stream.cons[0] as string));
  gateway.env = {};
  await gateway.launch(portOf(gateway), ...janus.flagsOf(gateway));
  assert(!await echoes(stream.cons[0] as string));
  assertEquals(await nameAt(stream.cons[0] as string), "other");
  // In the middle of making a container, which Janus does to its end.
  const { server } = janus;
  const go = Promise.withResolvers<void>();
  const calls = server.calls.length;
  server.faults.push({ call: /^POST .create$/, how: { until: go.promise } });
  const asked = client.call("req", { uid: Uid.random().reveal(), role: "PROD", num_conn: 1 })
    .catch(() => {});
  await eventually("it is asked", () => server.calls.slice(calls).includes("POST /create"));
  await gateway.process.stop("SIGKILL");
  await asked;
  go.resolve();
  await eventually(
    "it is made",
    () => [...server.rows.values()].filter(({ id }) => id).length === 3,
  );
  await gateway.launch(portOf(gateway), ...janus.flagsOf(gateway));
  assertMatch(gateway.process.err, /removing scistream-\S+ from Janus, which no session has/);
  assertEquals(server.rows.size, 2);
  assertEquals(await nameAt(stream.cons[0] as string), "other");
  await pair.release(stream);
  await janus.gone();
});

test("the commands of docs/janus.md", async () => {
  const page = Deno.readTextFileSync(new URL("../docs/janus.md", import.meta.url));
  const [profile = "", command = ""] = [...page.matchAll(/^```(?:yaml|sh)\n([^]*?)^```$/gm)].map((
    [, text],
  ) => text);
  // As Janus reads it; what the page says is what is served here.
  const [, name, network, volume, source, target] =
    /profiles:\n {2}(\S+):\n {4}mgmt_net: (\S+)\n[^]*?volumes:\n {6}- (\S+)\n[^]*?source: (\S+)\n *target: (\S+)/
      .exec(profile) ?? [];
  assert(name && network && volume && source && target, profile);
  await using janus = await start();
  const { profiles } = janus.server.settings;
  profiles[name] = { network, volumes: [{ source: janus.configs, target }] };
  const words = command.replaceAll("\\\n", " ").trim().split(/\s+/);
  assertEquals(words.shift(), "s2cs");
  const moved: Record<string, string> = {
    "https://janus.example.org:5000": janus.server.url,
    "203.0.113.5/192.168.20.5": "127.0.0.2/127.0.0.3",
    "203.0.113.6/192.168.20.6": "127.0.0.4/127.0.0.5",
    "/etc/scistream/janus-password": janus.password,
    [source]: janus.configs,
  };
  const flags = words.map((word) =>
    Object.entries(moved).reduce((text, [from, to]) => text.replaceAll(from, to), word)
  );
  await using echo = new EchoServer();
  await using pair = Pair.of(await Gateway.start(...flags), await janus.gateway());
  const stream = await pair.connect(echo.endpoint);
  assert(await echoes(stream.cons[0] as string));
  await pair.release(stream);
  assertEquals(await janus.left(), []);
});
