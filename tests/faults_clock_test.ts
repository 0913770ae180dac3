/**
 * Clocks that are set while sessions wait and stream: only what is of wall-clock time changes.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { echoes, EchoServer } from "./echo.ts";
import { Clock, Flow, soon } from "./faults.ts";
import { hello, newUid, req, status } from "./faults_calls.ts";
import {
  assertOk,
  eventually,
  freePort,
  Gateway,
  leftOutIf,
  Running,
  SCISTREAM,
  scistream,
} from "./harness.ts";
import { call, refusal, session } from "./oauth/gateway.ts";

const HOUR = 3600;
const { ignore, because } = leftOutIf(Clock.library ? undefined : "not installed: faketime");

/** A control server with this clock. */
async function withClock(clock: Clock, ...flags: string[]): Promise<Gateway> {
  const gateway = await Gateway.prepare();
  gateway.env = clock.env;
  await gateway.launch(0, "--wan=plain", "--workers=1", ...flags);
  return gateway;
}

for (const [where, seconds] of [["ahead", HOUR], ["back", -HOUR]] as const) {
  Deno.test({
    name:
      `s2cs's clock is set an hour ${where}: nothing expires early or never, streams go on${because}`,
    ignore,
    async fn() {
      await using echo = new EchoServer();
      using clock = new Clock();
      await using patient = await withClock(clock);
      await using hasty = await withClock(clock, "--hello-timeout=2");
      const app = String(echo.endpoint);
      const [streams, waits, late] = [newUid(), newUid(), newUid()];
      const at = await session(patient, undefined, streams, { app });
      const pending = req(patient, waits);
      const hopeless = refusal(req(hasty, newUid()));
      await patient.process.line(/(reserved → waiting[^]*){2}/, "err");
      await hasty.process.line(/reserved → waiting/, "err");
      await using flow = await Flow.open(at);
      const before = (await status(patient, streams)).created_ms;

      clock.jump(seconds);
      assertEquals((await status(patient, waits)).state, "waiting");
      assertMatch(await soon("it expires", hopeless), /^TIMEOUT 4 no hello arrived within 2 s/);
      await soon("it has its hello", hello(patient, waits, echo.endpoint));
      await soon("its req is answered", pending);
      assertEquals((await status(patient, waits)).state, "ready");
      await session(patient, undefined, late, { app });
      const made = (await status(patient, late)).created_ms;
      // That its clock was set, and no other.
      const off = made - Date.now() - seconds * 1000;
      assert(Math.abs(off) < HOUR * 1000 / 4, `created ${off} ms off its control server's clock`);
      assertEquals((await status(patient, streams)).created_ms, before);
      const list = assertOk(await scistream(["s2uc", "list", ...patient.flags])).out;
      assert(!/-\d+(s|m|h)\b/.test(list), list);
      await flow.moves();
      await call(patient, undefined, "release", { uid: late });

      clock.jump(0);
      await flow.moves();
      await flow.finish();
      await call(patient, undefined, "release", { uid: streams });
      assertEquals((await status(patient, waits)).state, "ready");
    },
  });
}

/** A control server whose data server has this clock. */
async function withClockBelow(
  clock: Clock,
  ...flags: string[]
): Promise<AsyncDisposable & { gateway: Gateway }> {
  const gateway = await Gateway.prepare();
  const port = freePort();
  const folder = `${gateway.stateDir}/gateway-127.0.0.1-${port}`;
  // One that has never run asks whatever is there for sessions, and what holds none then ends.
  await gateway.launch(port, "--workers=1", ...flags);
  await gateway.process.stop("SIGKILL");
  await eventually("its data server is gone", () => gateway.dataServers().length === 0);
  // Its own would have a clean environment; it takes over the one that it finds.
  const s2ds = new Running(
    [...SCISTREAM, "s2ds", `--control-socket=${folder}/s2ds-0.sock`],
    { env: clock.env },
  );
  await s2ds.line(/^ready/);
  await gateway.launch(port, "--workers=1", ...flags);
  await gateway.process.line(/took over the running data server/, "err");
  return {
    gateway,
    [Symbol.asyncDispose]: async () => {
      // Whatever a failed test left draining.
      await s2ds.stop("SIGKILL");
      await gateway.process.stop("SIGKILL");
      await gateway[Symbol.asyncDispose]();
    },
  };
}

/** A consumer's session to the producer's listener. */
async function consumer(gateway: Gateway, uid: string, to: string): Promise<string> {
  const [{ listeners }] = await Promise.all([
    call(gateway, undefined, "req", { uid, role: "CONS", num_conn: 1 }),
    call(gateway, undefined, "hello", { uid, role: "CONS", prod_listeners: [] }),
  ]);
  await call(gateway, undefined, "update", { uid, role: "CONS", remote_listeners: [to] });
  return listeners[0] as string;
}

Deno.test({
  name:
    `a gateway's data server whose clock is set: streams go on, and new ones are proven${because}`,
  ignore,
  async fn() {
    await using echo = new EchoServer();
    using clock = new Clock();
    await using prod = await Gateway.start();
    await using cons = await withClockBelow(clock, "--drain-timeout=600");
    const uid = newUid();
    const app = String(echo.endpoint);
    const at = await consumer(cons.gateway, uid, await session(prod, undefined, uid, { app }));
    await using flow = await Flow.open(at);
    for (const seconds of [HOUR, 0, -HOUR, 0]) {
      clock.jump(seconds);
      await flow.moves();
      assert(await echoes(at), `a new connection, the clock ${seconds} s off`);
    }
    // A clock that was wrong when a session began is set right: its gateway is proven from then on.
    clock.jump(2 * HOUR);
    const other = newUid();
    const there = await session(prod, undefined, other, { app });
    const wrong = await consumer(cons.gateway, other, there);
    assert(!await echoes(wrong), "two hours are more than is allowed for");
    clock.jump(0);
    assert(await echoes(wrong), "the clock is right again");
    // A drain is hurried whatever the clock says.
    const draining = call(cons.gateway, undefined, "release", { uid });
    draining.catch(() => {});
    await cons.gateway.process.line(/streaming → draining/, "err");
    await eventually("nobody is let in any more", async () => !await echoes(at));
    clock.jump(HOUR);
    await soon("it is hurried", call(cons.gateway, undefined, "release", { uid, force: true }));
    await soon("the release that drained", draining);
    await flow.isCut();
  },
});
