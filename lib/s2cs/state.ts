/**
 * The life of a session, as a table. scripts/draw_states.ts draws it for docs/protocol.md; a
 * test keeps the two the same.
 * @module
 */

/** Where a session stands. */
export type State =
  /** The uid is taken; ports and data server are being reserved. */
  | "reserved"
  /** The listeners are held; `req` is pending until `hello`. */
  | "waiting"
  /** The application said hello; `req` is answered, targets are not set. */
  | "ready"
  /** Targets are set; connections are forwarded. */
  | "streaming"
  /** No new connections; established ones finish. */
  | "draining"
  /** Over, as asked. */
  | "released"
  /** Over or broken; `reason` says why. A broken session that streamed stays until it recovers or is released. */
  | "failed"
  /** Over: no hello, or no update after it, in time. */
  | "expired";

/** What happens to a session. */
export type Event =
  | "listen"
  | "hello"
  | "update"
  | "release"
  | "drained"
  | "fault"
  | "recover"
  | "cancel"
  | "expire";

const TABLE: Record<State, Partial<Record<Event, State>>> = {
  reserved: { listen: "waiting", fault: "failed", cancel: "failed", release: "draining" },
  waiting: {
    hello: "ready",
    expire: "expired",
    cancel: "failed",
    fault: "failed",
    release: "draining",
  },
  ready: {
    hello: "ready",
    update: "streaming",
    expire: "expired",
    fault: "failed",
    release: "draining",
  },
  streaming: { hello: "streaming", update: "streaming", fault: "failed", release: "draining" },
  draining: { drained: "released", fault: "draining", release: "draining" },
  failed: { recover: "streaming", release: "draining", fault: "failed" },
  released: {},
  expired: {},
};

/** Every state, in the order of a session's life. */
export const STATES = Object.keys(TABLE) as readonly State[];

/** Where the event leads, or undefined where it cannot happen. */
export function next(state: State, event: Event): State | undefined {
  return TABLE[state][event];
}

/** Every transition: from, event, to. */
export function transitions(): [State, Event, State][] {
  return STATES.flatMap((from) =>
    Object.entries(TABLE[from]).map(([event, to]) =>
      [from, event as Event, to] as [State, Event, State]
    )
  );
}
