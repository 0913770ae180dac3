import { assert, assertEquals, assertRejects } from "@std/assert";
import { noLog } from "../log.ts";
import { Networks } from "../protocol/cidr.ts";
import { Endpoint } from "../protocol/endpoint.ts";
import { ScistreamError, Status } from "../protocol/errors.ts";
import { Uid } from "../protocol/uid.ts";
import { PortRange } from "../protocol/values.ts";
import {
  type ChannelStatus,
  type DataServer,
  type Opening,
  PortsInUse,
} from "../s2ds/data_server.ts";
import { Gateway, type GatewayOptions } from "./gateway.ts";
import { Placement } from "./placement.ts";
import { toText } from "./record.ts";
import { MemoryStore } from "./store.ts";

/** A data server that does what the test says, for what a real one does only when it breaks. */
class Scripted implements DataServer {
  readonly type = "Scripted";
  readonly abilities = { limit: true, allow: true, protects: true };
  readonly calls: string[] = [];
  readonly strangers = new Set<number>();
  onOpen: () => Promise<void> = () => Promise.resolve();
  onTarget: () => Promise<void> = () => Promise.resolve();
  onLimit: () => Promise<void> = () => Promise.resolve();
  onClose: (drainMs: number) => Promise<void> = () => Promise.resolve();
  start = () => Promise.resolve();
  stop = () => Promise.resolve();
  found(): Promise<string[]> {
    return Promise.resolve([]);
  }

  reconcile(): Promise<void> {
    return Promise.resolve();
  }

  leave = () => Promise.resolve();
  status = () => Promise.resolve([] as ChannelStatus[]);
  traffic = () => Promise.resolve(undefined);
  /** Of the last session that was opened. */
  openedLimit = 0;
  allow: readonly Networks[] = [];
  async open({ listeners, limit, allow }: Opening) {
    this.openedLimit = limit;
    this.allow = allow;
    this.calls.push(`open ${listeners.join(" ")}`);
    await this.onOpen();
    const taken = listeners.map((at) => at.port).filter((port) => this.strangers.has(port));
    if (taken.length > 0) throw new PortsInUse(taken);
  }
  async target(_session: string, targets: readonly Endpoint[]) {
    this.calls.push(`target ${targets.join(" ")}`);
    await this.onTarget();
  }
  async limit(_session: string, limit: number) {
    this.calls.push(`limit ${limit}`);
    await this.onLimit();
  }
  async close(_session: string, drainMs: number) {
    this.calls.push(`close ${drainMs}`);
    await this.onClose(drainMs);
  }
}

function setUp(options: Partial<GatewayOptions> = {}) {
  const server = new Scripted();
  const host = { told: "10.0.0.1", bound: "0.0.0.0" };
  const nodes = [{ name: "", PROD: host, CONS: host, capacity: 0 }];
  const ports = new Placement({
    range: PortRange.parse("5100-5109"),
    nodes: () => nodes,
    reserves: true,
  });
  const store = new MemoryStore();
  const gateway = new Gateway({
    store,
    placement: ports,
    toRecord: toText,
    dataServer: server,
    helloTimeoutMs: 60_000,
    earlyHellos: 3,
    earlyTimeoutMs: options.helloTimeoutMs ?? 60_000,
    quotas: { sessions: 0, channels: 0, rate: 0 },
    maxSessions: 3,
    maxConn: 5,
    drainTimeoutMs: 1234,
    ratePolicy: "reserve",
    capacity: 0,
    warnings: () => [],
    log: noLog,
    ...options,
  });
  const never = new AbortController().signal;
  const A = Uid.parse("session-a");
  const B = Uid.parse("session-b");
  const req = (uid = A, numConn = 2, role: "PROD" | "CONS" = "PROD", signal = never, rate = 0) =>
    gateway.req({ uid, role, numConn, rate }, signal);
  const hello = (uid = A, signal = never) =>
    gateway.hello({ uid, role: "PROD", appListeners: [new Endpoint("10.9.9.9", 7000)] }, signal);
  const clean = () => {
    assertEquals([gateway.size, store.size, ports.free], [0, 0, 10]);
  };
  return { gateway, server, ports, store, req, hello, clean, A, B };
}

const code = async (work: Promise<unknown>) => {
  const error = await assertRejects(() => work, ScistreamError);
  return [error.code, error.status];
};

