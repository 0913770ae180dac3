/**
 * What people and scripts read on stdout, to the letter (contract section 6).
 * @module
 */
import { assertEquals } from "@std/assert";
import { MOCK_UID } from "../../lib/protocol/uid.ts";
import { assertOk, Gateway, SCISTREAM, scistream } from "../harness.ts";
import { Process } from "./peers.ts";

const APPS = [5074, 5075, 5076, 37000, 47000].map((port) => `127.0.0.1:${port}`);

/** The listeners that an output names, which are for the gateway to choose: five, each its own. */
function listenersIn(out: string): string[] {
  const listeners = [...out.matchAll(/^listeners: "(127\.0\.0\.1:\d+)"$/gm)]
    .map((match) => match[1] as string);
  assertEquals([listeners.length, new Set(listeners).size], [5, 5], out);
  return listeners;
}

const lines = (...all: string[]) => all.map((line) => `${line}\n`).join("");
const named = (name: string, listeners: readonly string[]) =>
  listeners.map((each) => `${name}: "${each}"`);
const python = (listeners: readonly string[]) =>
  `Listeners: [${listeners.map((each) => `'${each}'`).join(", ")}]`;

/** Starts a request and, once it waits, appctrl mock; answers what each wrote. */
async function withMock(request: string[], gateway: Gateway, role: string, ...args: string[]) {
  await using pending = new Process([...SCISTREAM, "s2uc", ...request, ...gateway.flags]);
  const uid = (await pending.line(/^(\S+) \S+ INVALID_TOKEN [A-Z]+$/m))[1] as string;
  const target = [uid, gateway.address, "INVALID_TOKEN", role, ...args];
  const flags = ["--server_cert", gateway.cert];
  const mock = assertOk(await scistream(["appctrl", "mock", ...target, ...flags]));
  const { out } = assertOk(await pending.ended);
  return { uid, out, mock: mock.out };
}

Deno.test("prod-req, cons-req, appctrl mock and release print what scripts read", async (t) => {
  await using producers = await Gateway.start();
  await using consumers = await Gateway.start();
  let session = { uid: "", prodListeners: [] as string[] };

  await t.step("prod-req", async () => {
    const { uid, out, mock } = await withMock(["prod-req"], producers, "PROD", "127.0.0.1");
    const prodListeners = listenersIn(out);
    assertEquals(
      out.replaceAll(uid, "<uid>"),
      lines(
        "uid; s2cs; access_token; role",
        `<uid> ${producers.address} INVALID_TOKEN PROD`,
        "waiting for hello message",
        "started client request",
        ...named("listeners", prodListeners),
        ...named("prod_listeners", APPS),
        "",
        "Sending updated connection map information...",
        "<uid>",
      ),
    );
    assertEquals(mock, lines("Sending Prod listeners..."));
    session = { uid, prodListeners };
  });

  await t.step("cons-req", async () => {
    const request = ["cons-req", session.uid, session.prodListeners.join(",")];
    const { out, mock } = await withMock(request, consumers, "CONS");
    const listeners = listenersIn(out);
    assertEquals(
      out.replaceAll(session.uid, "<uid>"),
      lines(
        "uid; s2cs; access_token; role",
        `<uid> ${consumers.address} INVALID_TOKEN CONS`,
        "waiting for hello message",
        "started client request",
        ...named("listeners", listeners),
        "",
        "Sending updated connection map information...",
        "<uid>",
      ),
    );
    assertEquals(mock, lines("Sending listeners...", ...named("listeners", listeners)));
  });

  await t.step("release", async () => {
    for (const gateway of [producers, consumers]) {
      const { out } = assertOk(await scistream(["s2uc", "release", session.uid, ...gateway.flags]));
      assertEquals(out, lines("Release completed"));
    }
  });
});

Deno.test("inbound-request and outbound-request print what scripts read", async (t) => {
  await using producers = await Gateway.start();
  await using consumers = await Gateway.start();
  let prodListeners: string[] = [];

  await t.step("inbound-request", async () => {
    const args = ["s2uc", "inbound-request", "--mock", "True", ...producers.flags];
    const { out } = assertOk(await scistream([...args, "--remote_ip", "127.0.0.1"]));
    prodListeners = listenersIn(out);
    assertEquals(
      out.replaceAll(MOCK_UID, "<uid>"),
      lines(
        "uid; s2cs; access_token; role",
        `<uid> ${producers.address} INVALID_TOKEN PROD`,
        "waiting for hello message",
        "sending client request message",
        "started client request",
        "Hello message sent successfully",
        ...named("listeners", prodListeners),
        ...named("prod_listeners", APPS),
        "",
        "Sending updated connection map information...",
        "<uid>",
        python(prodListeners),
      ),
    );
  });

  await t.step("outbound-request", async () => {
    const args = ["s2uc", "outbound-request", ...consumers.flags, MOCK_UID];
    const { out } = assertOk(await scistream([...args, prodListeners[0] as string]));
    const listeners = listenersIn(out);
    assertEquals(
      out.replaceAll(MOCK_UID, "<uid>"),
      lines(
        "uid; s2cs; access_token; role",
        `<uid> ${consumers.address} INVALID_TOKEN CONS`,
        "waiting for hello message",
        "sending client request message",
        "started client request",
        "Hello message sent successfully",
        ...named("listeners", listeners),
        "",
        "Sending updated connection map information...",
        "<uid>",
        python(listeners),
      ),
    );
  });
});
