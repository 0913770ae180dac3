/**
 * Our s2uc and appctrl against a Python server that behaves as the reference (contract section 3).
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { makeCertificate } from "../../lib/certificate.ts";
import { MOCK_UID, Uid } from "../../lib/protocol/uid.ts";
import { assertOk, SCISTREAM, scistream, tempFolder } from "../harness.ts";
import { Process, type Received, ReferenceServer } from "./peers.ts";

const PRODUCERS = "192.168.10.11:5100";
const CONSUMERS = "192.168.30.10:5200";
/** The reference's mock application on 192.168.10.10. */
const APPS = [5074, 5075, 5076, 37000, 47000].map((port) => `192.168.10.10:${port}`);

const fivePorts = (first: string) => {
  const [host, port] = first.split(":");
  return [0, 1, 2, 3, 4].map((i) => `${host}:${Number(port) + i}`);
};

/** Key and certificate for 127.0.0.1 in a folder of their own. */
async function makeTls() {
  const folder = tempFolder();
  const files = { key: `${folder.path}/server.key`, cert: `${folder.path}/server.crt` };
  const made = await makeCertificate({ ips: ["127.0.0.1"], names: [], days: 1 });
  Deno.writeTextFileSync(files.key, made.key, { mode: 0o600 });
  Deno.writeTextFileSync(files.cert, made.cert);
  return { files, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

/** What the server received of one method, without the method's name. */
const of = (received: readonly Received[], method: string) =>
  received.filter((each) => each.method === method).map(({ method: _, ...rest }) => rest);

/** Asserts a call for each method of the server, in this order, one early hello first. */
function assertSession(
  received: readonly Received[],
  expected: { req: object; hello: object; update: object; token?: string },
): void {
  const authorization = "INVALID_TOKEN";
  assertEquals(of(received, "req"), [{ message: { ...expected.req }, authorization }]);
  const hello = { message: { ...expected.hello }, authorization: expected.token ?? authorization };
  assertEquals(of(received, "hello"), [{ ...hello, refused: true }, hello]);
  assertEquals(of(received, "update"), [{ message: { ...expected.update }, authorization }]);
  assertEquals(received.filter((each) => each.method !== "release").at(-1)?.method, "update");
}

Deno.test("prod-req, appctrl mock and release speak to the reference", async () => {
  using tls = await makeTls();
  await using server = await ReferenceServer.start({
    listeners: PRODUCERS,
    tls: tls.files,
    refuseFirstHello: true,
  });
  await using request = new Process([...SCISTREAM, "s2uc", "prod-req", ...server.flags]);
  const uid = (await request.line(/^(\S+) \S+ INVALID_TOKEN PROD$/m))[1] as string;
  const mock = assertOk(
    await scistream([
      ...["appctrl", "mock", uid, server.address, "Agpq0Bo1", "PROD", "192.168.10.10"],
      ...["--server-cert", server.cert],
    ]),
  );
  assertEquals(mock.out, "Sending Prod listeners...\n");
  assertMatch(mock.err, /trying again/);
  const { out } = assertOk(await request.ended);
  for (const listener of fivePorts(PRODUCERS)) assert(out.includes(`\nlisteners: "${listener}"\n`));
  for (const app of APPS) assert(out.includes(`\nprod_listeners: "${app}"\n`));
  const release = assertOk(await scistream(["s2uc", "release", uid, ...server.flags]));
  assertEquals(release.out, "Release completed\n");

  const received = await server.received();
  assertSession(received, {
    req: { uid, role: "PROD", num_conn: 5, rate: 0 },
    hello: { uid, role: "PROD", prod_listeners: APPS },
    update: { uid, role: "PROD", remote_listeners: APPS },
    token: "Agpq0Bo1",
  });
  assertEquals(received.at(-1), {
    method: "release",
    message: { uid },
    authorization: "INVALID_TOKEN",
  });
});

Deno.test("cons-req and appctrl mock speak to the reference", async () => {
  using tls = await makeTls();
  await using server = await ReferenceServer.start({
    listeners: CONSUMERS,
    tls: tls.files,
    refuseFirstHello: true,
  });
  const uid = Uid.random().reveal();
  const prodListeners = fivePorts(PRODUCERS);
  await using request = new Process([
    ...SCISTREAM,
    ...["s2uc", "cons-req", uid, prodListeners.join(","), ...server.flags],
    ...["--num_conn", "7", "--rate", "20000"],
  ]);
  const mock = assertOk(
    await scistream([
      ...["appctrl", "mock", uid, server.address, "INVALID_TOKEN", "CONS"],
      ...["--server-cert", server.cert],
    ]),
  );
  const { out } = assertOk(await request.ended);
  const listeners = [...out.matchAll(/^listeners: "(.*)"$/gm)].map((match) => match[1]);
  assertEquals(listeners, [...fivePorts(CONSUMERS), "192.168.30.10:5205", "192.168.30.10:5206"]);
  assertEquals(
    mock.out,
    ["Sending listeners...", ...listeners.map((each) => `listeners: "${each}"`), ""].join("\n"),
  );
  assertSession(await server.received(), {
    req: { uid, role: "CONS", num_conn: 7, rate: 20000 },
    hello: { uid, role: "CONS", prod_listeners: [] },
    update: { uid, role: "CONS", remote_listeners: prodListeners },
  });
});

Deno.test("inbound-request and outbound-request speak to the reference", async () => {
  using tls = await makeTls();
  const start = (listeners: string) =>
    ReferenceServer.start({ listeners, tls: tls.files, refuseFirstHello: true });
  await using producers = await start(PRODUCERS);
  await using consumers = await start(CONSUMERS);
  const uid = MOCK_UID;
  const inbound = assertOk(
    await scistream([
      ...["s2uc", "inbound_request", ...producers.flags],
      ...["--mock", "True", "--remote_ip", "192.168.10.10"],
    ]),
  );
  const told = fivePorts(PRODUCERS);
  const last = (out: string) => out.trimEnd().split("\n").at(-1);
  const quoted = (listeners: string[]) => `Listeners: ['${listeners.join("', '")}']`;
  assertEquals(last(inbound.out), quoted(told));
  const outbound = assertOk(
    await scistream([
      ...["s2uc", "outbound_request", ...consumers.flags],
      ...["--remote_ip=192.168.30.11", "--receiver_ports=7000", uid, told[0] as string],
    ]),
  );
  assertEquals(last(outbound.out), quoted(fivePorts(CONSUMERS)));
  assertSession(await producers.received(), {
    req: { uid, role: "PROD", num_conn: 5, rate: 0 },
    hello: { uid, role: "PROD", prod_listeners: APPS },
    update: { uid, role: "PROD", remote_listeners: APPS },
  });
  assertSession(await consumers.received(), {
    req: { uid, role: "CONS", num_conn: 5, rate: 0 },
    hello: { uid, role: "CONS", prod_listeners: ["192.168.30.11:7000"] },
    update: { uid, role: "CONS", remote_listeners: [told[0]] },
  });
});

Deno.test("connect and release speak to two reference servers", async () => {
  using tls = await makeTls();
  const start = (listeners: string) =>
    ReferenceServer.start({ listeners, tls: tls.files, refuseFirstHello: true });
  await using producers = await start(PRODUCERS);
  await using consumers = await start(CONSUMERS);
  const { out } = assertOk(
    await scistream([
      ...["s2uc", "connect", "--prod-s2cs", producers.address, "--cons-s2cs", consumers.address],
      ...["--server-cert", tls.files.cert, "--prod-wan-ip", "192.168.20.10"],
      ...["--remote_ip", "192.168.10.10"],
    ]),
  );
  const listeners = fivePorts(CONSUMERS);
  const uid = out.split("\n")[0] as string;
  assertEquals(out, [uid, ...listeners.map((each) => `listeners: "${each}"`), ""].join("\n"));
  const both = [...producers.flags, "--s2cs", consumers.address];
  assertOk(await scistream(["s2uc", "release", uid, ...both]));

  const atProducers = await producers.received();
  assertSession(atProducers, {
    req: { uid, role: "PROD", num_conn: 5, rate: 0 },
    hello: { uid, role: "PROD", prod_listeners: APPS },
    update: { uid, role: "PROD", remote_listeners: APPS },
  });
  const atConsumers = await consumers.received();
  assertSession(atConsumers, {
    req: { uid, role: "CONS", num_conn: 5, rate: 0 },
    hello: { uid, role: "CONS", prod_listeners: [] },
    update: { uid, role: "CONS", remote_listeners: fivePorts("192.168.20.10:5100") },
  });
  for (const received of [atProducers, atConsumers]) {
    assertEquals(of(received, "release"), [{ message: { uid }, authorization: "INVALID_TOKEN" }]);
  }
});

Deno.test("what the reference does not offer or refuses fails, and says why", async (t) => {
  await using server = await ReferenceServer.start({ listeners: PRODUCERS });
  const uid = Uid.random().reveal();
  await t.step("check-status", async () => {
    const ended = await scistream(["s2uc", "check-status", uid, ...server.flags]);
    assertEquals([ended.code, ended.out], [1, ""]);
    assertMatch(ended.err, /^error: \[NOT_IMPLEMENTED\] .* does not offer status\b/);
  });
  await t.step("list", async () => {
    const ended = await scistream(["s2uc", "list", ...server.flags]);
    assertEquals([ended.code, ended.out], [1, ""]);
    assertMatch(ended.err, /^error: \[NOT_IMPLEMENTED\] .* does not offer list\b/);
  });
  await t.step("watch", async () => {
    for (const words of [[uid], ["--json"]]) {
      const ended = await scistream(["s2uc", "watch", ...words, ...server.flags]);
      assertEquals([ended.code, ended.out], [1, ""]);
      assertMatch(ended.err, /NOT_IMPLEMENTED.* does not offer watch: only SciStream's own does/);
    }
  });
  await t.step("release of an unknown uid", async () => {
    const ended = await scistream(["s2uc", "release", uid, ...server.flags]);
    assertEquals([ended.code, ended.out], [1, ""]);
    assertMatch(ended.err, /^error: .*release.* not found\n$/);
  });
  await t.step("hello that stays unknown", async () => {
    const args = ["appctrl", "mock", uid, server.address, "INVALID_TOKEN", "PROD", "--ssl=False"];
    const ended = await scistream(args);
    assertEquals([ended.code, ended.out], [1, ""]);
    assertMatch(ended.err, /^error: .*hello.* not found\n$/m);
    assertEquals(ended.err.match(/trying again/g)?.length, 4);
  });
  const received = await server.received();
  assertEquals(received.map((each) => each.method), ["release", ...Array(5).fill("hello")]);
});
