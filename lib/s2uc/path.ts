/**
 * The way that a stream takes over both gateways, put together from what each tells of itself.
 * @module
 */
import type { SessionStatus } from "../../proto/messages.ts";
import type { PathChannel } from "../cli/json.ts";
import { statusLines } from "./status.ts";

/** One side of a session, at its control server. */
export interface Side {
  s2cs: string;
  status: SessionStatus;
}

/** The channels of the consumer's side, each with the producer's that it leads to. */
export interface Path {
  session: string;
  /** Whether every channel leads to a listener of the producer's side. */
  meets: boolean;
  channels: PathChannel[];
}

/** The path over a producer's and a consumer's side; undefined where these are not one of each. */
export function pathOf(sides: readonly Side[]): Path | undefined {
  const of = (role: string) => sides.filter(({ status }) => status.role === role);
  const [[prod, ...prods], [cons, ...others]] = [of("PROD"), of("CONS")];
  if (!prod || !cons || prods.length + others.length > 0) return undefined;
  const channels = cons.status.channels.map(({ listener, target }): PathChannel => {
    const same = prod.status.channels.find((each) => each.listener === target);
    // A gateway has an address on either side, and does not always know by which it is reached. After
    // a move the same port at another address is that of the node that was lost.
    const near = same ??
      (isMoved(prod)
        ? undefined
        : prod.status.channels.find((each) => target && portOf(each.listener) === portOf(target)));
    return {
      consumer_listener: listener,
      consumer_target: target,
      producer_listener: near?.listener ?? "",
      producer_target: near?.target ?? "",
      meets: same ? "yes" : near ? "port" : "no",
    };
  });
  const meets = channels.length > 0 && channels.every((each) => each.meets !== "no");
  return { session: cons.status.session, meets, channels };
}

function isMoved({ status }: Side): boolean {
  return status.moved_ms > 0;
}

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(":"));
}

/** Both sides in one view, the consumer's first, as bytes are asked for. */
export function pathLines(sides: readonly Side[], path: Path | undefined, nowMs: number): string[] {
  const lines = sides.flatMap(({ s2cs, status }) => [
    `${status.role === "PROD" ? "producer" : "consumer"}'s side, at ${s2cs}`,
    ...statusLines(status, nowMs).map((line) => `  ${line}`),
  ]);
  if (!path) return lines;
  return [
    ...lines,
    "path: application → consumer's gateway → producer's gateway → application",
    ...path.channels.map((channel) => `  ${wayOf(channel)}`),
    path.meets
      ? "the consumer's side leads to the producer's"
      : `the consumer's side does NOT lead to the producer's: ${adviceOn(sides)}`,
  ];
}

function adviceOn(sides: readonly Side[]): string {
  const moved = sides.find((side) => side.status.role === "PROD" && isMoved(side));
  const cons = sides.find(({ status }) => status.role === "CONS");
  if (!moved || !cons) return "update its targets, or was it made with another's listeners?";
  const listeners = moved.status.channels.map(({ listener }) => listener);
  return `s2uc update UID --s2cs ${cons.s2cs} --targets ${listeners.join(",")}`;
}

function wayOf(channel: PathChannel): string {
  const { consumer_listener, consumer_target, producer_listener, producer_target, meets } = channel;
  const end = producer_target || "(no target yet)";
  if (meets === "yes") return `application → ${consumer_listener} → ${producer_listener} → ${end}`;
  const target = consumer_target || "(no target yet)";
  if (meets === "no") return `application → ${consumer_listener} → ${target} ✗`;
  return `application → ${consumer_listener} → ${target} (${producer_listener}) → ${end}`;
}
