import { assertEquals } from "@std/assert";
import { Endpoint } from "../protocol/endpoint.ts";
import { Uid } from "../protocol/uid.ts";
import { sessionStatus } from "./report.ts";
import type { Session } from "./session.ts";

const uid = Uid.random();

function session(more: Partial<Session> = {}): Session {
  return {
    uid,
    role: "PROD",
    rate: 0,
    warnings: [],
    createdMs: 1,
    state: "streaming",
    reason: "",
    node: "gw2",
    listeners: [new Endpoint("10.91.0.2", 5100), new Endpoint("10.91.0.2", 5101)],
    appListeners: [],
    targets: [],
    ...more,
  };
}

const told = (more: Partial<Session>) =>
  sessionStatus({ session: session(more), channels: [] }, "Haproxy", false);
const moved = { from: "gw1", atMs: 5 };

Deno.test("the owner of a session that was moved is told what to do, by its role", () => {
  const prod = told({ moved });
  assertEquals([prod.node, prod.moved_ms], ["gw2", 5]);
  const begin = "this session was moved from node gw1 to gw2, and has new listeners; ";
  const listeners = "10.91.0.2:5100,10.91.0.2:5101";
  assertEquals(prod.warnings, [
    `${begin}tell them to the consumer's gateway: s2uc update UID --s2cs ITS_HOST:PORT --targets ${listeners}`,
  ]);
  assertEquals(told({ moved, role: "CONS" }).warnings, [
    `${begin}have the application connect to them: ${listeners}`,
  ]);
  assertEquals(told({}).warnings, []);
});

Deno.test("what is told of a session never has its uid", () => {
  const text = JSON.stringify(told({ moved, reason: `of ${uid}` }));
  assertEquals(text.includes(uid.reveal()), false);
});
