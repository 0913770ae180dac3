import { assert, assertEquals, assertMatch } from "@std/assert";
import type { ChannelRecord } from "../scripts/demo/application.ts";
import { compare } from "../scripts/demo/compare.ts";
import type { Summary } from "../scripts/demo/report.ts";
import { assertOk, type Ended, eventually, processes, Running, tempFolder } from "./harness.ts";

const CONFIG = new URL("../deno.json", import.meta.url).pathname;
const FRAME = 2048 * 2048 * 2;

/** `deno task demo` with a folder for temporary files of its own, which must be empty afterwards. */
class Demo implements Disposable {
  readonly #temp = tempFolder();
  readonly #files = tempFolder();

  start(...flags: string[]): Running {
    return new Running(
      [Deno.execPath(), "task", "--quiet", "--config", CONFIG, "demo", ...flags],
      // Names of files are meant where the user is, not in the project's folder. Deno tells the task
      // with INIT_CWD, unless an outer task has set it already.
      { cwd: this.#files.path, env: { TMPDIR: this.#temp.path, INIT_CWD: this.#files.path } },
    );
  }

  run(...flags: string[]): Promise<Ended> {
    return this.start(...flags).ended;
  }

  /** Its output goes into pipes whose other ends are closed. */
  spawnUnread(...flags: string[]): Deno.ChildProcess {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["task", "--quiet", "--config", CONFIG, "demo", ...flags],
      env: { TMPDIR: this.#temp.path },
      stdout: "null",
      stderr: "piped",
    }).spawn();
    child.stderr.cancel();
    return child;
  }

  file(name: string, size: number): string {
    const bytes = Uint8Array.from({ length: size }, (_, i) => i * 31 + (i >> 8));
    Deno.writeFileSync(`${this.#files.path}/${name}`, bytes);
    return name;
  }

