/**
 * The life of a session: what it takes from the gateway as it goes from state to state, and that all
 * of it comes back whichever way it ends.
 * @module
 */
import type { Principal } from "../auth/authenticator.ts";
import type { Networks } from "../protocol/cidr.ts";
import { Endpoint } from "../protocol/endpoint.ts";
import { reach } from "../fault_points.ts";
import { messageOf, ScistreamError } from "../protocol/errors.ts";
import type { Uid } from "../protocol/uid.ts";
import type { SessionRequest } from "../protocol/values.ts";
import {
  type DataServer,
  type GatewayNode,
  NodeFault,
  type Opening,
  PortsInUse,
  type Resumed,
} from "../s2ds/data_server.ts";
import { after } from "./expiry.ts";
import { Found, type Place, type Placement } from "./placement.ts";
import type { Session } from "./session.ts";
import type { Bounds, Held, Sessions } from "./sessions.ts";
import { type OnSetup, SetUp } from "./set_up.ts";
import { type Event, next, type State } from "./state.ts";
import type { SessionStore } from "./store.ts";

/** What no call does. */
const BY_ITSELF: readonly Event[] = ["fault", "recover", "cancel", "expire"];
/**
 * What is not done unless it can be kept. Everything else has happened already, or frees something,
 * which must not take room on a disk. (The targets of an update are kept before it is done.)
 */
const KEPT_FIRST: readonly Event[] = ["listen", "hello"];

/** What sessions live by. */
export interface LifeOptions extends Bounds {
  store: SessionStore;
  placement: Placement;
  dataServer: DataServer;
  /** A session as its data server keeps it. */
  toRecord: (session: Session) => string;
  /** How long a req waits for its hello, and a ready session for its update. */
  helloTimeoutMs: number;
  /** Where data connections may come from; a session may allow less. */
  allow?: Networks;
  /** What a session's user should know about this uid, a sentence each. */
  warnings: (uid: Uid) => string[];
  log: (level: "debug" | "info" | "warn" | "error", message: string) => void;
  /** Told of each session that an earlier control server left: it is taken up again, or over. */
  onRecovered?: (outcome: "resumed" | "over") => void;
  /** Told how long each step of a set-up took. */
  onSetup?: OnSetup;
  /** Told of each session that has ended, with the state that it ended in. */
  onEnded?: (outcome: State) => void;
  /** Told what happened to a session by itself, and not by a call. */
  onEvent?: (event: Event, session: Session) => void;
}

/** What a session has beside its record, while this process lives. */
export interface Live extends Held {
  /** Settled by hello, or by whatever ends the session before it. */
  hello: PromiseWithResolvers<void>;
  /** Times its set-up; not of one taken up again. */
  setUp?: SetUp;
  /** Calls off its expiry. */
  expiry?: () => void;
  /** What it has of its node; it has nothing at the beginning. */
  place?: Place;
  /** Settled once the data server holds the listeners, on its first node or on another, or will not. */
  opening?: Promise<void>;
  /** Whether it is being moved to another node. */
  moving?: boolean;
}

/** Takes sessions through their lives. */
export class Lives {
  readonly #options: LifeOptions;
  readonly #sessions: Sessions<Live>;

  constructor(options: LifeOptions, sessions: Sessions<Live>) {
    this.#options = options;
    this.#sessions = sessions;
  }

