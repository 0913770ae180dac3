// lib/janus against Janus' REST, with real containers behind it.
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { Janus, JanusError, type JanusRequest, janusUrl } from "../lib/janus/client.ts";
import { makeCertificate } from "../lib/certificate.ts";
import { ScistreamError } from "../lib/protocol/errors.ts";
import { Secret } from "../lib/protocol/secret.ts";
import { Engine, whyNoEngine } from "./engine.ts";
import { eventually, freePort, leftOutIf, tempFolder } from "./harness.ts";
import { JanusServer, type JanusSettings } from "./janus/server.ts";

const PASSWORD = "correct horse";
const { ignore, because } = leftOutIf(whyNoEngine());
const folder = tempFolder();
let engine: Engine;

Deno.test.beforeAll(async () => {
  if (ignore) return;
  engine = await Engine.start();
  await engine.images();
});
Deno.test.afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

/** A server with two nodes, and profile `scistream` that mounts the folder. */
function serve(more: Partial<JanusSettings> = {}): Promise<JanusServer> {
  return JanusServer.start({
    nodes: { dtn1: engine, dtn2: engine },
    profiles: {
      scistream: { network: "host", volumes: [{ source: folder.path, target: "/configs" }] },
    },
    images: ["haproxy", "not-there"],
    user: "scistream",
    password: PASSWORD,
    ...more,
  });
}

function client(server: JanusServer, more: object = {}, patience: object = {}): Janus {
  const access = { url: janusUrl(server.url), user: "scistream", password: new Secret(PASSWORD) };
  return new Janus({ ...access, ...more }, { pause: 10, ...patience });
}

function request(more: Partial<JanusRequest> = {}): JanusRequest {
  const name = `scistream-test-${crypto.randomUUID()}`;
  return { node: "dtn1", profile: "scistream", image: "haproxy:latest", name, ...more };
}

/** A configuration that listens at this port, and how to run it. */
function haproxy(port: number): Partial<JanusRequest> {
  Deno.writeTextFileSync(
    `${folder.path}/a b.cfg`,
    `global\n log stderr format raw daemon\ndefaults\n mode tcp\n timeout connect 1s\n` +
      ` timeout client 1s\n timeout server 1s\nlisten ch0\n bind 127.0.0.1:${port}\n`,
  );
  return { arguments: "haproxy -W -db -f '/configs/a b.cfg'" };
}

/** What Janus and the engine still have. */
async function left(server: JanusServer): Promise<unknown[]> {
  return [...server.rows.values(), ...await engine.containers()];
}

/** Waits until its log says so, in lines that are later than this. */
async function started(janus: Janus, { id }: { id: number }, after = ""): Promise<void> {
  await eventually("it has started", async () => {
    const lines = await janus.logs(id, "dtn1", 50);
    return lines.some(({ at, text }) => at > after && /Loading success/.test(text));
  });
}

function isUp(port: number): Promise<boolean> {
  return Deno.connect({ hostname: "127.0.0.1", port }).then((conn) => {
    conn.close();
    return true;
  }, () => false);
}

function refuses(kind: string, work: () => Promise<unknown>, words: RegExp): Promise<JanusError> {
  return (async () => {
    const error = await assertRejects(work, JanusError);
    assertEquals([error.kind, error.code], [kind, "CONN_ERROR"], error.message);
    assertMatch(error.message, words);
    assert(!Deno.inspect(error).includes(PASSWORD), "the password is in the error");
    return error;
  })();
}

/** A test that needs an engine. */
function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name: `janus: ${name}${because}`, ignore, fn });
}

Deno.test("janus: --janus-url is a URL of the controller, without a password", () => {
  const path = "/api/janus/controller";
  for (const text of ["http://a:5000", "http://a:5000/", `http://a:5000${path}`]) {
    assertEquals(janusUrl(text).href, `http://a:5000${path}`);
  }
  assertEquals(janusUrl("https://a/behind/").href, `https://a/behind${path}`);
  for (const text of ["", "a:5000", "ftp://a", "http://a?x", "http://a#x", "http://u:secret@a"]) {
    const error = assertThrows(() => janusUrl(text), ScistreamError);
    assertEquals(error.code, "BAD_FORMAT");
    assert(!error.message.includes("secret"));
  }
});

test("a container is created, started, stopped, started again and removed", async () => {
  await using server = await serve();
  const janus = client(server);
  const port = freePort();
  const wanted = request(haproxy(port));
  const made = await janus.create(wanted);
  const container = made.services[0]?.container as string;
  assertEquals([made.state, made.name, made.services.length], ["INITIALIZED", wanted.name, 1]);
  assertEquals((await janus.sessions()).map(({ id }) => id), [made.id]);
  assertEquals((await janus.stop(made.id)).state, "INITIALIZED");
  assertEquals((await janus.start(made.id)).state, "STARTED");
  assertEquals((await janus.start(made.id)).state, "STARTED");
  await started(janus, made);
  assert(await isUp(port));
  assertEquals(await janus.runs("dtn1", container), true);
  assertEquals((await janus.stop(made.id)).state, "STOPPED");
  assertEquals(await janus.runs("dtn1", container), false);
  assertEquals((await janus.stop(made.id)).state, "STOPPED");
  assertEquals(await isUp(port), false);
  const [last] = await janus.logs(made.id, "dtn1", 1);
  await janus.start(made.id);
  await started(janus, made, last?.at);
  assert(await isUp(port));
  await janus.remove(made.id);
  await janus.remove(made.id);
  assertEquals(await janus.session(made.id), undefined);
  assertEquals(await janus.sessions(), []);
  assertEquals(await isUp(port), false);
  assertEquals(await left(server), []);
});

