import { assert, assertEquals } from "@std/assert";
import { Buckets } from "./buckets.ts";

function buckets(rate: number, burst: number) {
  const clock = { ms: 0 };
  const allowance = { rate, burst };
  return { clock, allowance, buckets: new Buckets(() => allowance, () => clock.ms) };
}

Deno.test("a burst at once, and the rate from then on", () => {
  const { clock, buckets: of } = buckets(10, 20);
  for (let i = 0; i < 20; i++) assert(of.take("a"), `${i}`);
  assert(!of.take("a"));
  clock.ms += 99;
  assert(!of.take("a"));
  clock.ms += 1;
  assert(of.take("a"));
  assert(!of.take("a"));
  clock.ms += 1_000_000;
  for (let i = 0; i < 20; i++) assert(of.take("a"), "it fills up to the burst, and no further");
  assert(!of.take("a"));
});

Deno.test("who is refused loses nothing by asking", () => {
  const { clock, buckets: of } = buckets(1, 1);
  assert(of.take("a"));
  for (let i = 0; i < 100; i++) assert(!of.take("a"));
  clock.ms += 1000;
  assert(of.take("a"));
});

Deno.test("keys have buckets of their own", () => {
  const { buckets: of } = buckets(1, 1);
  assert(of.take("a"));
  assert(!of.take("a"));
  assert(of.take("b"));
});

Deno.test("a charge may go below nothing, at most by a burst, and is waited off", () => {
  const { clock, buckets: of } = buckets(10, 20);
  assert(!of.isEmpty("a"));
  of.charge("a", 20);
  assert(of.isEmpty("a"));
  of.charge("a", 1_000_000);
  clock.ms += 2000;
  assert(of.isEmpty("a"), "a debt of 20, at 10 a second");
  clock.ms += 100;
  assert(!of.isEmpty("a"));
});

Deno.test("what is given back fills up to the burst, and no further", () => {
  const { buckets: of } = buckets(1, 4);
  of.charge("a", 4);
  of.give("a", 1);
  assert(of.take("a"));
  assert(!of.take("a"));
  of.give("a", 100);
  assert(of.take("a", 4));
  assert(!of.take("a"));
});

Deno.test("a rate of 0 is no bound", () => {
  const { buckets: of } = buckets(0, 0);
  of.charge("a", 1000);
  for (let i = 0; i < 1000; i++) assert(of.take("a", 1000));
  assert(!of.isEmpty("a"));
});

Deno.test("a changed allowance counts at once", () => {
  const { clock, allowance, buckets: of } = buckets(1, 1);
  assert(of.take("a"));
  allowance.rate = 100;
  allowance.burst = 100;
  clock.ms += 1000;
  let taken = 0;
  while (of.take("a")) taken++;
  assertEquals(taken, 100);
});

Deno.test("ever new keys make the oldest forgotten, and not the one in use", () => {
  const { buckets: of } = buckets(1, 1);
  assert(of.take("oldest"));
  assert(of.take("busy"));
  for (let i = 0; i < 10_500; i++) {
    of.take(`${i}`);
    assert(!of.take("busy"), "still known");
  }
  assert(of.take("oldest"), "forgotten, so full");
});
