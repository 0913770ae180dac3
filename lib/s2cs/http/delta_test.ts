import { assertEquals } from "@std/assert";
import { Delta } from "./delta.ts";

Deno.test("a reader is told what changed, and no more", () => {
  const delta = new Delta(new Map([["a", { n: 1, list: [1] }], ["b", { n: 2, list: [] }]]));
  assertEquals(delta.next(new Map([["a", { n: 1, list: [1] }], ["b", { n: 3, list: [] }]])), {
    rows: { b: { n: 3 } },
    gone: [],
  });
  assertEquals(delta.next(new Map([["a", { n: 1, list: [1, 2] }], ["c", { n: 0, list: [] }]])), {
    rows: { a: { list: [1, 2] }, c: { n: 0, list: [] } },
    gone: ["b"],
  });
});