Deno.test("req waits for hello; update repeats the targets over the channels; release frees all", async () => {
  const { gateway, server, req, hello, clean, A } = setUp();
  const pending = req(A, 3);
  await hello();
  const answer = await pending;
  assertEquals(answer.listeners.map(String), ["10.0.0.1:5100", "10.0.0.1:5101", "10.0.0.1:5102"]);
  assertEquals(answer.prodListeners.map(String), ["10.9.9.9:7000"]);
  const targets = [new Endpoint("t1", 1), new Endpoint("t2", 2)];
  const updated = await gateway.update({ uid: A, targets });
  assertEquals(updated.prodListeners.map(String), ["t1:1", "t2:2", "t1:1"]);
  assertEquals((await gateway.status(A)).session.state, "streaming");
  await gateway.release(A);
  assertEquals(server.calls, [
    "open 0.0.0.0:5100 0.0.0.0:5101 0.0.0.0:5102",
    "target t1:1 t2:2 t1:1",
    "close 1234",
  ]);
  clean();
});

Deno.test("two sessions get their own answers, whatever the order of their hellos", async () => {
  const { gateway, req, hello, clean, A, B } = setUp();
  const [a, b] = [req(A), req(B)];
  await hello(B);
  await hello(A);
  assertEquals((await a).listeners.map(String), ["10.0.0.1:5100", "10.0.0.1:5101"]);
  assertEquals((await b).listeners.map(String), ["10.0.0.1:5102", "10.0.0.1:5103"]);
  await gateway.close(0);
  clean();
});

Deno.test("a hello before its req waits for it, and only so long", async () => {
  const { gateway, req, hello, clean, A, B } = setUp({ helloTimeoutMs: 30 });
  const early = hello(A);
  const pending = req(A);
  assertEquals((await early).length, 2);
  await pending;
  assertEquals(await code(hello(B)), ["INVALID_UID", Status.NOT_FOUND]);
  await gateway.close(0);
  clean();
});

Deno.test("early hellos are bounded, and give their place back", async () => {
  const { hello, clean } = setUp();
  const gone = new AbortController();
  const waiting = ["session-1", "session-2", "session-3"].map((uid) =>
    hello(Uid.parse(uid), gone.signal)
  );
  assertEquals(await code(hello(Uid.parse("session-4"))), [
    "RATE_LIMIT",
    Status.RESOURCE_EXHAUSTED,
  ]);
  gone.abort(new ScistreamError("TIMEOUT", "gone"));
  for (const each of waiting) assertEquals((await code(each))[0], "TIMEOUT");
  const late = hello(
    Uid.parse("session-5"),
    AbortSignal.abort(new ScistreamError("TIMEOUT", "gone")),
  );
  assertEquals((await code(late))[0], "TIMEOUT");
  clean();
});

Deno.test("no hello in time: TIMEOUT, and everything is free", async () => {
  const { req, clean } = setUp({ helloTimeoutMs: 20 });
  assertEquals(await code(req()), ["TIMEOUT", Status.DEADLINE_EXCEEDED]);
  clean();
});

Deno.test("no update in time after hello: the session expires", async () => {
  const { gateway, server, req, hello, clean, A } = setUp({ helloTimeoutMs: 40 });
  const closed = Promise.withResolvers<void>();
  server.onClose = () => Promise.resolve(closed.resolve());
  const pending = req();
  await hello();
  await pending;
  await closed.promise;
  await new Promise((resolve) => queueMicrotask(() => resolve(undefined)));
  assertEquals(await code(gateway.update({ uid: A, targets: [new Endpoint("t", 1)] })), [
    "INVALID_UID",
    Status.NOT_FOUND,
  ]);
  clean();
});

Deno.test("a client that goes away while its req is pending frees everything", async () => {
  const { req, clean, A } = setUp();
  const gone = new AbortController();
  const pending = req(A, 2, "PROD", gone.signal);
  gone.abort();
  assertEquals((await code(pending))[0], "CONN_ERROR");
  clean();
});

Deno.test("a client that goes away while listeners are being opened leaves none open", async () => {
  const { server, req, clean, A } = setUp();
  const opening = Promise.withResolvers<void>();
  server.onOpen = () => opening.promise;
  const gone = new AbortController();
  const pending = req(A, 2, "PROD", gone.signal);
  gone.abort();
  opening.resolve();
  assertEquals((await code(pending))[0], "CONN_ERROR");
  // Closed after it was opened, not before.
  assertEquals(server.calls, ["open 0.0.0.0:5100 0.0.0.0:5101", "close 0"]);
  clean();
});

Deno.test("a release while req is pending ends it", async () => {
  const { gateway, server, req, clean, A } = setUp();
  const opening = Promise.withResolvers<void>();
  server.onOpen = () => opening.promise;
  const pending = req();
  const released = gateway.release(A);
  opening.resolve();
  assertEquals((await code(pending))[0], "INVALID_UID");
  await released;
  clean();
});

