/**
 * What a gateway should be, in small: the sessions, the hellos that wait, and what each call does to
 * them. No ports by number, no processes, no time.
 *
 * Calls that run at once may take effect in any order, and some take effect in several steps between
 * which others may come. So the model never says "this is so" but keeps every world that can be; what
 * is seen of the real one rules worlds out, and a real one that fits none of them is wrong.
 * @module
 */

/** What a gateway was started with, as far as its answers depend on it. */
export interface Limits {
  ports: number;
  maxConn: number;
  /** Sessions at once, and hellos that wait. */
  maxSessions: number;
  /** kB/s of all sessions together. */
  capacity: number;
  /** Sessions may expire, at any moment. */
  timed: boolean;
  /** Sessions outlive SIGTERM. */
  keep: boolean;
}

/** A uid of the sequence: short, so that counterexamples are. */
export type Slot = "a" | "b" | "c" | "d";
/** What is wrong with a message. */
export type Flaw = "uid" | "role" | "num_conn" | "rate" | "address";

/** What a client does. Addresses are numbers of applications; see the driver. */
export type Call =
  & { slot: Slot; flaw?: Flaw }
  & (
    | { kind: "req"; role: "PROD" | "CONS"; num: number; rate: number }
    | { kind: "hello"; role: "PROD" | "CONS"; apps: number[] }
    | { kind: "update"; targets: number[]; rate: number }
    | { kind: "release"; force: boolean }
    | { kind: "status" | "list" }
    /** Gives up the call with this ticket; without one there is nothing to give up. */
    | { kind: "cancel"; ticket?: number }
    /** Kills the control server and starts another. */
    | { kind: "kill" }
    /** Stops the control server as its operator would, and starts another. */
    | { kind: "stop" }
    /** Kills the data server's process. */
    | { kind: "maim" }
    /** Waits until everything that can expire has. */
    | { kind: "expire" }
  );

/** What a call may be answered. */
export interface Answer {
  /** As the driver labels outcomes; one of these. */
  labels: string[];
  /** Which session's listeners are told, by the ticket of its req; none are if not given. */
  listenersOf?: number;
  /** What prod_listeners may be. */
  addresses?: number[][];
}

/** A session, or what is left of one. */
export interface Session {
  slot: Slot;
  /** Of its req; names this life of the uid. */
  ticket: number;
  role: "PROD" | "CONS";
  num: number;
  rate: number;
  state: "reserved" | "waiting" | "ready" | "streaming" | "draining" | "failed";
  reason: string;
  /** One a channel. */
  targets: number[];
  /** Its client gave up: the session ends by itself unless a hello comes before. */
  leaving: boolean;
  /** Of the releases that wait for its end. */
  releases: number[];
}

/** A hello whose req is not there yet. */
interface Early {
  ticket: number;
  slot: Slot;
  role: "PROD" | "CONS";
  apps: number[];
  leaving: boolean;
}

/** One way in which things can be. */
export interface World {
  sessions: Session[];
  early: Early[];
  /** What was answered and not compared yet, by ticket. */
  answers: Record<number, Answer>;
  /** The session that a call under way has found, by ticket. */
  found: Record<number, number>;
  /** The control server died in this step: what had not reached it is lost. */
  down: boolean;
}

/** One indivisible part of what a call does. */
export type Effect = (world: World) => void;

/** Why a session of before is as it is. */
export const TAKEN_UP = "taken up again after the control server was restarted";
const OK = "OK";

/** Nothing has happened. */
export function emptyWorld(): World {
  return { sessions: [], early: [], answers: {}, found: {}, down: false };
}

/** The session is gone; whoever waited for it is told. */
export function remove(world: World, ticket: number, req: string[], release = [OK]): void {
  const session = bySession(world, ticket);
  world.sessions = world.sessions.filter((each) => each !== session);
  // Where the req has had its answer long ago, nobody looks for this one.
  world.answers[ticket] ??= { labels: req };
  for (const waiting of session?.releases ?? []) world.answers[waiting] ??= { labels: release };
}

/** The session that this req made. */
export function bySession({ sessions }: World, ticket: number): Session | undefined {
  return sessions.find((session) => session.ticket === ticket);
}
