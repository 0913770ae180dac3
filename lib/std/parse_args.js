// The real @std/cli/parse-args; npm's copy of it has no types.
// @ts-self-types="./parse_args.d.ts"
export { parseArgs } from "npm:deno-std@1.4.0/cli/parse_args.js";
