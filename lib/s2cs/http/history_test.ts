import { assertEquals } from "@std/assert";
import { Uid } from "../../protocol/uid.ts";
import { idleChannel } from "../../s2ds/data_server.ts";
import type { SessionReport } from "../gateway.ts";
import { History } from "./history.ts";

const uids = [Uid.random(), Uid.random()] as const;

/** A session of this owner through which bytes go to its target. */
function report(uid: Uid, owner: string, speedToTarget: number): SessionReport {
  const session = {
    ...{ uid, owner: { id: owner, name: owner }, role: "PROD" as const, rate: 0, createdMs: 0 },
    ...{ state: "streaming" as const, reason: "", warnings: [] },
    ...{ node: "", listeners: [], appListeners: [], targets: [] },
  };
  return { session, channels: [{ ...idleChannel(), speedToTarget }] };
}

Deno.test("the past of all, of an owner and of a session are apart; it is five minutes long", () => {
  const history = new History();
  const [a, b] = uids;
  history.add({ atMs: 1, sessions: [report(a, "alice", 10)] });
  history.add({ atMs: 2, sessions: [report(a, "alice", 20), report(b, "bob", 1)] });
  assertEquals(history.past("all"), { at: [1, 2], to: [10, 21], from: [0, 0] });
  assertEquals(history.past("owner:alice").to, [10, 20]);
  assertEquals(history.past("owner:bob").to, [0, 1]);
  assertEquals(history.past("owner:nobody").to, [0, 0]);
  assertEquals(history.past(`session:${b.hash}`).to, [0, 1]);
  history.add({ atMs: 3, sessions: [] });
  // What a session did stays in the sums, and goes with it otherwise.
  assertEquals(history.past("all").to, [10, 21, 0]);
  assertEquals(history.past(`session:${a.hash}`).to, [0, 0, 0]);
  for (let atMs = 4; atMs <= 302; atMs++) history.add({ atMs, sessions: [] });
  const { at, to } = history.past("all");
  assertEquals([at.length, at[0], at.at(-1), to[0], to[1]], [300, 3, 302, 0, 0]);
});
