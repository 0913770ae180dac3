/**
 * `scistream doctor --s2cs` of a Python server that behaves as the reference.
 * @module
 */
import { assertEquals } from "@std/assert";
import { assertFound, doctor, Plan } from "../doctor.ts";
import { ReferenceServer } from "./peers.ts";

Deno.test("doctor knows the reference implementation, and asks it for nothing that changes it", async () => {
  using plan = await Plan.make();
  await using server = await ReferenceServer.start({
    listeners: "192.168.10.11:5100",
    tls: { key: plan.key, cert: plan.cert },
  });
  const found = await doctor(server.flags);
  assertEquals(found.problems, []);
  assertFound(found, "tls", "ok", /is the one in/);
  assertFound(found, "protocol", "ok", /Python implementation/);
  assertFound(found, "authentication", "skip", /before a request/);
  assertEquals(await server.received(), []);
});
