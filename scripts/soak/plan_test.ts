import { assert, assertEquals } from "@std/assert";
import { TYPE_NAMES } from "../../lib/s2ds/types.ts";
import { type Action, faultsOf, plan, told } from "./plan.ts";

const MANY = 20_000;

function first(count: number, seed: number, type: string): Action[] {
  return plan(seed, type).take(count).toArray();
}

Deno.test("the same seed gives the same decisions, another one others, and each type its own", () => {
  const decisions = first(1000, 7, "S2DS");
  assertEquals(first(1000, 7, "S2DS"), decisions);
  const others = [first(1000, 8, "S2DS"), first(1000, 7, "HaproxySubprocess")];
  for (const other of others) assert(JSON.stringify(other) !== JSON.stringify(decisions));
});

Deno.test("every type meets everything that can go wrong with it, and nothing else", () => {
  for (const type of TYPE_NAMES) {
    const all = first(MANY, 1, type);
    const met = new Set(all.flatMap((each) => each.kind === "fault" ? [each.fault] : []));
    assertEquals([...met].sort(), faultsOf(type).sort());
    assertEquals(new Set(all.map(({ kind }) => kind)).size, 7);
    assertEquals(all.filter((action) => told(action) === "").length, 0);
  }
  assertEquals(faultsOf("Mock").length, 5);
  assertEquals(faultsOf("S2DS").length, 8);
  assertEquals(faultsOf("Haproxy").length, 9);
});
