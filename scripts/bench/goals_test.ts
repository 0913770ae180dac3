import { assertEquals } from "@std/assert";
import { atMost, goalLines, ratioGoal } from "./goals.ts";
import { inTurn, median, short } from "./result.ts";

const values: Record<string, number> = { a: 12, b: 10 };
const ratio = (wanted: { theirs: string; least?: number; most?: number }) =>
  ratioGoal({ measure: "speed", ours: "a", ...wanted }, (name) => values[name]);

Deno.test("goals: ratios that are to be large or small, and what is missing", () => {
  assertEquals(ratio({ theirs: "b", least: 1.2 }), {
    measure: "speed",
    goal: "≥ 1.2× b",
    seen: "1.20× (12.0 / 10.0)",
    met: true,
  });
  assertEquals(ratio({ theirs: "b", least: 1.3 }).met, false);
  assertEquals(ratio({ theirs: "b", most: 1.2 }).met, true);
  assertEquals(ratio({ theirs: "b", most: 1.1 }).met, false);
  const missing = ratio({ theirs: "c", most: 1.1 });
  assertEquals([missing.goal, missing.seen, missing.met], [
    "≤ 1.1× c",
    "not measured",
    undefined,
  ]);
  assertEquals(ratioGoal({ measure: "", ours: "a", theirs: "b", least: 1 }, () => NaN).met, false);
});

Deno.test("goals: a table of them", () => {
  const goals = [
    atMost("memory", 59.96, 60, "MB"),
    atMost("time", 61, 60, "ms"),
    atMost("nothing", undefined, 60, "MB"),
  ];
  assertEquals(goalLines(goals), [
    "Goals: 1 of 3 met",
    "  measure  goal     seen",
    "  memory   ≤ 60 MB  60.0 MB       met",
    "  time     ≤ 60 ms  61.0 ms       MISSED",
    "  nothing  ≤ 60 MB  not measured  -",
    "",
  ]);
});

Deno.test("rounds: a warm-up on top, every other one backwards", () => {
  const seen = [...inTurn(["a", "b"], 2)].map(({ round, item }) => `${round}${item}`);
  assertEquals(seen, ["0a", "0b", "1b", "1a", "2a", "2b"]);
});

Deno.test("numbers: the middle one, and three digits", () => {
  assertEquals(median([3, 1, 2]), 2);
  assertEquals([9.994, 12.34, 123.4, 12345, NaN].map(short), ["9.99", "12.3", "123", "12345", "?"]);
});