Deno.test("ports of strangers are skipped, and when none is left nothing is taken", async () => {
  const { gateway, server, req, hello, clean, A, B } = setUp();
  server.strangers.add(5100).add(5102);
  const pending = req(A, 3);
  await hello();
  assertEquals((await pending).listeners.map((at) => at.port), [5101, 5103, 5104]);
  for (let port = 5105; port < 5110; port++) server.strangers.add(port);
  assertEquals(await code(req(B, 2)), ["NO_RESOURCE", Status.RESOURCE_EXHAUSTED]);
  await gateway.release(A);
  clean();
});

Deno.test("limits: sessions, channels, a uid that is taken", async () => {
  const { gateway, req, hello, clean, A } = setUp();
  assertEquals(await code(req(A, 6)), ["NO_RESOURCE", Status.RESOURCE_EXHAUSTED]);
  const pending = ["session-1", "session-2", "session-3"].map((uid) => req(Uid.parse(uid), 1));
  assertEquals(await code(req(A, 1)), ["NO_RESOURCE", Status.RESOURCE_EXHAUSTED]);
  assertEquals(await code(req(Uid.parse("session-1"), 1)), ["INVALID_UID", Status.ALREADY_EXISTS]);
  await hello(Uid.parse("session-1"));
  await pending[0];
  const others = Promise.allSettled(pending.slice(1));
  await gateway.close(0);
  assertEquals((await others).map((each) => each.status), ["rejected", "rejected"]);
  assertEquals(await code(req(A)), ["UNAVAILABLE", Status.UNAVAILABLE]);
  assertEquals(await code(hello(A)), ["UNAVAILABLE", Status.UNAVAILABLE]);
  clean();
});

Deno.test("calls out of order are refused and change nothing", async () => {
  const { gateway, req, hello, clean, A } = setUp();
  const targets = [new Endpoint("t", 1)];
  assertEquals(await code(gateway.update({ uid: A, targets })), ["INVALID_UID", Status.NOT_FOUND]);
  assertEquals(await code(gateway.release(A)), ["INVALID_UID", Status.NOT_FOUND]);
  assertEquals(await code(gateway.status(A)), ["INVALID_UID", Status.NOT_FOUND]);
  const pending = req();
  await Promise.resolve();
  assertEquals(await code(gateway.update({ uid: A, targets })), [
    "BAD_FORMAT",
    Status.INVALID_ARGUMENT,
  ]);
  const none = gateway.hello(
    { uid: A, role: "PROD", appListeners: [] },
    new AbortController().signal,
  );
  assertEquals(await code(none), ["BAD_FORMAT", Status.INVALID_ARGUMENT]);
  await hello();
  await pending;
  assertEquals(await code(gateway.update({ uid: A, targets: [] })), [
    "BAD_FORMAT",
    Status.INVALID_ARGUMENT,
  ]);
  await gateway.update({ uid: A, targets });
  await hello();
  assertEquals((await gateway.status(A)).session.state, "streaming");
  await gateway.release(A);
  clean();
});

Deno.test("a second release waits for the first, and force hurries it", async () => {
  const { gateway, server, req, hello, clean, A } = setUp();
  const pending = req();
  await hello();
  await pending;
  const drained = Promise.withResolvers<void>();
  server.onClose = (drainMs) => {
    if (drainMs === 0) drained.resolve();
    return drained.promise;
  };
  let done = false;
  const first = gateway.release(A).then(() => done = true);
  await Promise.resolve();
  assertEquals((await gateway.status(A)).session.state, "draining");
  assertEquals(done, false);
  await gateway.release(A, true);
  await first;
  clean();
});

Deno.test("a data server that fails to release says so, and the session is gone all the same", async () => {
  const { gateway, server, req, hello, clean, A } = setUp();
  const pending = req();
  await hello();
  await pending;
  server.onClose = () => Promise.reject(new ScistreamError("CONN_ERROR", "no answer"));
  assertEquals((await code(gateway.release(A)))[0], "CONN_ERROR");
  clean();
});

Deno.test("a fault while streaming keeps the session and its reason until it is released", async () => {
  const { gateway, req, hello, clean, A } = setUp();
  const pending = req();
  await hello();
  await pending;
  await gateway.update({ uid: A, targets: [new Endpoint("t", 1)] });
  gateway.fault(A.hash, "port 5100 is taken");
  const { session, channels } = await gateway.status(A);
  assertEquals([session.state, session.reason, channels.length], [
    "failed",
    "port 5100 is taken",
    2,
  ]);
  await gateway.release(A);
  clean();
});

Deno.test("status tells what it knows when the data server does not answer", async () => {
  const { gateway, server, req, hello, clean, A } = setUp();
  const pending = req();
  await hello();
  await pending;
  server.status = () => Promise.reject(new ScistreamError("CONN_ERROR", "no answer"));
  const { session, channels } = await gateway.status(A);
  assertEquals([session.state, channels.map((each) => each.lastError)], ["ready", [
    "no answer",
    "no answer",
  ]]);
  assertEquals((await gateway.list()).length, 1);
  await gateway.release(A);
  clean();
});

