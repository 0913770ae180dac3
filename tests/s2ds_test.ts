import { assert, assertEquals, assertMatch } from "@std/assert";
import { dial, echoes, EchoServer, readExactly, writeAll } from "./echo.ts";
import { eventually, Gateway, SCISTREAM, scistream } from "./harness.ts";

/** An s2ds that is driven by hand, as the original agent is. */
class Agent implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #in: WritableStreamDefaultWriter<Uint8Array>;
  readonly #out: ReadableStreamDefaultReader<string>;
  readonly #status: Promise<Deno.CommandStatus>;

  /** @param before shell words before the command */
  constructor(before = "exec") {
    this.#child = new Deno.Command("sh", {
      args: ["-c", `${before} "$@"`, "sh", ...SCISTREAM, "s2ds"],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#in = this.#child.stdin.getWriter();
    this.#out = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#status = this.#child.status;
  }

  /** What it prints next. */
  async read(): Promise<string> {
    return (await this.#out.read()).value ?? "";
  }

  tell(text: string): Promise<void> {
    return this.#in.write(new TextEncoder().encode(text));
  }

  /** Ends its stdin. */
  eof(): Promise<void> {
    return this.#in.close();
  }

  async ended(): Promise<{ code: number; err: string }> {
    const err = await new Response(this.#child.stderr).text();
    return { code: (await this.#status).code, err };
  }

  async [Symbol.asyncDispose]() {
    await this.#in.close().catch(() => {});
    await this.#out.cancel();
    if (!this.#child.stderr.locked) await this.#child.stderr.cancel();
    await this.#status;
  }
}

Deno.test("by hand: it prints its port, takes a target, forwards, and ends with its stdin", async () => {
  await using echo = new EchoServer();
  await using agent = new Agent();
  const port = /^(\d+)\n$/.exec(await agent.read())?.[1] as string;
  using early = await dial(`127.0.0.1:${port}`);
  await writeAll(early, new Uint8Array([1]));
  await agent.tell(`${echo.endpoint}\n`);
  assertEquals(await readExactly(early, 1), new Uint8Array([1]));
  assert(await echoes(`127.0.0.1:${port}`));
  await agent.eof();
  // Told to end, it takes no more, but what is established goes on to its own EOF.
  await eventually("new connections are refused", async () => !await echoes(`127.0.0.1:${port}`));
  await writeAll(early, new Uint8Array([2]));
  assertEquals(await readExactly(early, 1), new Uint8Array([2]));
  await early.closeWrite();
  assertEquals(await early.read(new Uint8Array(1)), null);
  assertEquals(await agent.ended(), { code: 0, err: "" });
});

Deno.test("by hand: a target in pieces, then another one", async () => {
  await using first = new EchoServer();
  using second = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using agent = new Agent();
  const port = (await agent.read()).trim();
  for (const letter of `${first.endpoint}\r\n`) await agent.tell(letter);
  assert(await echoes(`127.0.0.1:${port}`));
  await agent.tell(`127.0.0.1:${second.addr.port}\n`);
  const accepting = second.accept();
  await eventually("connections go to the second target", async () => {
    (await dial(`127.0.0.1:${port}`)).close();
    return await Promise.race([
      accepting,
      new Promise<undefined>((r) => setTimeout(() => r(undefined), 20)),
    ]);
  });
  (await accepting).close();
  await agent.eof();
});

for (const bad of ["nonsense\n", "1.2.3.4\n", "1.2.3.4:0\n", "x".repeat(1000)]) {
  Deno.test(`by hand: a target ${JSON.stringify(bad.slice(0, 12))} is refused with one line`, async () => {
    await using agent = new Agent();
    await agent.read();
    await agent.tell(bad);
    const { code, err } = await agent.ended();
    assertEquals(code, 2);
    assertMatch(err, /^error: \[BAD_FORMAT\] .*target[^\n]*\n$/);
  });
}

Deno.test("with 64 file descriptors: what does not fit is refused, and there is room again afterwards", async () => {
  await using echo = new EchoServer();
  await using agent = new Agent("ulimit -n 64; exec");
  const address = `127.0.0.1:${(await agent.read()).trim()}`;
  await agent.tell(`${echo.endpoint}\n`);
  for (const _round of [1, 2, 3]) {
    const conns = await Promise.all(
      Array.from({ length: 60 }, () => dial(address).catch(() => undefined)),
    );
    const served = await Promise.all(conns.map(async (conn) => {
      try {
        await writeAll(conn as Deno.Conn, new Uint8Array([1]));
        return (await readExactly(conn as Deno.Conn, 1))[0] === 1;
      } catch {
        return false;
      }
    }));
    const count = served.filter(Boolean).length;
    assert(count >= 5 && count < 60, `${count} of 60 were served`);
    for (const conn of conns) conn?.close();
    await eventually("it serves again", () => echoes(address));
  }
  await agent.eof();
  assertEquals((await agent.ended()).code, 0);
});

Deno.test("a data server whose control server is gone ends once it holds no session", async () => {
  await using gateway = await Gateway.start("--wan=plain");
  const [pid] = gateway.dataServers();
  assert(pid);
  await gateway.process.stop("SIGKILL");
  await eventually("it has ended", () => gateway.dataServers().length === 0);
});

Deno.test("an s2ds that cannot have its socket says so", async () => {
  const ended = await scistream(["s2ds", "--control-socket", "/nonexistent/s2ds.sock"]);
  assertEquals(ended.code, 1);
  assertMatch(ended.out, /No such file or directory/);
});