test("it tells nodes, images, profiles and volumes", async () => {
  await using server = await serve();
  const janus = client(server);
  assertEquals(await janus.nodes(), [{ name: "dtn1", up: true }, { name: "dtn2", up: true }]);
  assertEquals(await janus.images(), ["haproxy", "not-there"]);
  assertEquals(await janus.profiles({ refresh: true }), [
    { name: "scistream", network: "host", volumes: ["scistream-0"] },
  ]);
  assertEquals(await janus.volumes(), [
    { name: "scistream-0", source: folder.path, target: "/configs" },
  ]);
  server.settings.volumes = false;
  assertEquals(await janus.volumes(), undefined);
});

test("a wrong password is told with its user, and is in no message", async () => {
  await using server = await serve();
  const wrong = new Secret("wrong password");
  const janus = client(server, { password: wrong });
  const error = await refuses("login", () => janus.nodes(), /password of user "scistream"/);
  assert(!Deno.inspect(error).includes("wrong password"));
  assert(!Deno.inspect(janus).includes("wrong password"));
  assertEquals(server.calls, ["GET /nodes"], "it is not tried again");
});

test("what Janus does not have is told, with what it has", async () => {
  await using server = await serve();
  const janus = client(server);
  const create = (more: Partial<JanusRequest>) => () => janus.create(request(more));
  await refuses("missing", create({ profile: "p" }), /no profile "p" .* it has "scistream"$/);
  await refuses(
    "missing",
    create({ image: "i:1" }),
    /no image "i" .* it has "haproxy", "not-there/,
  );
  await refuses("missing", create({ node: "n" }), /no node "n" .* it has "dtn1", "dtn2"$/);
  await refuses("missing", () => janus.start(7), /refused to start session 7: id not found/);
  await refuses("missing", () => janus.stop(7), /refused to stop session 7: id not found/);
  await refuses("missing", () => janus.logs(7, "dtn1", 1), /log of session 7: Not found/);
  assertEquals(await janus.session(7), undefined);
  assertEquals(await left(server), []);
});

test("an error that Janus hides in a 200 is found, and nothing is left", async () => {
  await using server = await serve();
  const janus = client(server);
  const create = () => janus.create(request({ image: "not-there:1" }));
  await refuses("node", create, /on node "dtn1": Not Found: .*not-there:1/);
  assertEquals(await left(server), []);
  // One whose container was lost since.
  const made = await janus.create(request());
  const service = server.rows.get(made.id)?.services?.dtn1?.[0];
  const { container_id } = service ?? {};
  delete service?.container_id;
  await refuses("janus", () => janus.start(made.id), /start session 2: Internal Server Error/);
  await janus.remove(made.id, { force: true });
  await engine.docker("rm", container_id as string);
});

test("a container that does not start says why", async () => {
  await using server = await serve();
  const janus = client(server);
  const made = await janus.create(request({ arguments: "no-such-program" }));
  await refuses("node", () => janus.start(made.id), /node "dtn1": .*no-such-program/);
  await janus.remove(made.id);
  assertEquals(await left(server), []);
});

test("a container that is gone says so, and its session can be removed", async () => {
  await using server = await serve();
  const janus = client(server);
  const made = await janus.create(request(haproxy(freePort())));
  await janus.start(made.id);
  await engine.docker("rm", "--force", made.services[0]?.container as string);
  assertEquals(await janus.runs("dtn1", made.services[0]?.container as string), false);
  await refuses("janus", () => janus.logs(made.id, "dtn1", 5), /Could not retrieve .*No such/);
  await refuses("node", () => janus.stop(made.id), /could not stop session 1: .*No such container/);
  await janus.remove(made.id);
  assertEquals(await left(server), []);
});

test("a request that Janus cannot read is refused with all that it says", async () => {
  await using server = await serve();
  const create = () => client(server).create(request({ profile: 7 as unknown as string }));
  await refuses("janus", create, /refused to create .*it does not say why \(HTTP status 400\)/);
});

test("calls that are cut are made again, and no container is made twice", async () => {
  await using server = await serve();
  const janus = client(server);
  for (const how of ["cut before", "cut after"] as const) {
    for (const call of [/^POST .create/, /^GET/, /^PUT .start/, /^PUT .stop/, /^DELETE/]) {
      server.faults.push({ call, how });
    }
    const made = await janus.create(request(haproxy(freePort())));
    assertEquals(server.rows.size, 1);
    assertEquals((await engine.containers()).length, 1);
    await janus.start(made.id);
    await started(janus, made);
    await janus.stop(made.id);
    await janus.remove(made.id);
    assertEquals(server.faults, []);
    assertEquals(await left(server), []);
  }
});

