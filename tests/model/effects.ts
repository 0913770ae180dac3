/**
 * What each call does to a world, effect by effect.
 * @module
 */
import {
  type Answer,
  bySession,
  type Call,
  type Effect,
  type Limits,
  remove,
  type Session,
  type Slot,
  TAKEN_UP,
  type World,
} from "../model.ts";

/** Answered. */
export const OK = "OK";
/** A session that is not there. */
export const UNKNOWN = "INVALID_UID NOT_FOUND";
const STATE = "BAD_FORMAT INVALID_ARGUMENT state";
const VALUE = "BAD_FORMAT INVALID_ARGUMENT value";
/** The control server or its data server was not there for the call. */
export const LOST = "CONN_ERROR UNAVAILABLE";
/** No hello came in time. */
export const EXPIRED = "TIMEOUT DEADLINE_EXCEEDED";
const STOPPED = "UNAVAILABLE UNAVAILABLE";

/** The effects of a call, in order; those of other calls may come between them. */
export function effectsOf(call: Call, ticket: number, limits: Limits): Effect[] {
  const { kind, slot, flaw } = call;
  const answer = (world: World, ...labels: string[]) => world.answers[ticket] = { labels };
  const own = (world: World) => world.sessions.find((session) => session.slot === slot);
  if (flaw) return [(w) => answer(w, flaw === "uid" ? "INVALID_UID INVALID_ARGUMENT" : VALUE)];
  switch (kind) {
    case "req":
      return [
        (w) => {
          const refused = noRoom(w, call, limits);
          if (refused) answer(w, refused);
          else w.sessions.push(begun(w, { ...call, ticket }, limits));
        },
        (w) => {
          const session = bySession(w, ticket);
          if (session?.state === "failed") {
            remove(w, ticket, ["NO_RESOURCE RESOURCE_EXHAUSTED ports"]);
          }
          if (session?.state === "reserved") arrive(w, session);
        },
      ];
    case "hello":
      return [(w) => {
        const session = own(w);
        if (session && session.state !== "reserved") return greet(w, session, { ...call, ticket });
        if (w.early.length >= limits.maxSessions) answer(w, "RATE_LIMIT RESOURCE_EXHAUSTED");
        else w.early.push({ ticket, slot, role: call.role, apps: call.apps, leaving: false });
      }];
    case "update":
      return update(call, ticket, limits);
    case "release":
      return [
        (w) => {
          const session = own(w);
          if (!session) return answer(w, UNKNOWN);
          session.releases.push(ticket);
          if (session.state !== "failed") Object.assign(session, { state: "draining", reason: "" });
        },
        (w) => {
          const session = own(w);
          if (session?.releases.includes(ticket)) remove(w, session.ticket, [UNKNOWN]);
        },
      ];
    case "status":
      return [(w) => answer(w, own(w) ? OK : UNKNOWN)];
    case "cancel":
      return call.ticket === undefined ? [] : [giveUp(call.ticket)];
    case "kill":
      return [(w) => restart(w, true, [LOST])];
    case "stop":
      return [(w) => restart(w, limits.keep, [STOPPED])];
    case "list":
      return [(w) => answer(w, OK)];
    case "expire":
      return [expire];
    case "maim":
      // The next one is given what it held, and nobody notices.
      return [];
  }
}

/** Why there can be no such session, if so. */
function noRoom(
  { sessions }: World,
  { slot, num, rate }: { slot: Slot; num: number; rate: number },
  { maxConn, maxSessions, capacity }: Limits,
): string | undefined {
  if (sessions.some((session) => session.slot === slot)) return "INVALID_UID ALREADY_EXISTS";
  const full = "NO_RESOURCE RESOURCE_EXHAUSTED";
  if (num > maxConn) return `${full} channels`;
  if (sessions.length >= maxSessions) return `${full} sessions`;
  if (rateOf(sessions) + rate > capacity) return `${full} rate`;
}

function rateOf(sessions: Session[]): number {
  return sessions.reduce((sum, { rate }) => sum + rate, 0);
}

function begun(
  { sessions }: World,
  { slot, ticket, role, num, rate }: Pick<Session, "slot" | "ticket" | "role" | "num" | "rate">,
  { ports }: Limits,
): Session {
  const held = sessions.reduce((sum, { num, state }) => sum + (state === "failed" ? 0 : num), 0);
  const state = held + num > ports ? "failed" : "reserved";
  const nothing = { reason: "", targets: [], leaving: false, releases: [] };
  return { slot, ticket, role, num, rate, state, ...nothing };
}

