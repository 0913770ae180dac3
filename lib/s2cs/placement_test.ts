import { assert, assertEquals, assertThrows } from "@std/assert";
import { ScistreamError } from "../protocol/errors.ts";
import { PortRange } from "../protocol/values.ts";
import type { GatewayNode } from "../s2ds/data_server.ts";
import { Found, Placement } from "./placement.ts";

function node(name: string, capacity = 0): GatewayNode {
  const host = { told: `${name}.example`, bound: `${name}.example` };
  return { name, PROD: host, CONS: host, capacity };
}

function placement(names: GatewayNode[], range = "5100-5109", reserves = true) {
  let nodes = names;
  const made = new Placement({ range: PortRange.parse(range), nodes: () => nodes, reserves });
  return {
    made,
    set: (others: GatewayNode[]) => nodes = others,
    where: (channels: number, rate = 0) => made.take({ channels, rate }).node.name,
  };
}

Deno.test("a session goes where there is the least, of ports and of rates", () => {
  const { where } = placement([node("a"), node("b"), node("c")]);
  assertEquals([where(1), where(1), where(1)], ["a", "b", "c"]);
  assertEquals([where(3), where(1), where(1), where(1)], ["a", "b", "c", "b"]);
  const rated = placement([node("a"), node("b")]);
  // A great rate outweighs a few ports.
  assertEquals([rated.where(1, 1000), rated.where(2), rated.where(2)], ["a", "b", "b"]);
});

Deno.test("a node's rate is not given away twice, and what comes back counts no more", () => {
  const { made, where } = placement([node("a", 100), node("b", 1000)]);
  assertEquals([where(1, 400), where(1, 60), where(1, 500)], ["b", "a", "b"]);
  const error = assertThrows(() => where(1, 200), ScistreamError, "no node has as much");
  assertEquals(error.code, "NO_RESOURCE");
  const place = made.take({ channels: 1, rate: 30 });
  assertEquals(place.node.name, "a");
  assertThrows(() => made.rerate(place, 41), ScistreamError, "40 of node a's 100 kB/s");
  const more = made.rerate(place, 40);
  made.give(more);
  assertEquals(made.take({ channels: 1, rate: 40 }).node.name, "a");
});

Deno.test("where rates mean nothing, a capacity is no bound", () => {
  const { where } = placement([node("a", 10)], "5100-5109", false);
  assertEquals(where(1, 1000), "a");
});

Deno.test("ports are a node's own; strangers' are left out there and not elsewhere", () => {
  const { made } = placement([node("a"), node("b")], "5100-5102");
  const found = new Found();
  found.inUse("a", [5100]);
  const first = made.take({ channels: 2, rate: 0 }, found);
  assertEquals([first.node.name, first.ports], ["a", [5101, 5102]]);
  const second = made.take({ channels: 2, rate: 0 }, found);
  assertEquals([second.node.name, second.ports], ["b", [5100, 5101]]);
  assertEquals([made.used, made.free], [4, 2]);
  assertThrows(() => made.take({ channels: 2, rate: 0 }, found), ScistreamError, "at most 1 of");
  made.give(first);
  assertEquals([made.used, made.free], [2, 4]);
});

Deno.test("a node that cannot is not tried again for this session, and comes last for the next ones", () => {
  const { made } = placement([node("a"), node("b")], "5100-5101");
  const found = new Found();
  found.faulty("a");
  made.avoid("a");
  assertEquals(made.take({ channels: 1, rate: 0 }, found).node.name, "b");
  assertEquals(made.take({ channels: 1, rate: 0 }).node.name, "b");
  assertEquals(made.take({ channels: 1, rate: 0 }).node.name, "a");
  found.faulty("b");
  assertThrows(() => made.take({ channels: 1, rate: 0 }, found), ScistreamError);
});

Deno.test("the loads are those of nodes that take sessions, and of others that have some", () => {
  const { made, set } = placement([node("a", 100), node("b")]);
  made.take({ channels: 3, rate: 40 });
  made.take({ channels: 1, rate: 0 });
  const b = { name: "b", open: true, used: 1, free: 9, reserved: 0, capacity: 0 };
  assertEquals(made.loads(), [
    { name: "a", open: true, used: 3, free: 7, reserved: 40, capacity: 100 },
    b,
  ]);
  set([node("b")]);
  assertEquals(made.loads(), [
    b,
    { name: "a", open: false, used: 3, free: 0, reserved: 40, capacity: 0 },
  ]);
  const a = node("a", 100);
  made.give({ node: a, ports: [5100, 5101, 5102], rate: 40 });
  assertEquals(made.loads(), [b]);
});

Deno.test("a node that is lost takes nothing more; what is there is known when it is back", () => {
  const { made, set, where } = placement([node("a"), node("b")], "5100-5101");
  assertEquals(where(2), "a");
  set([node("b")]);
  assertEquals(made.node("a"), undefined);
  assertEquals(where(1), "b");
  set([]);
  assertThrows(() => where(1), ScistreamError, "no node takes sessions now");
  set([node("a"), node("b")]);
  assertEquals(made.free, 1);
  assert(made.node("a"));
});
