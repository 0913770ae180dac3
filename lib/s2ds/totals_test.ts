import { assertEquals } from "@std/assert";
import { noTotals, Tally, type Traffic } from "./totals.ts";

const at = (bytesToTarget: number, connectionsOpen = 0): Traffic => ({
  totals: { ...noTotals(), bytesToTarget },
  connectionsOpen,
});

Deno.test("the sum grows, whatever process ends or begins again at zero", () => {
  const tally = new Tally();
  const sum = () => [tally.traffic.totals.bytesToTarget, tally.traffic.connectionsOpen];
  tally.read("a", at(10, 1));
  tally.read("b", at(5, 2));
  assertEquals(sum(), [15, 3]);
  tally.read("a", at(3, 1));
  assertEquals(sum(), [18, 3]);
  tally.read("a", at(4));
  assertEquals(sum(), [19, 2]);
  tally.end("b");
  assertEquals(sum(), [19, 0]);
  tally.end("b");
  tally.read("b", at(7));
  assertEquals(sum(), [26, 0]);
});
