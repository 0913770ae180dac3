import { assert, assertEquals } from "@std/assert";
import { type Clock, Limit } from "./limit.ts";

/** A clock that stands still until it is told to run. */
class TestClock implements Clock {
  #now = 0;
  readonly #clockrs = new Set<{ at: number; then: () => void }>();

  now(): number {
    return this.#now;
  }

  after(ms: number, then: () => void): () => void {
    const clockr = { at: this.#now + ms, then };
    this.#clockrs.add(clockr);
    return () => this.#clockrs.delete(clockr);
  }

  run(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#clockrs].sort((a, b) => a.at - b.at);
      if (!next || next.at > end) break;
      this.#now = Math.max(this.#now, next.at);
      this.#clockrs.delete(next);
      next.then();
    }
    this.#now = end;
  }
}

/** Bytes that so many connections, each with always something to read, pass in a time. */
function passed(limit: Limit, clock: TestClock, connections: number, ms: number): number {
  let bytes = 0;
  const end = clock.now() + ms;
  // A read takes its time, or an open bucket would let all pass at once.
  const go = () => {
    if (clock.now() >= end) return;
    const n = limit.most;
    bytes += n;
    if (limit.spend(n, go)) clock.after(0.1, go);
  };
  for (let i = 0; i < connections; i++) go();
  clock.run(ms);
  return bytes;
}

for (const mbit of [1, 100, 1000, 10_000]) {
  for (const connections of [1, 8, 100]) {
    Deno.test(`${mbit} Mbit/s over 5 s within 5%, ${connections} connections`, () => {
      const clock = new TestClock();
      const rate = mbit * 1e6 / 8;
      const limit = new Limit(rate, clock);
      const ratio = passed(limit, clock, connections, 5000) / (rate * 5);
      assert(ratio > 0.95 && ratio < 1.05, `${ratio}`);
      limit.close();
    });
  }
}

Deno.test("no limit lets all pass; a limit that is lifted lets go whoever waits", () => {
  const clock = new TestClock();
  const limit = new Limit(0, clock);
  assert(limit.spend(1e12, () => {}));
  limit.rate = 1000;
  let woken = 0;
  for (let i = 0; i < 3; i++) limit.spend(1e6, () => woken++);
  assertEquals([woken, limit.open], [0, false]);
  limit.rate = 0;
  assertEquals([woken, limit.open], [3, true]);
  clock.run(1000);
  limit.close();
});

Deno.test("a new rate counts from now on", () => {
  const clock = new TestClock();
  const limit = new Limit(1e9, clock);
  passed(limit, clock, 4, 1000);
  limit.rate = 125_000;
  const ratio = passed(limit, clock, 4, 5000) / (125_000 * 5);
  assert(ratio > 0.95 && ratio < 1.06, `${ratio}`);
  limit.rate = 1e8;
  const more = passed(limit, clock, 4, 5000) / (1e8 * 5);
  assert(more > 0.95 && more < 1.05, `${more}`);
  limit.close();
});

Deno.test("whoever is let read and has nothing to read does not keep others waiting", () => {
  const clock = new TestClock();
  const limit = new Limit(125_000, clock);
  const woken: number[] = [];
  for (let i = 0; i < 3; i++) limit.spend(2000, () => woken.push(i));
  clock.run(500);
  assertEquals(woken, [0, 1, 2]);
  limit.close();
});
