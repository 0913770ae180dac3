/**
 * A state folder without room: what is new is refused with one sentence, what is to end ends, and what
 * streams goes on.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { Uid } from "../lib/protocol/uid.ts";
import { echoes, EchoServer, nameAt, NamedServer } from "./echo.ts";
import { Disk, Flow, said, soon } from "./faults.ts";
import { gatewayOn, hello, newUid, req, start, status, update } from "./faults_calls.ts";
import { eventually, type Gateway, leftOutIf } from "./harness.ts";
import { call, refusal, session } from "./oauth/gateway.ts";

const { ignore, because } = leftOutIf(await Disk.unavailable());
const TYPES = ["S2DS", "HaproxySubprocess"];
const list = async (gateway: Gateway) =>
  (await call(gateway, undefined, "list")).sessions.map(({ session }) => session).sort();
const idOf = (...uids: string[]) => uids.map((uid) => Uid.parse(uid).session).sort();

/** Has so much to be told that the last block of the audit log is full as well, and then more. */
async function fillAudit(gateway: Gateway): Promise<void> {
  const warnings = () => said(gateway, /cannot write .*audit.*No space left/).length;
  const refused = () => refusal(call(gateway, undefined, "status", { uid: newUid() }));
  await eventually("it is told", async () => {
    await refused();
    return warnings() > 0;
  });
  for (const _again of [1, 2, 3]) await refused();
  assertEquals(warnings(), 1, "it is told once");
}

for (const type of TYPES) {
  Deno.test({
    name:
      `${type}, a full disk: what is new is refused, what is to end ends, streams go on${because}`,
    ignore,
    async fn() {
      await using echo = new EchoServer();
      await using other = new NamedServer("other");
      await using disk = await Disk.inMemory();
      const { gateway, flags, again } = await gatewayOn(disk, type);
      await using _ = gateway;
      const app = String(echo.endpoint);
      const [kept, over, waits, refused] = [newUid(), newUid(), newUid(), newUid()];
      const at = await session(gateway, undefined, kept, { app });
      const gone = await session(gateway, undefined, over, { app });
      const pending = req(gateway, waits);
      await gateway.process.line(/(reserved → waiting[^]*){3}/, "err");
      await using flow = await Flow.open(at);
      disk.fill();
      const full = new RegExp(`^NO_RESOURCE 8 .*${disk.path}.*full.*make room`);

      // What is new is refused, and holds nothing.
      assertMatch(await refusal(req(gateway, refused)), full);
      assertEquals(await list(gateway), idOf(kept, over, waits));
      assertMatch(await refusal(req(gateway, refused)), full);
      // Targets, rates and applications stay what they were.
      assertMatch(await refusal(update(gateway, kept, other.endpoint)), full);
      const faster = call(gateway, undefined, "update", { uid: kept, role: "PROD", rate: 7 });
      assertMatch(await refusal(faster), full);
      assertMatch(await refusal(hello(gateway, waits, echo.endpoint)), full);
      const { state, rate, channels } = await status(gateway, kept);
      assertEquals([state, rate, channels[0]?.target], ["streaming", 0, app]);
      assert(await echoes(at), "new connections lead where they led");
      // What is to end ends.
      await call(gateway, undefined, "release", { uid: over });
      assertEquals(await list(gateway), idOf(kept, waits));
      assert(!await echoes(gone));
      await flow.moves();
      // Neither does its control server's end, and the next one says why it cannot begin.
      await gateway.process.stop("SIGKILL");
      await pending.catch(() => {});
      // What was released has made some room.
      disk.fill();
      const ended = await start(gateway, flags);
      assertEquals([ended.code, ended.out], [1, ""], ended.err);
      const errors = ended.err.split("\n").filter((line) => /error/i.test(line));
      assertEquals(errors.length, 1, ended.err);
      assertMatch(errors[0] as string, /^error: \[NO_RESOURCE\] .*full.*make room/);
      await flow.moves();
      assert(await echoes(at));

      disk.free();
      await again();
      const { state: taken } = await status(gateway, kept);
      assertEquals(taken, "streaming");
      await flow.finish();
      await call(gateway, undefined, "release", { uid: kept });
    },
  });

  Deno.test({
    name: `${type}, a full disk that has room again: everything works without a restart${because}`,
    ignore,
    async fn() {
      await using echo = new EchoServer();
      await using other = new NamedServer("other");
      await using disk = await Disk.inMemory();
      const { gateway, again } = await gatewayOn(disk, type);
      await using _ = gateway;
      const app = String(echo.endpoint);
      const [kept, over, waits] = [newUid(), newUid(), newUid()];
      const at = await session(gateway, undefined, kept, { app });
      await session(gateway, undefined, over, { app });
      const pending = req(gateway, waits);
      await gateway.process.line(/(reserved → waiting[^]*){3}/, "err");
      await using flow = await Flow.open(at);
      disk.fill();
      for (const _ of [1, 2, 3]) await refusal(req(gateway, newUid()));
      await refusal(hello(gateway, waits, echo.endpoint));
      await call(gateway, undefined, "release", { uid: over });
      disk.fill();
      await fillAudit(gateway);

      disk.free();
      await hello(gateway, waits, echo.endpoint);
      assertEquals((await soon("its req is answered", pending)).listeners.length, 1);
      await update(gateway, waits, echo.endpoint);
      await update(gateway, kept, other.endpoint);
      assertEquals(await nameAt(at), "other");
      // All that was refused or released has given its ports back: four, less the two that are held.
      const pair = newUid();
      const both = req(gateway, pair, 2);
      await hello(gateway, pair, echo.endpoint);
      assertEquals((await soon("it has its ports", both)).listeners.length, 2);
      await update(gateway, pair, echo.endpoint);
      const audit = [...Deno.readDirSync(disk.path)].find(({ name }) => /^audit/.test(name))?.name;
      const lines = Deno.readTextFileSync(`${disk.path}/${audit}`).trimEnd().split("\n");
      assert(lines.map((line) => JSON.parse(line)).at(-1).outcome === "OK", "whole lines again");
      await flow.moves();
      // What was released without room to write it down stays released.
      await gateway.process.stop("SIGKILL");
      await again();
      assertEquals(await list(gateway), idOf(kept, waits, pair));
      await flow.finish();
      for (const uid of [kept, waits, pair]) await call(gateway, undefined, "release", { uid });
      assertEquals((await gateway.process.stop()).code, 0);
      assertEquals([...Deno.readDirSync(disk.path)].map(({ name }) => name), [audit]);
    },
  });
}

