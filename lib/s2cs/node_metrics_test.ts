import { assertEquals } from "@std/assert";
import { MOST_NODES, type NodeNumbers, nodesToTell, OTHERS } from "./node_metrics.ts";

const node = (i: number): NodeNumbers => ({
  name: `gw${String(i).padStart(4, "0")}`,
  open: true,
  sessions: 1,
  used: 2,
  free: 3,
  reserved: 4,
  capacity: 5,
});
const nodes = (count: number) => Array.from({ length: count }, (_, i) => node(i)).reverse();

Deno.test("as many nodes as may be told are told by their names, in order", () => {
  const told = nodesToTell(nodes(MOST_NODES));
  assertEquals(told, nodes(MOST_NODES).reverse());
});

Deno.test("of more nodes the last are one, and nothing of them is missing", () => {
  const told = nodesToTell(nodes(MOST_NODES + 50));
  assertEquals(told.length, MOST_NODES);
  assertEquals(told.at(-2)?.name, node(MOST_NODES - 2).name);
  const others = { name: OTHERS, open: false, capacity: 0 };
  assertEquals(told.at(-1), { ...others, sessions: 51, used: 102, free: 153, reserved: 204 });
});
