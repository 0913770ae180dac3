import { assertEquals, assertThrows } from "@std/assert";
import { ScistreamError } from "../protocol/errors.ts";
import { PortRange } from "../protocol/values.ts";
import { PortPool } from "./ports.ts";

Deno.test("ports are given lowest first, come back, and never twice", () => {
  const pool = new PortPool(PortRange.parse("5100-5104"));
  assertEquals(pool.take(2), [5100, 5101]);
  assertEquals(pool.take(2), [5102, 5103]);
  pool.give([5101]);
  assertEquals(pool.take(2), [5101, 5104]);
  assertEquals(pool.free, 0);
});

Deno.test("what cannot be had whole takes nothing and says why", () => {
  const pool = new PortPool(PortRange.parse("5100-5104"));
  const error = assertThrows(
    () => pool.take(4, new Set([5100, 5102])),
    ScistreamError,
    "2 of them used by other programs",
  );
  assertEquals(error.code, "NO_RESOURCE");
  assertEquals(pool.take(5), [5100, 5101, 5102, 5103, 5104]);
});

Deno.test("the lowest are given whatever came back, was left out, or lies outside of the range", () => {
  const pool = new PortPool(PortRange.parse("5100-5104"));
  pool.hold([5099, 5101, 5105]);
  assertEquals(pool.take(1, new Set([5100])), [5102]);
  assertEquals(pool.take(2), [5100, 5103]);
  pool.give([5102, 5099]);
  assertEquals(pool.take(2), [5102, 5104]);
  assertThrows(() => pool.take(1), ScistreamError, "0 of 5100-5104 are free");
  pool.give([5103]);
  pool.give([5100, 5105]);
  assertEquals(pool.take(2), [5100, 5103]);
  assertEquals([pool.used, pool.free], [5, 0]);
});