Deno.test({
  name: `a full disk, expiry and a client that goes away: nothing is held afterwards${because}`,
  ignore,
  async fn() {
    await using disk = await Disk.inMemory();
    const { gateway, flags } = await gatewayOn(disk, "S2DS");
    await using _ = gateway;
    await gateway.process.stop();
    await gateway.launch(0, ...flags, "--hello-timeout=2");
    const pending = refusal(req(gateway, newUid(), 4));
    await gateway.process.line(/→ waiting/, "err");
    disk.fill();
    assertMatch(await soon("it expires", pending), /^TIMEOUT 4 no hello/);
    await eventually("nothing is held", async () => (await list(gateway)).length === 0);
    disk.free();
    const uid = newUid();
    const all = req(gateway, uid, 4);
    await hello(gateway, uid, new Endpoint("127.0.0.1", 9));
    assertEquals((await soon("all ports are free", all)).listeners.length, 4);
  },
});

Deno.test({
  name:
    `a full disk at the start, and no session to take up: one sentence, and exit code 1${because}`,
  ignore,
  async fn() {
    await using disk = await Disk.inMemory();
    const { gateway, flags, again } = await gatewayOn(disk, "Mock");
    await using _ = gateway;
    await gateway.process.stop("SIGKILL");
    disk.fill();
    const { code, out, err } = await start(gateway, flags);
    assertEquals([code, out], [1, ""], err);
    assertMatch(err, /^error: \[NO_RESOURCE\] cannot write .*full.*make room[^\n]*\n$/m);
    disk.free();
    await again();
    assertEquals(await list(gateway), []);
  },
});