test("a creation that takes too long is waited for, by looking for its session", async () => {
  await using server = await serve();
  const janus = client(server, {}, { create: 3_000 });
  const slow = Promise.withResolvers<void>();
  server.faults.push({ call: /^POST/, how: { until: slow.promise } });
  server.faults.push({ call: /^POST/, how: "cut before" });
  const impatient = client(server, {}, { create: 50 });
  const making = impatient.create(request());
  await eventually("it looks", () => server.calls.includes("GET /active"));
  slow.resolve();
  const made = await making;
  assertEquals(server.rows.size, 1);
  await janus.remove(made.id);
});

test("a controller that is away is told, and that it comes back is seen", async () => {
  await using server = await serve();
  const janus = client(server);
  const made = await janus.create(request(haproxy(freePort())));
  await server.down();
  await refuses("unreachable", () => janus.start(made.id), /not reachable: .*refused.*controller/);
  await refuses("unreachable", () => janus.create(request()), /is not reachable/);
  await server.up();
  await janus.start(made.id);
  await janus.remove(made.id);
  assertEquals(await left(server), []);
});

test("a controller that does not answer is given up", async () => {
  await using server = await serve();
  const never = Promise.withResolvers<void>();
  for (let i = 0; i < 3; i++) server.faults.push({ call: /./, how: { until: never.promise } });
  const janus = client(server, {}, { read: 100 });
  await refuses("unreachable", () => janus.nodes(), /did not answer within 0.1 s \(list nodes\)/);
  const stop = new AbortController();
  server.faults.push({ call: /./, how: { until: never.promise } });
  const asking = client(server).nodes(stop.signal);
  stop.abort(new Error("enough"));
  await assertRejects(() => asking, Error, "enough");
  never.resolve();
});

test("what is no Janus is not taken for one", async () => {
  await using server = await serve();
  const janus = client(server);
  const answers: [number, string, RegExp][] = [
    [200, "<html>", /answer is not JSON \(list nodes\)/],
    [200, "{}", /answer is no list/],
    [200, '[{"name":7}]', /no valid "name"/],
    [200, "x".repeat(17 << 20), /over 16777216 bytes/],
    [302, "", /wants to be asked elsewhere/],
    [500, "<h1>Oh\nno</h1>", /refused to list nodes: Oh no \(HTTP status 500\)/],
  ];
  for (const [status, body, words] of answers) {
    server.faults.push({ call: /nodes/, how: { status, body } });
    await refuses("janus", () => janus.nodes(), words);
  }
  server.faults.push({ call: /nodes/, how: { status: 502, body: "Bad Gateway" } });
  assertEquals((await janus.nodes()).length, 2);
});

test("TLS is verified, unless told otherwise", async () => {
  const tls = await makeCertificate({ ips: ["127.0.0.1"], names: ["localhost"], days: 1 });
  const other = await makeCertificate({ ips: ["127.0.0.9"], names: ["elsewhere"], days: 1 });
  await using server = await serve({ tls });
  await using elsewhere = await serve({ tls: other });
  await using plain = await serve();
  assertEquals((await client(server, { ca: tls.cert }).nodes()).length, 2);
  assertEquals((await client(server, { insecure: true }).nodes()).length, 2);
  assertEquals((await client(elsewhere, { insecure: true }).nodes()).length, 2);
  await refuses("untrusted", () => client(server).nodes(), /self-signed.* --janus-ca FILE/);
  const ca = { ca: other.cert };
  await refuses("untrusted", () => client(server, ca).nodes(), /certificate of Janus/);
  await refuses("untrusted", () => client(elsewhere, ca).nodes(), /altnames|127.0.0.1/);
  const secured = janusUrl(plain.url.replace("http:", "https:"));
  await refuses("untrusted", () => client(plain, { url: secured }).nodes(), /--janus-url http:/);
  const bare = janusUrl(server.url.replace("https:", "http:"));
  await refuses("untrusted", () => client(server, { url: bare }).nodes(), /--janus-url https:/);
});

test("a node that is away is told, and its session stays until it is removed", async () => {
  const away = await Engine.start();
  await using _away = away;
  await away.images();
  await using server = await serve({ nodes: { dtn1: engine, dtn2: away } });
  const janus = client(server);
  const made = await janus.create(request({ node: "dtn2" }));
  await away.stop();
  assertEquals(await janus.nodes(), [{ name: "dtn1", up: true }, { name: "dtn2", up: false }]);
  await refuses("node", () => janus.start(made.id), /node "dtn2": .*daemon/);
  const create = () => janus.create(request({ node: "dtn2" }));
  await refuses("node", create, /on node "dtn2": .*daemon/);
  await refuses("janus", () => janus.remove(made.id), /refused to remove session 1: .*daemon/);
  assertEquals(server.rows.size, 1);
  await away.restart();
  await janus.remove(made.id);
  assertEquals([server.rows.size, await away.containers()], [0, []]);
  await away.stop();
});
