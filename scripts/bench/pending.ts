/**
 * A thousand sessions at once.
 * @module
 */
import type { ControlClient } from "../../lib/protocol/client.ts";
import { Endpoint } from "../../lib/protocol/endpoint.ts";
import { Uid } from "../../lib/protocol/uid.ts";
import { requestSession, sayHello, updateSession } from "../../lib/s2uc/requests.ts";
import { freePortRanges, Gateway } from "../demo/gateways.ts";
import { atMost } from "./goals.ts";
import { residentMegabytes } from "./process.ts";
import type { Context, Result } from "./result.ts";

const SESSIONS = 1000;
const CHANNELS = 5;
const MOST_MEGABYTES = 150;
const RECEIVER = new Endpoint("127.0.0.1", 5074);

/** All pending, then all completed; and the control server's memory with them. */
export async function pendingSessions({ folder, signal, tell }: Context): Promise<Result> {
  await using stack = new AsyncDisposableStack();
  const [ports] = freePortRanges(1, SESSIONS * CHANNELS) as [string];
  const gateway = await Gateway.start({
    name: "pending",
    folder,
    ports,
    flags: [
      "--type=Mock",
      `--max-sessions=${SESSIONS}`,
      ...["--call-rate=0", "--max-pending-per-caller=0", `--max-streams=${2 * SESSIONS}`],
    ],
    signal,
    onDeath: () => {},
  });
  stack.defer(async () => void await gateway.stop());
  const { client } = gateway;
  const before = await residentMegabytes([gateway.pid], signal);

  tell(`${SESSIONS} sessions at once`);
  const uids = Array.from({ length: SESSIONS }, () => Uid.random());
  const start = performance.now();
  const requests = uids.map((uid) =>
    requestSession(client, { uid, role: "PROD", numConn: CHANNELS, rate: 0 }, signal)
  );
  // A failed one shows in the count; it must not be unhandled while the others are pending.
  const settled = Promise.allSettled(requests);
  await Promise.race([allWaiting(client, signal), settled]);
  const waiting = performance.now();
  const completed = await Promise.allSettled(uids.map(async (uid, i) => {
    await Promise.all([requests[i], sayHello(client, uid, "PROD", [RECEIVER], { signal })]);
    await updateSession(client, uid, "PROD", [String(RECEIVER)], signal);
  }));
  const end = performance.now();
  const count = completed.filter((each) => each.status === "fulfilled").length;
  const megabytes = await residentMegabytes([gateway.pid], signal);
  return {
    name: "pending",
    title: `${SESSIONS} sessions at once, ${CHANNELS} channels each, type Mock, over TLS`,
    columns: ["", "seen"],
    rows: [
      ["completed", String(count)],
      ["all pending after", `${(waiting - start).toFixed(0)} ms`],
      ["then hello and update of all", `${(end - waiting).toFixed(0)} ms`],
      ["s2cs resident before", `${before.toFixed(0)} MB`],
      [`s2cs resident with ${SESSIONS}`, `${megabytes.toFixed(0)} MB`],
    ],
    goals: [
      {
        measure: `${SESSIONS} sessions at once`,
        goal: "all complete",
        seen: `${count} of ${SESSIONS}`,
        met: count === SESSIONS,
      },
      atMost(`s2cs with ${SESSIONS} sessions, resident memory`, megabytes, MOST_MEGABYTES, "MB"),
    ],
  };
}

/** Asks until every session waits for its hello. */
async function allWaiting(client: ControlClient, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { sessions } = await client.call("list", {}, { signal });
    if (sessions.filter(({ state }) => state === "waiting").length === SESSIONS) return;
  }
}