  /** A session that is asked for and has nothing yet. */
  begin(request: SessionRequest, who?: Principal): Live {
    const { uid, role, numConn, rate, allow } = request;
    const setUp = new SetUp(this.#options.onSetup ?? (() => {}));
    this.#sessions.assertRoom(request, who);
    const warnings = this.#options.warnings(uid);
    const session: Session = {
      uid,
      role,
      owner: who && { id: who.id, name: who.name },
      rate,
      allow,
      warnings,
      createdMs: Date.now(),
      state: "reserved",
      reason: "",
      node: "",
      listeners: [],
      appListeners: [],
      targets: [],
    };
    const live: Live = {
      session,
      channels: numConn,
      hello: Promise.withResolvers(),
      setUp,
    };
    // Whoever ends the session before its req waits for it must not leave an unhandled rejection.
    live.hello.promise.catch(() => {});
    // First, so that one that cannot be kept holds nothing.
    this.#options.store.put(session);
    this.#sessions.add(live);
    setUp.done("reserve");
    this.#log("info", uid, `${role}, ${numConn} channels${who ? ` for ${who.name}` : ""}`);
    for (const warning of warnings) this.#log("warn", uid, warning);
    return live;
  }

  /** Finds a node and ports that nobody uses, and has the data server listen there. */
  async listen(live: Live): Promise<void> {
    const { dataServer } = this.#options;
    const place = await this.#placed(live, (opening) => dataServer.open(opening));
    if (!place) return;
    reach("req.opened");
    live.place = place;
    takePlace(live.session, place);
    this.#options.store.put(live.session);
    reach("req.listening");
  }

  /**
   * Has a session, whose node is lost, on another one. Its owner is told by its status: somebody has to
   * pass its new listeners on. Where it cannot be had now, it stays as it is.
   */
  async move(live: Live, reason: string): Promise<void> {
    const { session } = live;
    if (!this.#options.dataServer.move || live.moving || live.ending || !live.place) return;
    live.moving = true;
    try {
      if (session.state === "streaming") this.step(live, "fault", reason);
      live.opening = this.#moveNow(live, live.place, reason);
      await live.opening;
    } catch (error) {
      session.reason = `${reason}, and it cannot be moved yet: ${messageOf(error)}`;
      this.#log("error", session.uid, session.reason);
    } finally {
      live.moving = false;
    }
  }

  async #moveNow(live: Live, before: Place, reason: string): Promise<void> {
    const { dataServer, placement, store } = this.#options;
    const { session } = live;
    const moved = { from: before.node.name, atMs: Date.now() };
    const place = await this.#placed(live, async (opening) => {
      await dataServer.move?.(opening, session.targets);
    }, moved);
    if (!place) return;
    live.place = place;
    placement.give(before);
    if (live.ending) return;
    takePlace(session, place);
    session.moved = moved;
    const sentence = `moved from node ${moved.from} to ${session.node}, because ${reason}`;
    this.#log("warn", session.uid, sentence);
    if (session.state === "failed") return this.step(live, "recover", sentence);
    session.reason = sentence;
    store.note(session);
  }

  /**
   * Takes one place after the other until the data server can do with it what is asked. Answers none
   * if the session ended meanwhile.
   */
  async #placed(
    live: Live,
    act: (opening: Opening) => Promise<void>,
    moved?: Session["moved"],
  ): Promise<Place | undefined> {
    const { placement, toRecord } = this.#options;
    const { session, channels } = live;
    const found = new Found();
    let fault: NodeFault | undefined;
    for (;;) {
      let place: Place;
      try {
        place = placement.take({ channels, rate: session.rate }, found);
      } catch (error) {
        throw fault ?? error;
      }
      try {
        // Whoever takes it up from this alone takes it up from where its request was answered.
        const state = session.targets.length > 0 ? "streaming" : "ready";
        const there: Session = { ...session, moved: moved ?? session.moved, state, reason: "" };
        takePlace(there, place);
        await act(this.#opening(there, place, toRecord(there)));
        return place;
      } catch (error) {
        placement.give(place);
        const { name } = place.node;
        if (error instanceof PortsInUse) {
          found.inUse(name, error.ports);
          const where = name && ` on node ${name}`;
          this.#log("warn", session.uid, `${error.message}${where}; other ports are used`);
        } else if (error instanceof NodeFault) {
          found.faulty(name);
          placement.avoid(name);
          fault = error;
          this.#log("warn", session.uid, `${error.message}; another node is tried`);
        } else throw error;
        if (live.ending) return undefined;
      }
    }
  }

  /** What the data server holds for a session with this place. */
  #opening(session: Session, { node, ports }: Place, record: string): Opening {
    const { uid, role, allow, rate } = session;
    return {
      uid,
      role,
      node: node.name,
      listeners: ports.map((port) => new Endpoint(node[role].bound, port)),
      allow: [this.#options.allow, allow].filter((each) => each !== undefined),
      limit: this.#options.ratePolicy === "enforce" ? rate : 0,
      record,
    };
  }

  /**
   * Takes up the sessions that an earlier control server of this gateway left. Those whose req was
   * never answered are over, and so are those that were ending: nobody waits for them, but for their
   * connections. Answers what the data server must hold; what it cannot bring back it tells as a fault.
   */
  restore(drainMs: number): Resumed[] {
    return this.#options.store.all().flatMap((session) => this.#takeUp(session, drainMs) ?? []);
  }

  /** Takes up one session; answers what the data server must hold. */
  #takeUp(session: Session, drainMs: number): Resumed | undefined {
    const { store, placement, onRecovered, toRecord } = this.#options;
    const { uid, listeners, targets, state, rate } = session;
    const place = { node: this.#nodeOf(session), ports: listeners.map(({ port }) => port), rate };
    const opening = this.#opening(session, place, toRecord(session));
    if (!canResume(session)) {
      this.#log("info", uid, `was ${state} when the control server ended; it is over`);
      onRecovered?.("over");
      store.delete(uid);
      const drains = state === "draining" && listeners.length > 0;
      return drains ? { opening, targets, drainMs } : undefined;
    }
    onRecovered?.("resumed");
    const hello = Promise.withResolvers<void>();
    hello.resolve();
    const live: Live = { session, channels: listeners.length, hello, place };
    placement.hold(place);
    this.#sessions.add(live);
    const reason = "taken up again after the control server was restarted";
    if (state === "failed") {
      this.step(live, "recover", reason);
    } else if (state === "ready" && targets.length > 0) {
      // Its update was written down and then not finished. It is now.
      this.step(live, "update", reason);
    } else {
      session.reason = reason;
      store.put(session);
    }
    if (session.state === "ready") this.expect(live, "update");
    this.#log("info", uid, `${session.state}: ${reason}`);
    return { opening, targets };
  }

  /** The node that a session is on, as it is now, or as the session knew it where it is lost. */
  #nodeOf({ node: name, listeners }: Session): GatewayNode {
    const node = this.#options.placement.node(name);
    if (node) return node;
    const told = listeners[0]?.host ?? "";
    const host = { told, bound: told };
    return { name, PROD: host, CONS: host, capacity: 0 };
  }

  /** Ends the session unless this comes in time; whatever was waited for before is not any more. */
  expect(live: Live, missing: "hello" | "update"): void {
    const { helloTimeoutMs } = this.#options;
    live.expiry?.();
    live.expiry = after(helloTimeoutMs, () => {
      const reason = `no ${missing} arrived within ${helloTimeoutMs / 1000} s`;
      const sentence = `${reason}; everything reserved for ${live.session.uid} is released`;
      this.fail(live, "expire", reason, new ScistreamError("TIMEOUT", sentence));
    });
  }

  /** Ends a session that nobody released. */
  fail(
    live: Live,
    event: "fault" | "cancel" | "expire",
    reason: string,
    error?: ScistreamError,
  ): void {
    if (live.ending) return;
    this.step(live, event, reason);
    live.hello.reject(error ?? new ScistreamError("CONN_ERROR", reason));
    live.ending = this.#free(live, 0).catch((failure) =>
      this.#log("error", live.session.uid, `clean-up: ${messageOf(failure)}`)
    );
  }

  /**
   * Frees everything that a session holds, after its connections ended or `drainMs`. A second call
   * hurries the first.
   * @param pending what its req is answered if it still waits
   */
  release(live: Live, drainMs: number, pending: ScistreamError): Promise<void> {
    if (live.ending) {
      // Not awaited: it hurries the close that `ending` waits for.
      this.#options.dataServer.close(live.session.uid.hash, drainMs).catch(() => {});
      return live.ending;
    }
    this.step(live, "release");
    reach("release.recorded");
    live.hello.reject(pending);
    live.ending = this.#free(live, drainMs).finally(() => this.step(live, "drained"));
    return live.ending;
  }

  async #free(live: Live, drainMs: number): Promise<void> {
    const { dataServer, placement, store } = this.#options;
    const { uid } = live.session;
    live.expiry?.();
    // Ended while its listeners were being opened: what is half open cannot be closed.
    await live.opening?.catch(() => {});
    try {
      await dataServer.close(uid.hash, drainMs);
      reach("release.closed");
    } finally {
      if (live.place) placement.give(live.place);
      live.place = undefined;
      store.delete(uid);
      this.#sessions.delete(uid);
      const { state } = live.session;
      this.#options.onEnded?.(state === "draining" ? "released" : state);
      reach("release.done");
    }
  }

  /**
   * Takes a session to the state that the event leads to, and keeps it.
   * @throws {ScistreamError} BAD_FORMAT where the event cannot happen; NO_RESOURCE, CONN_ERROR where it
   * must be kept and cannot
   */
  step(live: Live, event: Event, reason = ""): void {
    const { session } = live;
    const to = this.assertCan(session, event);
    const { state: from, reason: before } = session;
    session.state = to;
    session.reason = reason;
    try {
      if (this.#sessions.get(session.uid.hash)) this.#keep(session, event);
    } catch (error) {
      session.state = from;
      session.reason = before;
      throw error;
    }
    // Whoever reads it can rely on it, even if this process is killed now.
    if (to !== from) this.#log("info", session.uid, `${from} → ${to}${reason && `: ${reason}`}`);
    if (BY_ITSELF.includes(event)) this.#options.onEvent?.(event, session);
  }

  #keep(session: Session, event: Event): void {
    const { store } = this.#options;
    if (KEPT_FIRST.includes(event)) store.put(session);
    else store.note(session);
  }

  /** @throws {ScistreamError} BAD_FORMAT where the event cannot happen now */
  assertCan(session: Session, event: Event): State {
    const to = next(session.state, event);
    if (to) return to;
    throw new ScistreamError(
      "BAD_FORMAT",
      `${event} cannot be done while ${session.uid} is ${session.state}`,
    );
  }

  #log(level: "info" | "warn" | "error", uid: Uid, message: string): void {
    this.#options.log(level, `${uid}: ${message}`);
  }
}

/** Whether a later control server can take it up: its req was answered, and it is not over. */
export function canResume({ state, listeners }: Session): boolean {
  return ["ready", "streaming", "failed"].includes(state) && listeners.length > 0;
}

/** The session's listeners are there. */
function takePlace(session: Session, { node, ports }: Place): void {
  session.node = node.name;
  session.listeners = ports.map((port) => new Endpoint(node[session.role].told, port));
}
