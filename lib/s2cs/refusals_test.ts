import { assertEquals } from "@std/assert";
import { Refusals } from "./refusals.ts";

function fixture() {
  const clock = { ms: 5 };
  const lines: string[] = [];
  const counted: string[] = [];
  const refusals = new Refusals(
    (level, line) => lines.push(`${level} ${line}`),
    (limit) => counted.push(limit),
    () => clock.ms,
  );
  return { clock, lines, counted, refusals };
}

Deno.test("each refusal is counted, and one in ten seconds is told", () => {
  const { clock, lines, counted, refusals } = fixture();
  const told = [];
  for (let i = 0; i < 100; i++, clock.ms += 100) told.push(refusals.note("call-rate", "ada"));
  assertEquals(told, [true, ...Array(99).fill(false)]);
  assertEquals(counted, Array(100).fill("call-rate"));
  assertEquals(lines, ["warn limit call-rate: ada was kept out"]);
  assertEquals(refusals.note("call-rate", "bob"), true);
  assertEquals(
    lines[1],
    "warn limit call-rate: bob was kept out, and 99 more since the last line",
  );
  clock.ms += 10_000;
  refusals.note("call-rate", "eve");
  assertEquals(lines[2], "warn limit call-rate: eve was kept out", "none in between");
});

Deno.test("limits are told of apart", () => {
  const { lines, counted, refusals } = fixture();
  assertEquals(["a", "b", "a"].map((limit) => refusals.note(limit, "x")), [true, true, false]);
  assertEquals(lines.length, 2);
  assertEquals(counted, ["a", "b", "a"]);
});
