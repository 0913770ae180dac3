/**
 * A state folder that cannot be written any more: as with one without room.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Uid } from "../lib/protocol/uid.ts";
import { echoes, EchoServer, NamedServer } from "./echo.ts";
import { Disk, Flow, said } from "./faults.ts";
import { gatewayOn, newUid, req, start, update } from "./faults_calls.ts";
import { eventually, freePort, Gateway, leftOutIf } from "./harness.ts";
import { call, refusal, session } from "./oauth/gateway.ts";

const { ignore, because } = leftOutIf(await Disk.unavailable());
const TYPES = ["S2DS", "HaproxySubprocess"];
const list = async (gateway: Gateway) =>
  (await call(gateway, undefined, "list")).sessions.map(({ session }) => session).sort();
const idOf = (...uids: string[]) => uids.map((uid) => Uid.parse(uid).session).sort();

for (const type of TYPES) {
  Deno.test({
    name: `${type}, a disk that becomes read-only: as with a full one${because}`,
    ignore,
    async fn() {
      await using echo = new EchoServer();
      await using other = new NamedServer("other");
      await using disk = await Disk.thatFails();
      const { gateway, again } = await gatewayOn(disk, type);
      await using _ = gateway;
      const app = String(echo.endpoint);
      const [kept, over, refused] = [newUid(), newUid(), newUid()];
      const at = await session(gateway, undefined, kept, { app });
      const gone = await session(gateway, undefined, over, { app });
      await using flow = await Flow.open(at);
      await disk.fail();
      const readOnly = new RegExp(
        `^NO_RESOURCE 8 cannot write ${disk.path}\\S+: Read-only file system; make room`,
      );
      assertMatch(await refusal(req(gateway, refused)), readOnly);
      assertMatch(await refusal(req(gateway, refused)), readOnly);
      assertMatch(await refusal(update(gateway, kept, other.endpoint)), readOnly);
      assert(await echoes(at));
      await call(gateway, undefined, "release", { uid: over });
      assertEquals(await list(gateway), idOf(kept));
      assert(!await echoes(gone));
      assertEquals(said(gateway, /cannot write .*audit/).length, 1);
      await flow.moves();
      await flow.finish();
      // It ends as asked, and says what it could not remove.
      const { code, err } = await gateway.process.stop();
      assertEquals(code, 0, err);
      assertMatch(err, /cannot remove .*gateway-.*[Rr]ead-only/);
      assert(!await echoes(at));
      assertEquals(gateway.dataServers(), []);

      await disk.unmount();
      await disk.mount();
      await again();
      const uid = newUid();
      assert(await echoes(await session(gateway, undefined, uid, { app })));
    },
  });
}

Deno.test({
  name:
    `a read-only disk, and s2cs is killed: streams go on, and so does who serves them${because}`,
  ignore,
  async fn() {
    await using echo = new EchoServer();
    await using disk = await Disk.thatFails();
    const { gateway, flags } = await gatewayOn(disk, "S2DS");
    await using _ = gateway;
    const at = await session(gateway, undefined, newUid(), { app: String(echo.endpoint) });
    await using flow = await Flow.open(at);
    const children = gateway.dataServers();
    await disk.fail();
    await gateway.process.stop("SIGKILL");
    // They cannot write into their logs that it is gone.
    await flow.moves();
    const { code, err } = await start(gateway, flags);
    assertEquals(code, 1, err);
    assert(await echoes(at));
    await flow.finish();
    assertEquals(gateway.dataServers(), children);
    // Nobody can take them over any more.
    for (const pid of children) Deno.kill(pid, "SIGKILL");
    await eventually("they are gone", () => gateway.dataServers().length === 0);
  },
});

Deno.test({
  name: `a read-only disk at the start: one sentence, and exit code 1${because}`,
  ignore,
  async fn() {
    await using disk = await Disk.thatFails();
    await disk.fail();
    const gateway = await Gateway.prepare();
    await using _ = gateway;
    gateway.stateDir = disk.path;
    gateway.address = `127.0.0.1:${freePort()}`;
    for (const flags of [["--audit-log=none"], []]) {
      const { code, out, err } = await start(gateway, ["--type=Mock", ...flags]);
      assertEquals([code, out], [1, ""], err);
      assertMatch(err, /^error: \[NO_RESOURCE\] .*[Rr]ead-only file system.*--state-dir[^\n]*\n$/m);
    }
  },
});
