import * as grpc from "@grpc/grpc-js";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { WatchUpdate } from "../../proto/messages.ts";
import { makeCertificate } from "../certificate.ts";
import { ControlClient } from "./client.ts";
import { controlDefinition, METHODS } from "./codec.ts";
import { Endpoint } from "./endpoint.ts";
import { ScistreamError, Status } from "./errors.ts";
import { type ControlHandlers, serveControl, type ServerTls } from "./server.ts";

const ANYWHERE = new Endpoint("127.0.0.1", 0);

/** Handlers of which only `list` and `release` answer; a release waits for the gate. */
function handlers(gate: Promise<void> = Promise.resolve()): ControlHandlers {
  const none = METHODS.map((method) => [method, () => Promise.reject(new Error("not here"))]);
  return {
    ...Object.fromEntries(none) as ControlHandlers,
    list: () => Promise.resolve({ sessions: [] } as never),
    release: async () => {
      await gate;
      return {} as never;
    },
  };
}

async function certificate(): Promise<ServerTls> {
  const { cert, key } = await makeCertificate({ ips: ["127.0.0.1"], names: [], days: 1 });
  const text = new TextEncoder();
  return { cert: text.encode(cert), key: text.encode(key) };
}

Deno.test("a renewed certificate is for new connections; old ones and their calls go on", async () => {
  const [old, renewed] = [await certificate(), await certificate()];
  const gate = Promise.withResolvers<void>();
  const server = await serveControl(handlers(gate.promise), {
    address: ANYWHERE,
    tls: old,
    onFault: () => {},
  });
  const { address } = server;
  const clients = [old.cert, renewed.cert, old.cert].map((roots) =>
    new ControlClient({ address, roots })
  );
  const [before, after, late] = clients as [ControlClient, ControlClient, ControlClient];
  await before.call("list", {});
  const pending = before.call("release", { uid: "pending" });
  server.renew(renewed);
  await after.call("list", {});
  assertEquals(server.connections, 2);
  await before.call("list", {});
  gate.resolve();
  await pending;
  assertEquals(server.connections, 2, "the old connection has been used again");
  const error = await assertRejects(() => late.call("list", {}), ScistreamError);
  assertMatch(error.message, /certificate/);
  for (const client of clients) client.close();
  server.closeNow();
});

Deno.test("a compressed message is refused unread, by name", async () => {
  const server = await serveControl(handlers(), { address: ANYWHERE, onFault: () => {} });
  const client = new grpc.Client(String(server.address), grpc.credentials.createInsecure(), {
    "grpc.default_compression_algorithm": 2,
  });
  const { path, requestSerialize, responseDeserialize } = controlDefinition.list as
    & grpc.MethodDefinition<object, object>
    & { path: string };
  const error = await new Promise<grpc.ServiceError | null>((resolve) =>
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, {}, resolve)
  );
  assertEquals(error?.code, Status.UNIMPLEMENTED, error?.details);
  assertMatch(error?.details ?? "", /gzip; this control server takes none/);
  client.close();
  server.closeNow();
});

Deno.test("a call with more header fields than anybody needs is turned away", async () => {
  const server = await serveControl(handlers(), { address: ANYWHERE, onFault: () => {} });
  const client = new grpc.Client(String(server.address), grpc.credentials.createInsecure());
  const { path, requestSerialize, responseDeserialize } = controlDefinition.list as
    & grpc.MethodDefinition<object, object>
    & { path: string };
  const call = (fields: number) => {
    const metadata = new grpc.Metadata();
    for (let i = 0; i < fields; i++) metadata.set(`x-${i}`, "y");
    return new Promise<grpc.ServiceError | null>((resolve) =>
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, {}, metadata, resolve)
    );
  };
  assertEquals(await call(15), null);
  assertEquals((await call(40))?.code, Status.RESOURCE_EXHAUSTED);
  assertEquals(await call(0), null, "the connection goes on");
  client.close();
  server.closeNow();
});

/** A server whose watch answers this, and a client of it. */
async function watched(watch: ControlHandlers["watch"]) {
  const faults: unknown[] = [];
  const server = await serveControl({ ...handlers(), watch }, {
    address: ANYWHERE,
    onFault: (_id, _method, error) => faults.push(error),
  });
  const client = new ControlClient({ address: server.address });
  return {
    client,
    server,
    faults,
    [Symbol.dispose]() {
      client.close();
      server.closeNow();
    },
  };
}

const LONG = "x".repeat(64 << 10);
const update = (at_ms: number) =>
  ({ at_ms, sessions: [{ reason: LONG }] }) as unknown as WatchUpdate;

Deno.test("a caller that is slow to take what streams holds the server back, and misses nothing", async () => {
  let made = 0;
  using it = await watched(() =>
    Promise.resolve((async function* () {
      while (made < 120) yield update(made++);
    })())
  );
  const answers = it.client.stream("watch", {});
  await answers.next();
  // It stands still once everything between the two ends is full.
  for (let before = -1, same = 0; same < 20; before = made) {
    same = made === before ? same + 1 : 0;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert(made < 80, `${made} were made while one was taken`);
  let taken = 1;
  for await (const { at_ms } of answers) assertEquals(at_ms, taken++);
  assertEquals(taken, 120);
});

for (const how of ["takes no more", "cancels", "closes the connection"]) {
  Deno.test(`a caller who ${how} ends what streams to it`, async () => {
    const ended = Promise.withResolvers<void>();
    using it = await watched((_request, { signal }) =>
      Promise.resolve((async function* () {
        try {
          yield update(1);
          await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        } finally {
          ended.resolve();
        }
      })())
    );
    const over = new AbortController();
    const answers = it.client.stream("watch", {}, { signal: over.signal });
    await answers.next();
    if (how === "takes no more") await answers.return();
    if (how === "cancels") over.abort(new Error("over"));
    if (how === "closes the connection") {
      it.client.close();
      it.server.closeNow();
    }
    await ended.promise;
    if (how === "cancels") await assertRejects(() => answers.next(), Error, "over");
    await answers.return();
    assertEquals(it.faults, []);
  });
}

Deno.test("what streams ends with an error as every call does", async () => {
  const known = new ScistreamError("AUTH_ERROR", "not any more");
  const cases = [[known, "AUTH_ERROR", 0], [new Error(), "SERVER_ERR", 1]] as const;
  for (const [error, code, faults] of cases) {
    using it = await watched(() =>
      Promise.resolve((async function* () {
        yield update(1);
        throw error;
      })())
    );
    const seen: number[] = [];
    const refused = await assertRejects(async () => {
      for await (const { at_ms } of it.client.stream("watch", {})) seen.push(at_ms);
    }, ScistreamError);
    assertEquals({ seen, code: refused.code, faults: it.faults.length }, {
      seen: [1],
      code,
      faults,
    });
  }
});
