/**
 * The model's calls as messages, and answers as outcomes that can be compared.
 * @module
 */
import type { ControlClient } from "../../lib/protocol/client.ts";
import { ScistreamError, Status } from "../../lib/protocol/errors.ts";
import { Uid } from "../../lib/protocol/uid.ts";
import type { Call, Slot } from "../model.ts";
import { OK } from "./effects.ts";

/** What became of a call. */
export interface Outcome {
  /** `OK`, or code, gRPC status and where it matters why. */
  label: string;
  listeners?: string[];
  prodListeners?: string[];
  message?: string;
}

/** An application; one with a name says it to whoever connects. */
export interface App {
  address: string;
  name?: string;
}

/** Words for refusals that share code and status. */
const REASONS: [RegExp, string][] = [
  [/ cannot be done while /, "state"],
  [/channels asked for, this gateway/, "channels"],
  [/ports asked for/, "ports"],
  [/already has its/, "sessions"],
  [/^a rate of/, "rate"],
];
const STATUS_NAMES = Object.fromEntries(Object.entries(Status).map(([name, n]) => [n, name]));

/** What the model's short names stand for in one sequence. */
export class Names {
  readonly #uids: Map<Slot, Uid>;
  readonly #apps: readonly App[];

  /** New uids. */
  constructor(apps: readonly App[]) {
    this.#uids = new Map((["a", "b", "c", "d"] as const).map((slot) => [slot, Uid.random()]));
    this.#apps = apps;
  }

  get slots(): Slot[] {
    return [...this.#uids.keys()];
  }

  uid(slot: Slot): Uid {
    return this.#uids.get(slot) as Uid;
  }

  /** By the public id of a session. */
  slotOf(session: string): string {
    return this.slots.find((slot) => this.uid(slot).session === session) ?? session;
  }

  app(i: number): App {
    return this.#apps[i % this.#apps.length] as App;
  }

  addresses(numbers: number[]): string[] {
    return numbers.map((i) => this.app(i).address);
  }
}

/** Makes a call; answers what became of it, and throws what no control server answers. */
export async function send(
  client: ControlClient,
  call: Call,
  names: Names,
  signal: AbortSignal,
): Promise<Outcome> {
  try {
    return await answered(client, call, names, signal);
  } catch (error) {
    return signal.aborted ? { label: "cancelled" } : refused(error);
  }
}

async function answered(
  client: ControlClient,
  call: Call,
  names: Names,
  signal: AbortSignal,
): Promise<Outcome> {
  const { kind, slot, flaw } = call;
  const uid = flaw === "uid" ? "no uid" : names.uid(slot).reveal();
  const role = flaw === "role" ? "BOTH" : "role" in call ? call.role : "PROD";
  const rate = flaw === "rate" ? -2 : "rate" in call ? call.rate : 0;
  const addresses = (numbers: number[]) =>
    flaw === "address" ? ["127.0.0.1"] : names.addresses(numbers);
  switch (kind) {
    case "req": {
      const num_conn = flaw === "num_conn" ? 0 : call.num;
      return ok(await client.call("req", { uid, role, num_conn, rate }, { signal }));
    }
    case "hello": {
      const prod_listeners = addresses(call.apps);
      return ok(await client.call("hello", { uid, role, prod_listeners }, { signal }));
    }
    case "update": {
      const remote_listeners = addresses(call.targets);
      return ok(await client.call("update", { uid, role, remote_listeners, rate }, { signal }));
    }
    case "release":
      return ok(await client.call("release", { uid, force: call.force }, { signal }));
    case "status":
      await client.call("status", { uid }, { signal });
      return { label: OK };
    default:
      await client.call("list", {}, { signal });
      return { label: OK };
  }
}

function ok(response: { listeners: string[]; prod_listeners?: string[] }): Outcome {
  const { listeners, prod_listeners: prodListeners } = response;
  return { label: OK, listeners, prodListeners };
}

/** A refusal as an outcome. */
export function refused(error: unknown): Outcome {
  if (!(error instanceof ScistreamError)) throw error;
  const { code, status, message } = error;
  const reason = REASONS.find(([pattern]) => pattern.test(message))?.[1] ??
    (code === "BAD_FORMAT" ? "value" : "");
  return { label: `${code} ${STATUS_NAMES[status]} ${reason}`.trim(), message };
}
