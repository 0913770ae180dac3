// What a control server takes from callers: each limit, as a caller meets it and as its metric tells it.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { ControlClient } from "../lib/protocol/client.ts";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { ScistreamError } from "../lib/protocol/errors.ts";
import { Uid } from "../lib/protocol/uid.ts";
import { dial, readExactly } from "./echo.ts";
import { eventually, freePort, Gateway, scistream } from "./harness.ts";
import { authenticated, call, calling, GATEWAY, refusal, session } from "./oauth/gateway.ts";

const newUid = () => Uid.random().reveal();

/** A gateway with a side port. */
async function measured(...flags: string[]) {
  const http = `127.0.0.1:${freePort()}`;
  const gateway = await Gateway.start("--type=Mock", `--http=${http}`, ...flags);
  return { gateway, metric: (line: string) => metric(http, line) };
}

/** The value of one line of the metrics; 0 where it is not there. */
async function metric(http: string, line: string): Promise<number> {
  const response = await fetch(`http://${http}/metrics`);
  assertEquals(response.status, 200);
  const text = await response.text();
  const found = text.split("\n").find((each) => each.startsWith(`scistream_${line} `));
  return Number(found?.split(" ").at(-1) ?? 0);
}

function client(gateway: Gateway): ControlClient {
  const address = Endpoint.parse(gateway.address);
  return new ControlClient({ address, roots: Deno.readFileSync(gateway.cert) });
}

Deno.test("one caller's calls a second are bounded; it is told so, and the log tells it seldom", async () => {
  const { gateway, metric } = await measured("--call-rate=50");
  await using _ = gateway;
  const refusals = await calling(gateway, undefined, async (client) => {
    const calls = Array.from({ length: 300 }, () => client.call("list", {}));
    const all = await Promise.allSettled(calls);
    return all.flatMap((each) => each.status === "rejected" ? [each.reason] : []);
  });
  // As many as a second's rate twice are taken at once.
  assert(refusals.length > 100 && refusals.length <= 200, `${refusals.length} of 300 refused`);
  for (const error of refusals) {
    assert(error instanceof ScistreamError);
    assertEquals([error.code, error.status], ["RATE_LIMIT", 8]);
    assertMatch(error.message, /more than 50 calls a second/);
  }
  assertEquals(await metric('refusals_total{limit="call-rate"}'), refusals.length);
  assertEquals(
    await metric('calls_total{method="list",outcome="RATE_LIMIT"}'),
    refusals.length,
  );
  const { err } = await gateway.process.stop();
  assertEquals(err.match(/limit call-rate: 127\.0\.0\.1 was kept out/g)?.length, 1, err);
  const audited = Deno.readTextFileSync(gateway.audit).trim().split("\n");
  assertEquals(audited.length, 1, "a flood does not fill the audit log");
});

Deno.test("calls that wait are bounded, of one caller and of all; metadata and streams too", async () => {
  const { gateway, metric } = await measured(
    "--max-pending-per-caller=2",
    "--max-metadata-bytes=2000",
  );
  await using _ = gateway;
  const waiting = client(gateway);
  const over = new AbortController();
  const pending = [1, 2].map(() =>
    waiting.call("req", { uid: newUid(), role: "PROD", num_conn: 1 }, over).catch(() => {})
  );
  await gateway.process.line(/(reserved → waiting[^]*){2}/, "err");
  assertEquals(await metric("pending_calls"), 2);
  assertEquals(await metric('sessions{state="waiting",role="PROD",type="Mock"}'), 2);
  assertMatch(
    await refusal(call(gateway, undefined, "list")),
    /^RATE_LIMIT 8 2 of your calls wait/,
  );
  assertEquals(await metric('refusals_total{limit="pending-per-caller"}'), 1);
  over.abort();
  await Promise.all(pending);
  waiting.close();
  await eventually("they are over", async () => await metric("pending_calls") === 0);
  assertMatch(
    await refusal(call(gateway, "x".repeat(3_000), "list")),
    /^RATE_LIMIT 8 \d+ bytes of metadata came with the call, and this control server takes 2000/,
  );
  assertEquals(await metric('refusals_total{limit="metadata"}'), 1);
  const uid = "x".repeat(5 << 20);
  assertMatch(await refusal(call(gateway, undefined, "status", { uid })), /^NO_RESOURCE 8 /);
  assertEquals(await metric('refusals_total{limit="message"}'), 1);
  assertEquals(await metric('limit{limit="message_bytes"}'), 4 << 20);
});

