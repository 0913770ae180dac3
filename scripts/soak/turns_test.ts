import { assertEquals } from "@std/assert";
import { Turns } from "./turns.ts";

Deno.test("many are in together; whoever wants to be alone comes after those before, and before those after", async () => {
  const turns = new Turns();
  const seen: string[] = [];
  const doors = [1, 2].map(() => Promise.withResolvers<void>());
  const together = doors.map((door, i) =>
    turns.together(async () => {
      seen.push(`in ${i}`);
      await door.promise;
      seen.push(`out ${i}`);
    })
  );
  const alone = turns.alone(() => Promise.try(() => void seen.push("alone")));
  const late = turns.together(() => Promise.try(() => void seen.push("late")));
  for (const door of doors) door.resolve();
  await Promise.all([...together, alone, late]);
  assertEquals(seen, ["in 0", "in 1", "out 0", "out 1", "alone", "late"]);
});