/** A session has its listeners; the hellos that waited for it are heard. */
function arrive(world: World, session: Session): void {
  session.state = "waiting";
  const hellos = world.early.filter(({ slot }) => slot === session.slot);
  world.early = world.early.filter(({ slot }) => slot !== session.slot);
  for (const hello of hellos) greet(world, session, hello);
}

/** A hello meets its session. */
function greet(
  { answers }: World,
  session: Session,
  { ticket, role, apps }: { ticket: number; role: "PROD" | "CONS"; apps: number[] },
): void {
  // A hello that was given up is heard or not; its client does not care.
  const answer = (given: Answer) => answers[ticket] ??= given;
  const { state } = session;
  if (session.role === "PROD" && apps.length === 0) return void answer({ labels: [VALUE] });
  if (state === "reserved" || state === "draining" || state === "failed") {
    return void answer({ labels: [STATE] });
  }
  answer({ labels: [OK], listenersOf: role === "CONS" ? session.ticket : undefined });
  session.reason = "";
  session.leaving = false;
  const told = session.role === "PROD" ? apps : [];
  if (state === "waiting") {
    session.state = "ready";
    answers[session.ticket] ??= { labels: [OK], listenersOf: session.ticket, addresses: [told] };
  } else {
    // Said before the req was answered: the answer may tell these addresses as well.
    answers[session.ticket]?.addresses?.push(told);
  }
}

function update(
  { slot, targets, rate }: Call & { kind: "update" },
  ticket: number,
  { capacity }: Limits,
): Effect[] {
  const found = (w: World) => {
    const id = w.found[ticket];
    return id === undefined || w.answers[ticket] ? undefined : bySession(w, id);
  };
  const accepts = ({ state }: Session) => state === "ready" || state === "streaming";
  return [
    (w) => {
      const session = w.sessions.find((each) => each.slot === slot);
      const refuse = (label: string) => void (w.answers[ticket] = { labels: [label] });
      if (!session) return refuse(UNKNOWN);
      if (!accepts(session)) return refuse(STATE);
      if (rate === 0 && targets.length === 0) return refuse(VALUE);
      const asked = Math.max(0, rate);
      if (rate !== 0 && rateOf(w.sessions) - session.rate + asked > capacity) {
        return refuse("NO_RESOURCE RESOURCE_EXHAUSTED rate");
      }
      if (rate !== 0) session.rate = asked;
      w.found[ticket] = session.ticket;
      if (targets.length > 0) return;
      const { ticket: listenersOf } = session;
      w.answers[ticket] = { labels: [OK], listenersOf, addresses: [session.targets] };
    },
    (w) => {
      const session = found(w);
      if (session) session.targets = channels(session.num, targets);
    },
    (w) => {
      if (w.answers[ticket]) return;
      const session = found(w);
      if (!session || !accepts(session)) {
        // The data server may be the first to say that the session is ending.
        return void (w.answers[ticket] = { labels: [STATE, LOST] });
      }
      Object.assign(session, { state: "streaming", reason: "" });
      const told = channels(session.num, targets);
      w.answers[ticket] = { labels: [OK], listenersOf: session.ticket, addresses: [told] };
    },
  ];
}

/** Targets repeat over the channels. */
function channels(num: number, targets: number[]): number[] {
  return Array.from({ length: num }, (_, i) => targets[i % targets.length] as number);
}

/** A client gives up a call; the control server hears of it some time later. */
function giveUp(ticket: number): Effect {
  return (w) => {
    const answer = w.answers[ticket];
    // Answered meanwhile: which of the two is first at the client is open.
    if (answer) return void answer.labels.push("cancelled");
    w.answers[ticket] = { labels: ["cancelled"] };
    for (const each of [...w.sessions, ...w.early]) {
      if (each.ticket === ticket) each.leaving = true;
    }
  };
}

/** Everything that waits for something has waited in vain. */
function expire(world: World): void {
  for (const { ticket, state } of world.sessions) {
    if (state !== "streaming") remove(world, ticket, [EXPIRED]);
  }
  for (const { ticket } of world.early) world.answers[ticket] ??= { labels: [UNKNOWN] };
  world.early = [];
}

/** Another control server takes over, or begins anew. */
function restart(world: World, keep: boolean, pending: string[]): void {
  for (const answer of Object.values(world.answers)) answer.labels.push(...pending);
  const kept = ({ state }: Session) => keep && (state === "ready" || state === "streaming");
  for (const { ticket } of world.early) world.answers[ticket] ??= { labels: pending };
  for (const session of world.sessions) {
    if (kept(session)) session.reason = TAKEN_UP;
    else remove(world, session.ticket, pending, pending);
  }
  world.early = [];
  world.down = true;
}
