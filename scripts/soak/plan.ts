/**
 * What a soak does, and in which order: nothing but decisions, and the same ones for the same seed.
 * What became of earlier ones changes none of them; a decision that finds nothing to act on is passed
 * by.
 * @module
 */
import { randomly } from "../../tests/fuzz/mutate.ts";

/** Which of a pair's gateways. */
export type Where = "prod" | "cons";

/** What goes wrong. Those of the first group must not disturb a stream, those of the second may cut it. */
export type Fault =
  | "s2cs killed"
  | "s2cs replaced"
  | "s2cs frozen"
  | "hang-up"
  | "certificate renewed"
  | "data server frozen"
  | "data server killed"
  | "both killed"
  | "engine restarted";

/** One decision. `which` is of the sessions that are there, `ms` what of the act takes a time. */
export type Action =
  & { pauseMs: number }
  & (
    | { kind: "make"; channels: number; flows: number }
    | { kind: "release"; which: number; force: boolean }
    | { kind: "update"; which: number }
    | { kind: "look"; which: number }
    | { kind: "expire"; where: Where; channels: number; hello: boolean }
    | { kind: "cancel"; where: Where; channels: number; ms: number }
    | {
      kind: "fault";
      fault: Fault;
      where: Where;
      which: number;
      ms: number;
      /** A call that is under way when it happens. */
      during: "nothing" | "make" | "release";
      /** For how long. */
      leadMs: number;
      /** All of a data server's processes, and not only its first. */
      whole: boolean;
    }
  );

type Weights<T extends string> = Record<T, number>;

const KINDS: Weights<Action["kind"]> = {
  make: 30,
  release: 18,
  update: 12,
  look: 8,
  expire: 3,
  cancel: 5,
  fault: 24,
};

const FAULTS: Weights<Fault> = {
  "s2cs killed": 40,
  "s2cs replaced": 20,
  "s2cs frozen": 15,
  "hang-up": 15,
  "certificate renewed": 10,
  "data server frozen": 20,
  "data server killed": 40,
  "both killed": 20,
  "engine restarted": 2,
};

const MOST_CHANNELS = 4;
const LONGEST_PAUSE_MS = 800;
const LONGEST_FREEZE_MS = 3_000;

/** Whether sessions of this type run in containers. */
export function inContainers(type: string): boolean {
  return ["Haproxy", "Nginx", "Stunnel", "DockerSock"].includes(type);
}

/** What may go wrong with this type. */
export function faultsOf(type: string): Fault[] {
  const possible = (fault: Fault) =>
    fault === "engine restarted" ? inContainers(type) : type !== "Mock" || !/data|both/.test(fault);
  return (Object.keys(FAULTS) as Fault[]).filter(possible);
}

/** The decisions for a type, without end. */
export function* plan(seed: number, type: string): Generator<Action, never> {
  const below = randomly(seed ^ hash(type));
  const where = (): Where => below(2) === 0 ? "prod" : "cons";
  const channels = () => 1 + below(MOST_CHANNELS);
  const faults = faultsOf(type);
  const weigh = <T extends string>(names: readonly T[], weights: Weights<T>): T => {
    let left = below(names.reduce((sum, name) => sum + weights[name], 0));
    return names.find((name) => (left -= weights[name]) < 0) as T;
  };
  const act = (kind: Action["kind"]) => {
    switch (kind) {
      case "make":
        return { kind, channels: channels(), flows: 1 + below(2) };
      case "release":
        return { kind, which: below(1000), force: below(2) === 0 };
      case "update":
      case "look":
        return { kind, which: below(1000) };
      case "expire":
        return { kind, where: where(), channels: channels(), hello: below(2) === 0 };
      case "cancel":
        return { kind, where: where(), channels: channels(), ms: below(400) };
      case "fault":
        return {
          kind,
          fault: weigh(faults, FAULTS),
          where: where(),
          which: below(1000),
          ms: 500 + below(LONGEST_FREEZE_MS - 500),
          during: (["nothing", "make", "release"] as const)[below(3)] ?? "nothing",
          // Steps of the built-in data server take milliseconds, those of containers tenths of seconds.
          leadMs: below(2) === 0 ? below(30) : below(600),
          whole: below(2) === 0,
        };
    }
  };
  for (;;) {
    const kind = weigh(Object.keys(KINDS) as Action["kind"][], KINDS);
    yield { ...act(kind), pauseMs: below(LONGEST_PAUSE_MS) };
  }
}

/** A decision as the soak tells it. */
export function told(action: Action): string {
  switch (action.kind) {
    case "make":
      return `make, ${action.channels} channels, ${action.flows} streams`;
    case "release":
      return action.force ? "release at once" : "release with drain";
    case "update":
    case "look":
      return action.kind;
    case "expire":
      return `let expire at ${action.where}, ${action.hello ? "after" : "before"} hello`;
    case "cancel":
      return `cancel at ${action.where} after ${action.ms} ms`;
    case "fault":
      return `${action.fault} at ${action.where}, ${action.ms} ms` +
        (action.during === "nothing" ? "" : `, ${action.leadMs} ms into a ${action.during}`) +
        (action.whole ? ", whole" : "");
  }
}

/** A number for a name (FNV-1a), so that each type's decisions are its own. */
function hash(name: string): number {
  let value = 0x811c9dc5;
  for (const letter of name) value = Math.imul(value ^ (letter.codePointAt(0) ?? 0), 0x01000193);
  return value;
}