  assertNothingLeft(): void {
    assertEquals([...Deno.readDirSync(this.#temp.path)], []);
    assertEquals(processes().filter(({ args }) => this.owns(args)), []);
  }

  /** Whether this is the command line of a process that the demo started. */
  owns(args: string): boolean {
    return args.includes(this.#temp.path);
  }

  [Symbol.dispose](): void {
    this.#temp[Symbol.dispose]();
    this.#files[Symbol.dispose]();
  }
}

function summary(ended: Ended): Summary {
  assertEquals(ended.out.trimEnd().split("\n").length, 1, ended.out);
  return JSON.parse(ended.out);
}

Deno.test("demo streams frames through two gateways, verifies each and leaves nothing", async () => {
  using demo = new Demo();
  const { out, err } = assertOk(await demo.run("--seconds", "1.2"));
  assertMatch(err, /1\.\d s {2}\d+\.\d\d Gbit\/s {2}\d+ frames {2}/);
  for (const step of ["control servers up", "req \\+ hello", "update", "release"]) {
    assertMatch(out, new RegExp(`^  ${step}.* \\d+ ms$`, "m"));
  }
  assertEquals(out.match(/^ {2}127\.0\.0\.1:\d+ +---> .* ---> \d+ frames, /gm)?.length, 4, out);
  const [, verified, sent] = /verified {3}(\d+) of (\d+) frames/.exec(out) ?? [];
  assert(Number(verified) > 0 && verified === sent, out);
  assertMatch(out, /left {7}nothing: \d+ processes gone, 14 listeners closed, \S+ removed/);
  demo.assertNothingLeft();
});

Deno.test("demo --dashboard: both gateways' pages show the session while it streams", async () => {
  using demo = new Demo();
  const running = demo.start("--dashboard", "--seconds", "3");
  const pages = await Promise.all(["producer", "consumer"].map(async (side) => {
    const [, url = ""] = await running.line(
      new RegExp(`^dashboard {2}(http://\\S+) of the ${side}'s gateway$`, "m"),
      "err",
    );
    return url;
  }));
  await running.line(/ Gbit\/s /, "err");
  await eventually("both pages show it", async () => {
    const texts = await Promise.all(pages.map(async (url) => (await fetch(url)).text()));
    return texts.every((text) => /\bstreaming\b/.test(text));
  });
  const { out } = assertOk(await running.ended);
  assertMatch(out, /16 listeners closed/);
  demo.assertNothingLeft();
});

Deno.test("demo --file streams a file, whatever its size", async (t) => {
  const sizes = { small: 5, odd: 5 * FRAME + 4_321, whole: 4 * FRAME };
  for (const [name, size] of Object.entries(sizes)) {
    await t.step(name, async () => {
      using demo = new Demo();
      const told = summary(assertOk(await demo.run("--json", "--file", demo.file(name, size))));
      const frames = Math.ceil(size / FRAME);
      assertEquals(
        [told.ok, told.bytes, told.verified_bytes, told.frames, told.verified_frames],
        [true, size, size, frames, frames],
      );
      assertEquals(told.gateway_bytes, { producer: size, consumer: size });
      demo.assertNothingLeft();
    });
  }
});

Deno.test("demo fails when a byte is altered on its way, and leaves nothing", async (t) => {
  await t.step("in a frame", async () => {
    using demo = new Demo();
    const ended = await demo.run("--corrupt", "--seconds", "0.5");
    assertEquals(ended.code, 1, ended.out + ended.err);
    assertMatch(ended.err, /^FAILED {5}channel 0: 1 of \d+ frames arrived altered, .* number 0 /m);
    demo.assertNothingLeft();
  });
  await t.step("in a file", async () => {
    using demo = new Demo();
    const ended = await demo.run("--corrupt", "--json", "--file", demo.file("tiny", 1));
    assertEquals(ended.code, 1, ended.out + ended.err);
    const told = summary(ended);
    assertEquals([told.ok, told.verified_frames, told.verified_bytes], [false, 0, 0]);
    assertEquals(told.problems.length, 1);
    demo.assertNothingLeft();
  });
});

Deno.test("demo leaves nothing when it is interrupted", async (t) => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    await t.step(`by ${signal} while it streams`, async () => {
      using demo = new Demo();
      const running = demo.start("--seconds", "600");
      await running.line(/Gbit\/s/, "err");
      const { code, err } = await running.stop(signal);
      assertEquals(code, 130, err);
      assertMatch(err, new RegExp(`interrupted by ${signal}`));
      demo.assertNothingLeft();
    });
  }
  await t.step("by SIGINT while it starts", async () => {
    using demo = new Demo();
    const running = demo.start("--seconds", "600");
    await eventually("a control server", () => processes().some(({ args }) => demo.owns(args)));
    const { code, err } = await running.stop("SIGINT");
    assertEquals(code, 130, err);
    demo.assertNothingLeft();
  });
});

Deno.test("demo fails and leaves nothing when a process of it dies", async (t) => {
  for (const [word, what] of [["s2cs", "control server"], ["s2ds", "data server"]]) {
    await t.step(`a ${what}`, async () => {
      using demo = new Demo();
      const running = demo.start("--seconds", "600");
      await running.line(/Gbit\/s/, "err");
      const found = processes().filter(({ args }) => demo.owns(args) && args.includes(` ${word} `));
      assert(found.length > 0, `no ${what} is running`);
      for (const { pid } of found) Deno.kill(pid, "SIGKILL");
      const { code, err } = await running.ended;
      assertEquals(code, 1, err);
      assertMatch(err, /^FAILED /m);
      demo.assertNothingLeft();
    });
  }
});

Deno.test("demo goes on when nobody reads what it says, and leaves nothing", async () => {
  using demo = new Demo();
  const child = demo.spawnUnread("--seconds", "2.5");
  assertEquals((await child.status).code, 0);
  demo.assertNothingLeft();
});

Deno.test("demo's comparison finds what is altered, missing, too many or cut short", () => {
  const channel = (digests: string[], bytes = digests.length * 10) => ({ digests, bytes });
  const problems = (sent: ChannelRecord, received: ChannelRecord) => {
    const found: string[] = [];
    return { ...compare([sent], [received], found), found: found.length };
  };
  const sent = channel(["a", "b", "c"]);
  const none = { verified_bytes: 0, found: 1 };
  assertEquals(problems(sent, sent), { verified_frames: 3, verified_bytes: 30, found: 0 });
  assertEquals(problems(sent, channel(["a", "x", "c"])), { verified_frames: 2, ...none });
  assertEquals(problems(sent, channel(["a", "b"])), { verified_frames: 2, ...none });
  assertEquals(problems(sent, channel(["a", "b", "c", "d"])), { verified_frames: 3, ...none });
  assertEquals(problems(sent, channel(["a", "c", "b"])), { verified_frames: 1, ...none });
  assertEquals(problems(sent, channel(["a", "b", "x"], 25)).found, 2);
  assertEquals(compare([sent], [], []), { verified_frames: 0, verified_bytes: 0 });
});

Deno.test("demo refuses what it cannot do", async () => {
  using demo = new Demo();
  for (const flags of [["--file", demo.file("empty", 0)], ["--file", "none"], ["--fast"]]) {
    const { code, err } = await demo.run(...flags);
    assertEquals(code, 2, err);
    assertMatch(err, /^error: /);
  }
  demo.assertNothingLeft();
});
