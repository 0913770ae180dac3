import { assert, assertEquals } from "@std/assert";
import { check, readSources } from "./guard.ts";

const one = (path: string, text: string) => check([{ path, text }]);

Deno.test("the guard finds every kind of arrow that goes the wrong way", () => {
  const wrong: [string, string][] = [
    ["lib/x.ts", 'import { a } from "../cmd/s2cs.ts";'],
    ["lib/x.ts", 'const a = await import("../cmd/s2cs.ts");'],
    ["lib/x.ts", 'export * from "../tests/harness.ts";'],
    ["lib/x.ts", 'import "../scripts/demo.ts";'],
    ["lib/x.ts", 'import {\n  a,\n  b,\n} from "../cmd/s2cs.ts";'],
    ["lib/x.ts", "const a = Deno.args[0];"],
    ["lib/x.ts", "Deno.exit(1);"],
    ["lib/s2ds/x.ts", "console.log(1);"],
    ["lib/protocol/x.ts", 'import { a } from "../s2cs/gateway.ts";'],
    ["lib/protocol/x.ts", 'import { a } from "../cli/flags.ts";'],
    ["lib/s2ds/x.ts", 'import { a } from "../s2cs/session.ts";'],
    ["lib/s2ds/x.ts", 'import * as grpc from "@grpc/grpc-js";'],
    ["lib/s2ds/forwarder/x.ts", 'import { a } from "../../s2cs/session.ts";'],
    ["lib/s2cs/x.ts", 'import { a } from "../cli/flags.ts";'],
    ["cmd/s2cs.ts", 'import { a } from "./s2ds.ts";'],
    ["cmd/s2uc/list.ts", 'import { a } from "./release.ts";'],
    ["proto/x.ts", 'import { a } from "../lib/log.ts";'],
    ["mod.ts", 'export * from "./cmd/s2cs.ts";'],
  ];
  for (const [path, text] of wrong) assertEquals(one(path, text).length, 1, `${path}: ${text}`);
});

Deno.test("the guard lets the right ones pass, and is not fooled by comments", () => {
  const right: [string, string][] = [
    ["cmd/s2cs.ts", 'import { a } from "../lib/log.ts";\nconsole.log(Deno.args);'],
    ["cmd/scistream.ts", 'import("./s2cs.ts")'],
    ["cmd/s2uc/group.ts", 'import a from "./list.ts";'],
    ["lib/s2ds/x.ts", 'import { a } from "../protocol/errors.ts";\nimport net from "node:net";'],
    ["lib/x.ts", '// import { a } from "../cmd/s2cs.ts";\n/* Deno.exit(1) */'],
    ["lib/x_test.ts", 'import { a } from "../cmd/s2cs.ts";'],
  ];
  for (const [path, text] of right) assertEquals(one(path, text), []);
});

Deno.test("the project's own arrows go one way", () => {
  const sources = readSources(new URL("..", import.meta.url));
  assert(sources.length > 50, "the sources were found");
  assertEquals(check(sources), []);
});