Deno.test("early hellos are bounded", async () => {
  const { gateway, metric } = await measured("--max-early-hellos=1");
  await using _ = gateway;
  const hello = () => ({ uid: newUid(), role: "PROD", prod_listeners: ["127.0.0.1:9"] });
  const waiting = client(gateway);
  const over = new AbortController();
  const first = waiting.call("hello", hello(), over).catch(() => {});
  await gateway.process.line(/hello is early/, "err");
  assertEquals(await metric("early_hellos"), 1);
  assertMatch(await refusal(call(gateway, undefined, "hello", hello())), /^RATE_LIMIT 8 1 hellos/);
  assertEquals(await metric('refusals_total{limit="early-hellos"}'), 1);
  over.abort();
  await first;
  waiting.close();
});

Deno.test("who connects and says nothing is cut, and makes room for who calls", async () => {
  const { gateway, metric } = await measured(
    "--first-call-timeout=0.3",
    "--max-connections-per-address=3",
  );
  await using _ = gateway;
  const silent = await dial(gateway.address);
  assertEquals(await silent.read(new Uint8Array(1)).catch(() => null), null);
  silent.close();
  assertEquals(await metric('refusals_total{limit="first-call-timeout"}'), 1);
  // Of idle connections the one that is idle for longest goes.
  const clients = [1, 2, 3, 4, 5].map(() => client(gateway));
  for (const each of clients) assertEquals((await each.call("list", {})).sessions, []);
  await eventually("the bound holds", async () => await metric("control_connections") <= 3);
  for (const each of clients) each.close();
});

Deno.test("who sends much beside calls is cut and has to wait; others never notice", async () => {
  const { gateway, metric } = await measured(
    "--spare-bytes=65536",
    "--max-message-bytes=32768",
    "--ssl=False",
  );
  await using _ = gateway;
  const good = new ControlClient({ address: Endpoint.parse(gateway.address) });
  await good.call("list", {});
  const junk = await dial(gateway.address);
  // PING frames (RFC 9113 section 6.7) after the preface and empty SETTINGS.
  const preface = new TextEncoder().encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  const ping = new Uint8Array([0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
  await junk.write(preface);
  await junk.write(new Uint8Array([0, 0, 0, 4, 0, 0, 0, 0, 0]));
  const some = new Uint8Array(17 * 50);
  for (let i = 0; i < 50; i++) some.set(ping, i * 17);
  // Each is acknowledged before more are sent: HTTP/2 itself has nothing against them.
  try {
    for (;;) {
      await junk.write(some);
      await readExactly(junk, some.length);
    }
  } catch {
    // It was cut.
  }
  junk.close();
  assert(await metric('refusals_total{limit="spare-bytes"}') >= 1);
  // The connection that was there and quiet is of the same address.
  assertEquals((await good.call("list", {})).sessions, []);
  good.close();
});

Deno.test("many bad tokens of one address cost the provider few questions, and nobody else's are refused", async () => {
  await using facility = await authenticated(["--type=Mock", "--bad-token-rate=1"]);
  const { oauth, gateway } = facility;
  const alice = await oauth.token({ user: "alice@anl.gov", server: GATEWAY.id });
  await call(gateway, alice, "list");
  const before = oauth.calls.length;
  const refused: string[] = [];
  for (let i = 0; i < 40; i++) {
    refused.push(await refusal(call(gateway, `nobody-has-this-token-${i}`, "list")));
  }
  assertEquals(
    refused.filter((each) => each.startsWith("RATE_LIMIT 8 too many bad tokens")).length,
    29,
  );
  assert(oauth.calls.length - before < 15, `${oauth.calls.length - before} questions`);
  // Whose token is known is served as ever, from the same address.
  await session(gateway, alice, newUid());
});

Deno.test("limits that do not go together are told", async () => {
  const { code, err } = await scistream(["s2cs", "--spare-bytes=65536"]);
  assertEquals(code, 2);
  assertMatch(err, /--spare-bytes 65536 is less than twice --max-message-bytes 4194304/);
  const http = await scistream(["s2cs", "--http=10.0.0.1:5080"]);
  assertEquals(http.code, 2);
  assertMatch(http.err, /--http: "10\.0\.0\.1:5080" is not a loopback address/);
});
