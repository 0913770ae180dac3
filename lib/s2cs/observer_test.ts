import { assertEquals } from "@std/assert";
import type { SessionReport } from "./gateway.ts";
import { Observer } from "./observer.ts";

const MS = 5;

Deno.test("everybody who watches gets the same snapshots, which are taken once", async () => {
  let taken = 0;
  const observer = new Observer(() => Promise.resolve((taken++, [])), MS);
  const over = new AbortController();
  const look = async () => {
    const seen: number[] = [];
    for await (const { atMs } of observer.watch(over.signal)) {
      seen.push(atMs);
      if (seen.length === 3) break;
    }
    return seen;
  };
  const [first, second] = await Promise.all([look(), look()]);
  assertEquals(first, second);
  assertEquals(taken, 3);
});

Deno.test("nothing is asked while nobody looks, and again once somebody does", async () => {
  let taken = 0;
  const observer = new Observer(() => Promise.resolve((taken++, [])), MS);
  assertEquals(taken, 0);
  for (let i = 1; i <= 3; i++) {
    const over = new AbortController();
    for await (const { sessions } of observer.watch(over.signal)) {
      assertEquals(sessions, []);
      over.abort();
    }
    // Deno's sanitizers fail this test if a timer is left.
    assertEquals(taken, i);
  }
});

Deno.test("the signal ends it in the middle of a pause", async () => {
  const observer = new Observer(() => Promise.resolve([]), 60_000);
  const over = new AbortController();
  let seen = 0;
  for await (const _ of observer.watch(over.signal)) {
    if (++seen === 1) queueMicrotask(() => over.abort());
  }
  assertEquals(seen, 1);
});

Deno.test("whoever begins to watch sees what is there now, and nothing older after it", async () => {
  let sessions: SessionReport[] = [];
  const observer = new Observer(() => Promise.resolve(sessions), 60_000);
  const over = new AbortController();
  const first = observer.watch(over.signal);
  assertEquals((await first.next()).value?.sessions.length, 0);
  sessions = [{} as SessionReport];
  const second = observer.watch(over.signal);
  assertEquals((await second.next()).value?.sessions.length, 1);
  const next = second.next();
  over.abort();
  assertEquals((await next).done, true);
  await first.return();
});
