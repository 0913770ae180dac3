import { assertEquals, assertThrows } from "@std/assert";
import { ERROR_CODES, isErrorCode, messageOf, quote, ScistreamError } from "./errors.ts";
import { parseNumConn, parseRate, parseRole, PortRange } from "./values.ts";
import { bareToken } from "./token.ts";

Deno.test("roles, rates and channel numbers", () => {
  assertEquals([parseRole("PROD"), parseRole("CONS")], ["PROD", "CONS"]);
  for (const bad of ["", "prod", "PROD ", "BOTH"]) {
    assertThrows(() => parseRole(bad), ScistreamError);
  }
  assertEquals([parseRate(0), parseRate(10000), parseRate(2147483647)], [0, 10000, 2147483647]);
  for (const bad of [-1, 1.5, NaN, 2147483648]) assertThrows(() => parseRate(bad), ScistreamError);
  assertEquals(parseNumConn(1), 1);
  for (const bad of [0, -5, 1.5, NaN]) assertThrows(() => parseNumConn(bad), ScistreamError);
});

Deno.test("port ranges", () => {
  assertEquals(PortRange.parse("5100-5200").size, 101);
  assertEquals(String(PortRange.parse("5100")), "5100-5100");
  for (const bad of ["", "-", "5200-5100", "0-10", "1-65536", "a-b", "1-2-3", "5100-"]) {
    assertThrows(() => PortRange.parse(bad), ScistreamError);
  }
});

Deno.test("every code has a status, and its details carry it", () => {
  for (const [code, statuses] of Object.entries(ERROR_CODES)) {
    assertEquals(isErrorCode(code), true);
    const error = new ScistreamError(code as keyof typeof ERROR_CODES, "sentence");
    assertEquals([error.status, error.details], [statuses[0], `[${code}] sentence`]);
  }
  assertEquals(isErrorCode("toString"), false);
});

Deno.test("messages are one line, quoted values short and free of control characters", () => {
  assertEquals(messageOf(new Error("a\nb")), "a");
  assertEquals(messageOf(new Error("No such file (os error 2): open 'x'")), "No such file");
  assertEquals(quote("a".repeat(100)), `"${"a".repeat(64)}…"`);
  assertEquals(quote("\u001b[31m\u2028"), '"\\u001b[31m?"');
});

Deno.test("a token comes bare or with Bearer", () => {
  for (const entry of ["abc", "Bearer abc", "bearer  abc"]) {
    assertEquals(bareToken(entry).reveal(), "abc");
  }
});
