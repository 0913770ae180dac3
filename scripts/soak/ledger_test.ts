import { assertEquals, assertMatch } from "@std/assert";
import { Growth, leaked, type Usage } from "./ledger.ts";

const MIB = 1 << 20;
const NOTHING = { processes: [], containers: [], ports: [], files: [], sessions: [] };

Deno.test("a leak is what is there now and was not, also one more of what was", () => {
  const before = { ...NOTHING, processes: ["s2cs", "s2ds"], files: ["gateway"] };
  assertEquals(leaked(before, { ...before }), []);
  assertEquals(leaked(before, { ...before, files: [] }), []);
  const now = {
    processes: ["s2cs", "s2ds", "s2ds"],
    containers: ["scistream-haproxy"],
    ports: ["28001"],
    files: ["gateway", "gateway/sessions/1", "gateway/sessions/1/run", "gateway/sessions/10"],
    sessions: ["deadbeef"],
  };
  assertEquals(leaked(before, now), [
    "processes: s2ds",
    "containers: scistream-haproxy",
    "ports: 28001",
    "files: gateway/sessions/1",
    "files: gateway/sessions/10",
    "sessions: deadbeef",
  ]);
});

function use(memory: number, descriptors = 30, pid = 1): Usage {
  return { pid, kind: "s2cs", descriptors, memory: memory * MIB };
}

Deno.test("memory: far above the beginning is a leak, and growing in each of five rounds", () => {
  const growth = new Growth();
  assertEquals([100, 150, 199, 120].flatMap((memory) => growth.note([use(memory)])), []);
  assertMatch(String(growth.note([use(201)])), /^memory: s2cs, process 1: 100 MiB .*, 201 now$/);
  assertEquals(growth.told, "s2cs 100 → 201 MiB");
  const slow = new Growth();
  assertEquals([100, 106, 112, 119, 126].flatMap((memory) => slow.note([use(memory)])), []);
  assertMatch(String(slow.note([use(134)])), /memory: s2cs, process 1: grows round by round/);
  // Another process begins anew.
  assertEquals(slow.note([use(141, 30, 2)]), []);
});

Deno.test("descriptors: many more than at the beginning are a leak, of another process too", () => {
  const growth = new Growth();
  assertEquals([30, 42, 35].flatMap((count) => growth.note([use(100, count)])), []);
  assertMatch(String(growth.note([use(100, 43, 2)])), /^descriptors: .*: 30 at first, 43 now$/);
});
