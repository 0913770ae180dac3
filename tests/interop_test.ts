/**
 * Interoperation with peers that are not ours: gRPC's C core, protoc and ZeroMQ, driven by the
 * system's Python. The tests stand in interop/, one file a subject.
 * @module
 */
import { missing } from "../scripts/setup.ts";
import { leftOutIf } from "./harness.ts";

const lacking = missing().filter((name) => /^python3-|^protobuf/.test(name));
if (lacking.length > 0) {
  const { because } = leftOutIf(`not installed: ${lacking.join(", ")}`);
  Deno.test.ignore(`interop with the C-core gRPC library, protoc and libzmq${because}`, () => {});
} else {
  await import("./interop/doctor.ts");
  await import("./interop/python_auth.ts");
  await import("./interop/python_client.ts");
  await import("./interop/python_server.ts");
  await import("./interop/wire.ts");
  await import("./interop/zeromq.ts");
  await import("./interop/output.ts");
  const { makeStubs, removeStubs } = await import("./interop/peers.ts");
  Deno.test.beforeAll(makeStubs);
  Deno.test.afterAll(removeStubs);
}
