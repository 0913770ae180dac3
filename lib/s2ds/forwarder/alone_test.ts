import { assertEquals, assertRejects } from "@std/assert";
import { serveAlone } from "./alone.ts";
import { connect, free } from "./test_conns.ts";

/** A session whose log does as `second` says from its second text on. */
function start(second: () => Promise<void>) {
  const at = free();
  const stop = new AbortController();
  const listening = Promise.withResolvers<void>();
  const tried = Promise.withResolvers<void>();
  let texts = 0;
  const served = serveAlone({
    session: { role: "CONS", listeners: [at.toString()], allow: [], rate: 0, udp: false },
    write: (text) => {
      if (++texts > 1) return Promise.resolve(tried.resolve()).then(second);
      assertEquals(text, "listening\n");
      return Promise.resolve(listening.resolve());
    },
    signal: stop.signal,
    forced: new AbortController().signal,
  });
  // Turned away, while or after it connects.
  const knock = () =>
    assertRejects(async () => {
      using conn = await connect(at);
      await conn.read(new Uint8Array(1));
    }, Deno.errors.ConnectionReset);
  return { served, stop, listening: listening.promise, tried: tried.promise, knock };
}

for (
  const [what, second] of [
    ["nobody reads", () => Promise.reject(new Deno.errors.BrokenPipe("nobody"))],
    ["takes nothing", () => new Promise<void>(() => {})],
  ] as const
) {
  Deno.test(`alone: a log that ${what} keeps it neither from serving nor from ending`, async () => {
    const { served, stop, listening, tried, knock } = start(second);
    await listening;
    await knock();
    await tried;
    await knock();
    stop.abort();
    await served;
  });
}
