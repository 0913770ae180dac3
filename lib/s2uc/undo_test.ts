import { assertEquals, assertRejects } from "@std/assert";
import { ControlClient } from "../protocol/client.ts";
import { Endpoint } from "../protocol/endpoint.ts";
import { ScistreamError } from "../protocol/errors.ts";
import { type ControlHandlers, type ControlServer, serveControl } from "../protocol/server.ts";
import { Uid } from "../protocol/uid.ts";
import type { Io } from "../cli/command.ts";
import { connect } from "./connect.ts";
import { runRequest } from "./flow.ts";

/** A control server that answers everything, except where the test says otherwise, and notes its calls. */
async function scripted(port: number, override: Partial<ControlHandlers> = {}) {
  const calls: string[] = [];
  const note =
    <A extends unknown[], R>(name: string, answer: (...args: A) => Promise<R>) => (...args: A) => {
      calls.push(name);
      return answer(...args);
    };
  const listeners = [`0.0.0.0:${port}`, `0.0.0.0:${port + 1}`];
  const handlers: ControlHandlers = {
    req: note("req", override.req ?? (() => Promise.resolve({ listeners, prod_listeners: [] }))),
    hello: note(
      "hello",
      override.hello ?? (() => Promise.resolve({ message: "hi", listeners: [] })),
    ),
    update: (request) => {
      calls.push(`update ${request.role} ${request.remote_listeners}`);
      return override.update?.(request, undefined as never) ??
        Promise.resolve({ listeners, prod_listeners: [] });
    },
    release: (request) => {
      calls.push(`release ${request.force}`);
      return Promise.resolve({ listeners: [], prod_listeners: [] });
    },
    status: () => Promise.reject(new Error("not asked")),
    list: () => Promise.reject(new Error("not asked")),
    watch: () => Promise.reject(new Error("not asked")),
    whoami: () => Promise.reject(new Error("not asked")),
  };
  const server = await serveControl(handlers, {
    address: new Endpoint("127.0.0.1", 0),
    onFault: () => {},
  });
  return { calls, server, client: new ControlClient({ address: server.address }) };
}

async function end(...sides: { server: ControlServer; client: ControlClient }[]) {
  for (const { server, client } of sides) {
    client.close();
    await server.close();
  }
}

const OPTIONS = {
  uid: Uid.parse("connect-test"),
  numConn: 2,
  rate: 0,
  receivers: [new Endpoint("10.0.0.1", 7000)],
};
const refuse = () => Promise.reject(new ScistreamError("NO_RESOURCE", "no ports"));

Deno.test("connect passes the connection map; an unspecified address stands for its control server's", async () => {
  const [prod, cons] = [await scripted(5100), await scripted(6100)];
  const connected = await connect({ ...OPTIONS, prod: prod.client, cons: cons.client });
  assertEquals(connected.prodListeners.map(String), ["127.0.0.1:5100", "127.0.0.1:5101"]);
  assertEquals(connected.consListeners.map(String), ["127.0.0.1:6100", "127.0.0.1:6101"]);
  assertEquals(prod.calls.at(-1), "update PROD 10.0.0.1:7000");
  assertEquals(cons.calls.at(-1), "update CONS 127.0.0.1:5100,127.0.0.1:5101");
  const moved = await connect({
    ...OPTIONS,
    prod: prod.client,
    cons: cons.client,
    prodWanHost: "10.9.9.9",
  });
  assertEquals(moved.prodListeners.map(String), ["10.9.9.9:5100", "10.9.9.9:5101"]);
  assertEquals(cons.calls.at(-1), "update CONS 10.9.9.9:5100,10.9.9.9:5101");
  await end(prod, cons);
});

Deno.test("a failing update: both sessions, which this call made, are released by force", async () => {
  const [prod, cons] = [await scripted(5100), await scripted(6100, { update: refuse })];
  const error = await assertRejects(
    () => connect({ ...OPTIONS, prod: prod.client, cons: cons.client }),
    ScistreamError,
  );
  assertEquals(error.code, "NO_RESOURCE");
  assertEquals([prod.calls.at(-1), cons.calls.at(-1)], ["release true", "release true"]);
  await end(prod, cons);
});

Deno.test("a refused req: what the other side answered is released, the refusing side is left alone", async () => {
  // Refused only once the other side has answered.
  const answered = Promise.withResolvers<void>();
  const prod = await scripted(5100, {
    hello: () => {
      answered.resolve();
      return Promise.resolve({ message: "hi", listeners: [] });
    },
  });
  const cons = await scripted(6100, { req: () => answered.promise.then(refuse) });
  await assertRejects(
    () => connect({ ...OPTIONS, prod: prod.client, cons: cons.client }),
    ScistreamError,
    "no ports",
  );
  assertEquals(prod.calls.filter((call) => call.startsWith("release")), ["release true"]);
  assertEquals(cons.calls.filter((call) => call.startsWith("release")), []);
  await end(prod, cons);
});

Deno.test("interrupted in the middle, connect cancels what is pending", async () => {
  const stop = new AbortController();
  const cancelled = Promise.withResolvers<void>();
  const prod = await scripted(5100, {
    req: (_request, caller) =>
      new Promise((_, reject) => {
        caller.signal.addEventListener("abort", () => {
          cancelled.resolve();
          reject(caller.signal.reason);
        });
        stop.abort(new Error("interrupted"));
      }),
  });
  const cons = await scripted(6100);
  await assertRejects(
    () => connect({ ...OPTIONS, prod: prod.client, cons: cons.client, signal: stop.signal }),
    Error,
    "interrupted",
  );
  await cancelled.promise;
  await end(prod, cons);
});

Deno.test("a request whose update is refused is released, and its error told", async () => {
  const side = await scripted(5100, { update: refuse });
  const never = new AbortController().signal;
  const quiet = () => {};
  const io: Io = {
    onHangUp: () => {},
    out: quiet,
    err: quiet,
    env: () => undefined,
    readLine: () => Promise.resolve(undefined),
    readHidden: () => Promise.resolve(undefined),
    interactive: false,
    draw: quiet,
    paint: quiet,
    terminal: () => undefined,
    watched: false,
    interrupted: never,
    forced: never,
    release: quiet,
  };
  const options = { serverCert: "", ssl: false };
  const reach = { options, said: new Set<string>(), servers: new Map() };
  const flow = { ...OPTIONS, role: "PROD" as const, s2cs: String(side.server.address), io };
  await assertRejects(
    () => runRequest({ ...flow, reach }),
    ScistreamError,
    "no ports",
  );
  assertEquals(side.calls.at(-1), "release true");
  await end(side);
});
