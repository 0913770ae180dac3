/**
 * Interoperation with peers that are not ours: gRPC's C core, protoc and ZeroMQ, driven by the
 * system's Python. The tests stand in interop/, one file a subject.
 * @module
 */
import "./interop/python_client.ts";
import "./interop/python_server.ts";
import "./interop/wire.ts";
import "./interop/zeromq.ts";
import "./interop/output.ts";
import { makeStubs, removeStubs } from "./interop/peers.ts";

Deno.test.beforeAll(makeStubs);
Deno.test.afterAll(removeStubs);
