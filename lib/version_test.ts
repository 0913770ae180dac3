import { assertEquals } from "@std/assert";
import { PINNED_DENO, runtimeFault } from "./version.ts";

Deno.test("known-bad runtimes are told by their version, with the one to use", () => {
  for (const bad of ["2.7.13", "2.6.0", "1.46.3", "2.9.4", "2.9.5", "2.9.6"]) {
    assertEquals(runtimeFault(bad)?.includes(PINNED_DENO), true, bad);
  }
  for (const good of ["2.7.14", "2.8.3", "2.9.3", "2.9.7", "2.10.0", "3.0.0", "2.9.7+abc"]) {
    assertEquals(runtimeFault(good), undefined, good);
  }
});
