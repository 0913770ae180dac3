import { assertEquals, assertRejects } from "@std/assert";
import { type Check, examine, failed, ok, type Report, warn } from "./check.ts";

const never = new AbortController().signal;

async function all(checks: Check[], signal = never, patienceMs?: number): Promise<Report[]> {
  return await Array.fromAsync(examine(checks, signal, patienceMs));
}

Deno.test("checks run at once and are told in their order", async () => {
  const second = Promise.withResolvers<void>();
  const checks: Check[] = [
    { name: "first", look: async () => (await second.promise, ok("after the second")) },
    { name: "second", look: () => (second.resolve(), Promise.resolve(warn("a", "b"))) },
  ];
  assertEquals(await all(checks), [
    { name: "first", status: "ok", found: "after the second", advice: "" },
    { name: "second", status: "warn", found: "a", advice: "b" },
  ]);
});

Deno.test("a check that does not end, and one that fails itself, keep no other from its finding", async () => {
  let told: AbortSignal | undefined;
  const checks: Check[] = [
    { name: "hangs", look: (signal) => (told = signal, new Promise(() => {})) },
    { name: "throws", look: () => Promise.reject(new Error("broken\nin two")) },
    { name: "good", look: () => Promise.resolve(ok("fine")) },
  ];
  const reports = await all(checks, never, 50);
  assertEquals(reports.map(({ status }) => status), ["warn", "warn", "ok"]);
  assertEquals(reports[0]?.found, "it took longer than 0.05 s, so nothing is known");
  assertEquals(reports[1]?.found, "it could not be looked at: broken");
  assertEquals(told?.aborted, true);
});

Deno.test("an interruption ends them all", async () => {
  const stop = new AbortController();
  const checks = ["a", "b"].map((name): Check => ({ name, look: () => new Promise(() => {}) }));
  const ended = assertRejects(() => all(checks, stop.signal), Error, "enough");
  stop.abort(new Error("enough"));
  await ended;
});

Deno.test("an error of ours is a finding and an advice", () => {
  const { status, found, advice } = failed(new Error("no such image; docker pull it; or not"));
  assertEquals([status, found, advice], ["fail", "no such image", "docker pull it; or not"]);
});
