/**
 * Requests that never become sessions: their hello or update does not come, or their client goes away.
 * @module
 */
import type { Endpoint } from "../../lib/protocol/endpoint.ts";
import { ScistreamError } from "../../lib/protocol/errors.ts";
import { Uid } from "../../lib/protocol/uid.ts";
import { requestSession, sayHello } from "../../lib/s2uc/requests.ts";
import type { Side } from "./gateways.ts";
import type { Action } from "./plan.ts";
import { pause } from "./stream.ts";

/** At once. */
const MOST = 2;
/** A control server that takes over begins to wait anew; what is there after this is for the round to find. */
const EXPIRY_MS = 60_000;
const LOOK_MS = 200;

/** Those that wait for their end. */
export class Abandoned {
  readonly #pending = new Set<Promise<void>>();

  /** Begins one; answers whether there was room for it. */
  begin(
    action: Extract<Action, { kind: "expire" | "cancel" }>,
    side: Side,
    app: Endpoint,
  ): boolean {
    if (this.#pending.size >= MOST) return false;
    // What becomes of it when its control server dies is what is looked at later.
    const pending = abandon(action, side, app).catch(() => {})
      .finally(() => this.#pending.delete(pending));
    this.#pending.add(pending);
    return true;
  }

  /** Resolves when all have been answered. */
  async over(): Promise<void> {
    await Promise.all(this.#pending);
  }
}

async function abandon(
  action: Extract<Action, { kind: "expire" | "cancel" }>,
  side: Side,
  app: Endpoint,
): Promise<void> {
  const { client, where } = side;
  const uid = Uid.random();
  const role = where === "prod" ? "PROD" : "CONS";
  const gone = new AbortController();
  const request = { uid, role, numConn: action.channels, rate: 0 } as const;
  const asked = requestSession(client, request, gone.signal);
  asked.catch(() => {});
  if (action.kind === "cancel") {
    await pause(action.ms);
    gone.abort();
  } else if (action.hello) {
    await sayHello(client, uid, role, [app]).catch(() => {});
  }
  await asked.catch(() => {});
  await expired(side, uid);
}

/** Resolves when its control server, or the next one, knows nothing of it. */
async function expired(side: Side, uid: Uid): Promise<void> {
  for (const end = performance.now() + EXPIRY_MS; performance.now() < end;) {
    try {
      await side.client.call("status", { uid: uid.reveal() });
    } catch (error) {
      if (error instanceof ScistreamError && error.code === "INVALID_UID") return;
    }
    await pause(LOOK_MS);
  }
}
