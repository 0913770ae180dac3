import { assertEquals, assertThrows } from "@std/assert";
import { type AuditEntry, AuditLog } from "./audit.ts";

function setUp(more: { fileBytes?: number; olderFiles?: number } = {}) {
  const folder = Deno.makeTempDirSync({ prefix: "scistream-audit-" });
  const path = `${folder}/audit.jsonl`;
  const warnings: string[] = [];
  const failed: true[] = [];
  const log = new AuditLog(path, {
    ...more,
    warn: (sentence) => warnings.push(sentence),
    onError: () => failed.push(true),
  });
  return {
    path,
    warnings,
    failed,
    log,
    lines: (name = path) =>
      Deno.readTextFileSync(name).trimEnd().split("\n").map((line) => JSON.parse(line).session),
    [Symbol.dispose]() {
      log[Symbol.dispose]();
      Deno.removeSync(folder, { recursive: true });
    },
  };
}

const entry = (session: string, more: Partial<AuditEntry> = {}): AuditEntry => ({
  time: "2026-11-21T14:00:00.000Z",
  call: "req",
  session,
  caller: "",
  caller_id: "",
  peer: "10.0.0.1:5",
  outcome: "OK",
  ...more,
});

Deno.test("lines are added, for the owner's eyes alone, also by the next process", () => {
  using at = setUp();
  at.log.write(entry("a"));
  at.log.write(entry("b", { addresses: Array.from({ length: 500 }, (_, i) => `10.0.0.1:${i}`) }));
  using next = new AuditLog(at.path, { warn: () => {} });
  next.write(entry("c", { reason: "it\nis\u2028gone" }));
  assertEquals(at.lines(), ["a", "b", "c"]);
  assertEquals((Deno.statSync(at.path).mode ?? 0) & 0o777, 0o600);
  assertEquals(
    JSON.parse(Deno.readTextFileSync(at.path).split("\n")[1] ?? "").addresses.length,
    100,
  );
});

Deno.test("a full file is put aside, and the oldest goes", () => {
  const { length } = JSON.stringify(entry("0")) + "\n";
  using at = setUp({ fileBytes: 2 * length, olderFiles: 2 });
  for (let i = 0; i < 9; i++) at.log.write(entry(String(i)));
  assertEquals(at.lines(), ["8"]);
  assertEquals(at.lines(`${at.path}.1`), ["6", "7"]);
  assertEquals(at.lines(`${at.path}.2`), ["4", "5"]);
  assertThrows(() => Deno.statSync(`${at.path}.3`), Deno.errors.NotFound);
});

Deno.test("what cannot be written is warned of once, and goes on when it can be again", () => {
  using at = setUp({ fileBytes: 1, olderFiles: 1 });
  at.log.write(entry("before"));
  // Every line goes to a new file, and the old one has nowhere to go.
  Deno.mkdirSync(`${at.path}.1/in-the-way`, { recursive: true });
  for (const name of ["a", "b", "c"]) at.log.write(entry(name));
  assertEquals([at.warnings.length, at.failed.length], [1, 3]);
  Deno.removeSync(`${at.path}.1`, { recursive: true });
  at.log.write(entry("d"));
  assertEquals([at.lines(), at.lines(`${at.path}.1`)], [["d"], ["before"]]);
  assertEquals(at.warnings.length, 1);
});
