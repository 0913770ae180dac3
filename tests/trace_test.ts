// Traces as a collector of OpenTelemetry gets them from real processes.
import { assert, assertEquals } from "@std/assert";
import { Uid } from "../lib/protocol/uid.ts";
import { Collector, type Span } from "./collector.ts";
import { EchoServer } from "./echo.ts";
import { assertOk, Gateway, scistream } from "./harness.ts";
import { authenticated, GATEWAY } from "./oauth/gateway.ts";

async function tracedGateway(collector: Collector, service: string, ...flags: string[]) {
  const gateway = await Gateway.prepare();
  gateway.env = collector.env(service);
  await gateway.launch(0, ...flags);
  return gateway;
}

Deno.test("one session is one trace, across the client and both gateways; no uid is in it", async () => {
  await using collector = new Collector();
  await using prod = await tracedGateway(collector, "prod");
  await using cons = await tracedGateway(collector, "cons");
  await using echo = new EchoServer();
  const { out } = assertOk(
    await scistream([
      ...["s2uc", "connect", "--json", "--remote-ip=127.0.0.1"],
      ...[`--receiver-ports=${echo.endpoint.port}`, `--prod-s2cs=${prod.address}`],
      ...[`--cons-s2cs=${cons.address}`, `--server-cert=${prod.cert}`],
      ...[`--cons-server-cert=${cons.cert}`],
    ], { env: { ...collector.env("user") } }),
  );
  const { uid } = JSON.parse(out);
  const release = ["s2uc", "release", uid, ...prod.flags];
  assertOk(await scistream(release, { env: collector.env("user") }));
  for (const gateway of [prod, cons]) assertEquals((await gateway.process.stop()).code, 0);

  const { session } = Uid.parse(uid);
  const find = (service: string, name: string, above?: Span, role?: string) => {
    const found = collector.spans.find((each) =>
      each.service === service && each.name === name &&
      (above === undefined || collector.isBelow(each, above)) &&
      (role === undefined || each.attributes["scistream.role"] === role)
    );
    assert(found, `no ${service}: ${name} ${role} in\n${JSON.stringify(collector.spans, null, 1)}`);
    if (role) assertEquals(found.attributes["scistream.session"], session);
    return found;
  };
  const root = find("user", "s2uc connect");
  assertEquals(root.parent, "");
  const opening = find("user", "req + hello, both sides", root);
  const updating = find("user", "update, both sides", root);
  for (const [service, role] of [["prod", "PROD"], ["cons", "CONS"]] as const) {
    const served = (method: string, step: Span) => {
      const name = `scistream.Control/${method}`;
      const call = find("user", name, step, role);
      // Calls that wait for the connection go out in the context of the first of them.
      const answer = find(service, name, method === "update" ? call : step, role);
      assertEquals([call.kind, answer.kind], [3, 2]);
      return answer;
    };
    const req = served("req", opening);
    served("hello", opening);
    const update = served("update", updating);
    const steps = [["open listeners", req], ["wait for hello", req], ["set targets", update]];
    for (const [step, above] of steps as [string, Span][]) {
      assertEquals(find(service, step, above, role).attributes["scistream.type"], "S2DS");
    }
  }
  const one = collector.spans.filter(({ traceId }) => traceId === root.traceId);
  assertEquals(new Set(one.map(({ service }) => service)), new Set(["user", "prod", "cons"]));
  find("prod", "drain and close");
  assertEquals(collector.spans.filter(({ status }) => status === 2), []);
  // Lines of the log came too; what was printed for the user did not.
  assert(collector.text.includes(`session ${session}: ready → streaming`));
  assertEquals(collector.text.includes(uid), false);
});

Deno.test("a refused call says its code; TRACEPARENT is its trace; no token is in it", async () => {
  await using collector = new Collector();
  await using facility = await authenticated(["--type=Mock", "--hello-timeout=1"]);
  const { oauth, gateway } = facility;
  const token = await oauth.token({ user: "alice@anl.gov", server: GATEWAY.id });
  const uid = Uid.random();
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const ended = await scistream(
    ["appctrl", "create-appctrl", uid.reveal(), gateway.address, token, "PROD", "127.0.0.1"],
    {
      env: {
        ...collector.env("user"),
        TRACEPARENT: `00-${traceId}-00f067aa0ba902b7-01`,
        SCISTREAM_SERVER_CERT: gateway.cert,
      },
    },
  );
  assert(ended.code !== 0, ended.out);
  const call = await collector.span("hello", ({ name }) => name === "scistream.Control/hello");
  assertEquals([call.traceId, call.status], [traceId, 2]);
  const { "error.type": code, "scistream.session": session } = call.attributes;
  assertEquals([code, session], ["AUTH_ERROR", uid.session]);
  for (const secret of [uid.reveal(), token]) assertEquals(collector.text.includes(secret), false);
});

Deno.test("a TRACEPARENT that is none begins a trace", async () => {
  await using collector = new Collector();
  await using gateway = await tracedGateway(collector, "gateway", "--type=Mock");
  const env = { ...collector.env("user"), TRACEPARENT: "00-zz-1-01" };
  assertOk(await scistream(["s2uc", "list", ...gateway.flags], { env }));
  const call = await collector.span(
    "list",
    ({ name, service }) => service === "gateway" && name === "scistream.Control/list",
  );
  const root = await collector.span("s2uc list", ({ name }) => name === "s2uc list");
  assertEquals([root.parent, call.traceId], ["", root.traceId]);
});

Deno.test("without OTEL_DENO nothing is exported", async () => {
  await using collector = new Collector();
  await using gateway = await Gateway.prepare();
  gateway.env = { ...collector.env("gateway"), OTEL_DENO: "false" };
  await gateway.launch(0, "--type=Mock");
  assertOk(await scistream(["s2uc", "list", ...gateway.flags]));
  await gateway.process.stop();
  assertEquals(collector.text, "");
});
