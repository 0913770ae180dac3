import { assertEquals, assertRejects } from "@std/assert";
import { Verdicts } from "./verdicts.ts";

function setUp() {
  let now = 0;
  const asked: string[] = [];
  const verdicts = new Verdicts<string, number>(() => now);
  const good = (token: string, ms = 100) =>
    verdicts.get(token, () => {
      asked.push(token);
      return Promise.resolve({ value: token.toUpperCase(), good: true, ms });
    });
  const bad = (token: string) =>
    verdicts.get(token, () => {
      asked.push(token);
      return Promise.resolve({ value: -1, good: false, ms: 100 });
    });
  return { verdicts, asked, good, bad, pass: (ms: number) => now += ms };
}

Deno.test("good and bad verdicts hold for their time, and not longer", async () => {
  const { asked, good, bad, pass } = setUp();
  assertEquals([await good("a"), await bad("b")], ["A", -1]);
  pass(99);
  assertEquals([await good("a"), await bad("b")], ["A", -1]);
  assertEquals(asked, ["a", "b"]);
  pass(1);
  assertEquals([await bad("a"), await good("b")], [-1, "B"]);
  assertEquals(asked, ["a", "b", "a", "b"]);
  assertEquals([await good("a"), await bad("b")], [-1, "B"]);
});

Deno.test("a token that many ask about at once is asked about once", async () => {
  const { verdicts } = setUp();
  const answer = Promise.withResolvers<{ value: string; good: true; ms: number }>();
  let asked = 0;
  const find = () => {
    asked++;
    return answer.promise;
  };
  const all = Promise.all(Array.from({ length: 50 }, () => verdicts.get("a", find)));
  assertEquals([asked, verdicts.pending], [1, 1]);
  answer.resolve({ value: "A", good: true, ms: 100 });
  assertEquals(new Set(await all), new Set(["A"]));
  assertEquals(verdicts.pending, 0);
});

Deno.test("a failure is nobody's verdict: all who wait are told, the next asks again", async () => {
  const { verdicts, good } = setUp();
  const fail = () => Promise.reject(new Error("down"));
  await Promise.all([
    assertRejects(() => verdicts.get("a", fail), Error, "down"),
    assertRejects(() => verdicts.get("a", fail), Error, "down"),
  ]);
  assertEquals(await good("a"), "A");
});

Deno.test("any number of bad tokens pushes out no good one, and memory has an end", async () => {
  const { asked, good, bad } = setUp();
  await good("a");
  for (let i = 0; i < 10_001; i++) await bad(`bad-${i}`);
  asked.length = 0;
  await good("a");
  await bad("bad-10000");
  assertEquals(asked, []);
  await bad("bad-0");
  assertEquals(asked, ["bad-0"]);
});
