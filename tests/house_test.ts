import { assert, assertEquals } from "@std/assert";
import s2uc from "../cmd/s2uc/group.ts";
import { readConfig } from "../lib/cli/config.ts";
import { PINNED_DENO } from "../lib/version.ts";
import { messagesOf } from "../scripts/gen_messages.ts";
import { assertOk, type Ended, run } from "./harness.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const read = (path: string) => Deno.readTextFileSync(ROOT + path);
const deno = (...args: string[]): Promise<Ended> =>
  run([Deno.execPath(), ...args], { cwd: ROOT, env: { NO_COLOR: "1" } });

Deno.test("deno fmt", async () => void assertOk(await deno("fmt", "--check")));
Deno.test("deno lint", async () => void assertOk(await deno("lint")));
Deno.test("deno doc --lint mod.ts", async () =>
  void assertOk(await deno("doc", "--lint", "mod.ts")));
Deno.test("deno check, everything", async () => {
  assertOk(await deno("check", "mod.ts", "cmd", "lib", "scripts", "tests"));
});

Deno.test("proto/messages.ts is what scistream.proto says", () => {
  const bare = (text: string) => text.replaceAll(/[\s,;]+/g, "");
  assertEquals(bare(read("proto/messages.ts")), bare(messagesOf(read("proto/scistream.proto"))));
});

Deno.test("one pinned Deno everywhere", () => {
  for (const path of ["README.md", "docs/getting-started.md", ".ci/run"]) {
    const named = [...read(path).matchAll(/deno@([0-9.]+)/g)].map((match) => match[1]);
    assert(named.length > 0, path);
    assertEquals(new Set(named), new Set([PINNED_DENO]), path);
  }
  assertEquals(Deno.version.deno, PINNED_DENO);
});

Deno.test("the user guide's configuration file is one", () => {
  const [, toml] = /```toml\n([\s\S]*?)```/.exec(read("docs/user-guide.md")) ?? [];
  const shape = Object.fromEntries(s2uc.commands.map((each) => [each.name, each.flags]));
  const texts = readConfig("s2uc.toml", toml as string, shape, "prod-req").file;
  assertEquals(texts, { serverCert: "gateway.crt", s2cs: "192.168.10.11:5007", numConn: "3" });
});

Deno.test("no path of one machine and no registry's host is in the project", async () => {
  const files = assertOk(await run(["git", "ls-files"], { cwd: ROOT })).out.trim().split("\n");
  assert(files.length > 80);
  const here = ROOT.replace(/\/$/, "");
  for (const file of files) {
    const text = read(file);
    assertEquals(text.includes(`${here}/`), false, file);
    if (file !== "tests/house_test.ts") {
      assertEquals(/registry\.npmjs|\/root\//.test(text), false, file);
    }
  }
});