Deno.test("a fault before that fails the pending req", async () => {
  const { gateway, req, clean, A } = setUp();
  const pending = req();
  await Promise.resolve();
  await Promise.resolve();
  gateway.fault(A.hash, "no data server");
  assertEquals((await code(pending))[0], "CONN_ERROR");
  clean();
});

Deno.test("an unexpected error of the data server frees everything and is passed on", async () => {
  const { server, req, clean } = setUp();
  server.onOpen = () => Promise.reject(new TypeError("a mistake"));
  const error = await assertRejects(() => req(), TypeError);
  assert(error.message === "a mistake");
  clean();
});

Deno.test("with a capacity, sessions are admitted while their rates fit, and an update must fit too", async () => {
  const { gateway, server, req, hello, clean, A, B } = setUp({ capacity: 1000 });
  const never = new AbortController().signal;
  const a = req(A, 1, "PROD", never, 700);
  await hello(A);
  await a;
  const error = await assertRejects(() => req(B, 1, "PROD", never, 301), ScistreamError);
  assertEquals(
    error.message,
    "a rate of 301 kB/s was asked for, and 300 of this gateway's 1000 kB/s are not reserved; " +
      "ask for a lower rate or release a session",
  );
  assertEquals(error.code, "NO_RESOURCE");
  const b = req(B, 1, "PROD", never, 300);
  await hello(B);
  await b;
  // No limit asked for takes no part of it.
  await gateway.update({ uid: A, targets: [], rate: 700 });
  assertEquals(
    await code(gateway.update({ uid: A, targets: [], rate: 701 })),
    ["NO_RESOURCE", Status.RESOURCE_EXHAUSTED],
  );
  assertEquals((await gateway.status(A)).session.rate, 700);
  await gateway.update({ uid: A, targets: [], rate: 0 });
  assertEquals((await gateway.status(A)).session.rate, 0);
  assertEquals(server.calls.filter((call) => call.startsWith("limit")), []);
  await gateway.close(0);
  clean();
});

Deno.test("rates are ignored, reserved or enforced, as the gateway says", async () => {
  for (const ratePolicy of ["ignore", "reserve", "enforce"] as const) {
    const { gateway, server, req, hello, A } = setUp({ ratePolicy, capacity: 10 });
    const never = new AbortController().signal;
    if (ratePolicy !== "ignore") {
      await assertRejects(() => req(A, 1, "PROD", never, 11), ScistreamError);
    }
    const pending = req(A, 1, "PROD", never, ratePolicy === "ignore" ? 11 : 10);
    await hello();
    await pending;
    await gateway.update({ uid: A, targets: [new Endpoint("t", 1)], rate: 5 });
    const enforced = ratePolicy === "enforce";
    assertEquals(server.openedLimit, enforced ? 10 : 0);
    assertEquals(server.calls.filter((call) => call === "limit 5").length, enforced ? 1 : 0);
    await gateway.close(0);
  }
});

Deno.test("what a session allows is beside what its gateway allows; a type that cannot says so", async () => {
  const allow = Networks.parseList("10.0.0.0/8");
  const mine = Networks.parseList("10.1.0.0/16");
  const { gateway, server, hello, A, B } = setUp({ allow });
  const never = new AbortController().signal;
  const pending = gateway.req({ uid: A, role: "PROD", numConn: 1, rate: 0, allow: mine }, never);
  await hello();
  await pending;
  assertEquals(server.allow.map(String), ["10.0.0.0/8", "10.1.0.0/16"]);
  server.abilities.allow = false;
  assertEquals(
    await code(gateway.req({ uid: B, role: "PROD", numConn: 1, rate: 0, allow: mine }, never)),
    ["NOT_IMPLEMENTED", Status.UNIMPLEMENTED],
  );
  await gateway.close(0);
});

for (const what of ["done", "refused"]) {
  Deno.test(`a session that is released while its rate is being changed leaves no record; the change is ${what}`, async () => {
    const { gateway, server, req, hello, clean, A } = setUp({ ratePolicy: "enforce" });
    const pending = req();
    await hello();
    await pending;
    const limiting = Promise.withResolvers<void>();
    server.onLimit = () => limiting.promise;
    const targets = [new Endpoint("10.1.1.1", 80)];
    const update = code(gateway.update({ uid: A, targets, rate: 5 }));
    await gateway.release(A);
    if (what === "done") limiting.resolve();
    else limiting.reject(new ScistreamError("CONN_ERROR", "it is gone"));
    assertEquals((await update)[0], what === "done" ? "BAD_FORMAT" : "CONN_ERROR");
    clean();
  });
}
