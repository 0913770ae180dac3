// Every data server type, with the real proxies: a connection on which nothing is said goes on. It is a
// file of its own because it waits: scripts/run_tests.ts runs it beside others.
import { assertEquals } from "@std/assert";
import { TYPE_NAMES } from "../lib/s2ds/types.ts";
import { dial, EchoServer, roundTrip } from "./echo.ts";
import { Engine, whyNoEngine } from "./engine.ts";
import { leftOutIf } from "./harness.ts";
import { Pair } from "./pair.ts";

// Janus' is the HAProxy that is here already.
const TYPES = TYPE_NAMES.filter((type) => type !== "Mock" && type !== "Janus");
const { ignore, because } = leftOutIf(whyNoEngine());

Deno.test({
  name: `every type: a connection that idles 90 s goes on${because}`,
  ignore,
  async fn() {
    await using engine = await Engine.start();
    await engine.images();
    await using echo = new EchoServer();
    await using stack = new AsyncDisposableStack();
    const flags = ["--drain-timeout=20", `--docker-socket=${engine.socket}`];
    const pairs = await Promise.all(
      TYPES.map(async (type) => stack.use(await Pair.start(type, ...flags))),
    );
    const streams = await Promise.all(pairs.map((pair) => pair.connect(echo.endpoint)));
    const conns = await Promise.all(streams.map(({ cons }) => dial(cons[0] as string)));
    for (const conn of conns) await roundTrip(stack.use(conn), "before");
    // Time is what this is about: the reference cuts after 50 s.
    await new Promise((resolve) => setTimeout(resolve, 90_000));
    for (const [i, conn] of conns.entries()) {
      await roundTrip(conn, "after").catch((error) => {
        throw new Error(`${TYPES[i]}: ${error.message}`);
      });
    }
    assertEquals(conns.length, TYPES.length);
  },
});
