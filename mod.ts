/**
 * SciStream: memory-to-memory streaming of scientific data between institutions.
 * @module
 */
export * from "./lib/protocol/errors.ts";
export * from "./lib/protocol/uid.ts";
export * from "./lib/protocol/endpoint.ts";
export * from "./lib/protocol/values.ts";
