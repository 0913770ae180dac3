import * as grpc from "@grpc/grpc-js";
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
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
