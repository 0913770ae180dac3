// The real @std/assert; npm's copy of it has no types.
// @ts-self-types="./assert.d.ts"
export {
  assert,
  assertEquals,
  assertExists,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "npm:deno-std@1.4.0/assert/mod.js";
