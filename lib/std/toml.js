// The real @std/toml; npm's copy of it has no types.
// @ts-self-types="./toml.d.ts"
export { parse } from "npm:deno-std@1.4.0/toml/mod.js";
