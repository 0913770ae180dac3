/**
 * The sessions of one gateway: what each call of contract section 3 does to them.
 * @module
 */
import type { Principal } from "../auth/authenticator.ts";
import type { Networks } from "../protocol/cidr.ts";
import { Endpoint } from "../protocol/endpoint.ts";
import { messageOf, ScistreamError } from "../protocol/errors.ts";
import type { Uid } from "../protocol/uid.ts";
import type { Rate, Role, SessionRequest } from "../protocol/values.ts";
import {
  type ChannelStatus,
  type DataServer,
  idleChannel,
  type Opening,
  PortsInUse,
  type Resumed,
} from "../s2ds/data_server.ts";
import { EarlyHellos } from "./early_hellos.ts";
import { notYours, owns } from "./owner.ts";
import type { PortPool } from "./ports.ts";
import type { Session } from "./session.ts";
import { type Bounds, type Held, Sessions, type Which } from "./sessions.ts";
import { type Event, next } from "./state.ts";
import type { SessionStore } from "./store.ts";

/** What no call does. */
const BY_ITSELF: readonly Event[] = ["fault", "recover", "cancel", "expire"];

/** Settings of a gateway. */
export interface GatewayOptions extends Bounds {
  store: SessionStore;
  ports: PortPool;
  dataServer: DataServer;
  /** Host that peers are told for the listeners of this role, and host to bind them on. */
  hosts: (role: Role) => { told: string; bound: string };
  /** How long a req waits for its hello, and a ready session for its update. */
  helloTimeoutMs: number;
  /** How long an early hello waits for its req. */
  earlyTimeoutMs: number;
  /** Where data connections may come from; a session may allow less. */
  allow?: Networks;
  /** What a session's user should know about this uid, a sentence each. */
  warnings: (uid: Uid) => string[];
  /** How long released sessions' established connections may go on. */
  drainTimeoutMs: number;
  log: (level: "debug" | "info" | "warn" | "error", message: string) => void;
  /** Told what happened to a session by itself, and not by a call. */
  onEvent?: (event: Event, session: Session) => void;
}

/** What a session has beside its record, while this process lives. */
interface Live extends Held {
  /** Settled by hello, or by whatever ends the session before it. */
  hello: PromiseWithResolvers<void>;
  expiry?: ReturnType<typeof setTimeout>;
  ports: number[];
  /** Settled once the data server holds the listeners, or will not. */
  opening?: Promise<void>;
}

/** A session and its channels' numbers, for status and list. */
export interface SessionReport {
  session: Session;
  channels: ChannelStatus[];
}

/** The answer to req and update. */
export interface Connections {
  listeners: readonly Endpoint[];
  prodListeners: readonly Endpoint[];
}

/**
 * Owns the sessions, their ports and what the data server does for them. Each call may say who makes
 * it; then it reaches that caller's own sessions only, and all of them where callers are not known.
 */
export class Gateway {
  readonly #options: GatewayOptions;
  readonly #sessions: Sessions<Live>;
  readonly #early: EarlyHellos<Live>;
  #closing = false;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#sessions = new Sessions(options);
    this.#early = new EarlyHellos(options.maxSessions, options.earlyTimeoutMs);
  }

  /**
   * Reserves listeners and waits for the session's hello.
   * @throws {ScistreamError} INVALID_UID, NO_RESOURCE, CONN_ERROR, TIMEOUT, UNAVAILABLE
   */
  async req(
    request: SessionRequest,
    signal: AbortSignal,
    who?: Principal,
  ): Promise<Connections> {
    const live = this.#reserve(request, who);
    const { session } = live;
    const cancel = () => {
      if (next(session.state, "cancel")) {
        this.#fail(live, "cancel", "the client went away before hello");
      }
    };
    signal.addEventListener("abort", cancel, { once: true });
    if (signal.aborted) cancel();
    try {
      live.opening = this.#listen(live, request.numConn);
      await live.opening;
      if (live.ending) await live.hello.promise;
      this.#step(live, "listen");
      const { helloTimeoutMs } = this.#options;
      live.expiry = setTimeout(() => this.#expire(live, "hello"), helloTimeoutMs);
      this.#early.arrived(session.uid, live);
      await live.hello.promise;
    } catch (error) {
      // Whatever ended the session says why; an error of our own ends it.
      if (!live.ending) this.#fail(live, "fault", messageOf(error));
      await live.ending;
      throw error;
    } finally {
      signal.removeEventListener("abort", cancel);
    }
    const prodListeners = session.role === "PROD" ? session.appListeners : [];
    return { listeners: session.listeners, prodListeners };
  }

  /**
   * Takes the application's addresses. Waits for the session's req if that is not here yet; for a
   * session of somebody else too, so that nothing tells the two apart.
   * @throws {ScistreamError} INVALID_UID, AUTH_ERROR, BAD_FORMAT, RATE_LIMIT, UNAVAILABLE
   */
  async hello(
    request: { uid: Uid; role: Role; appListeners: readonly Endpoint[] },
    signal: AbortSignal,
    who?: Principal,
  ): Promise<readonly Endpoint[]> {
    const { uid, appListeners } = request;
    this.#assertOpen();
    const mine = ({ session }: Live) => owns(session, who);
    let live = this.#sessions.get(uid.hash);
    if (!live || !mine(live) || live.session.state === "reserved") {
      this.#log("info", uid, "hello is early; it waits for its req");
      live = await this.#early.wait(uid, signal, mine, this.#tooEarly(uid, who));
    }
    const { session } = live;
    if (session.role === "PROD" && appListeners.length === 0) {
      throw new ScistreamError(
        "BAD_FORMAT",
        "prod_listeners is empty, but a producer's session needs the application's addresses",
      );
    }
    const first = session.state === "waiting";
    this.#step(live, "hello");
    session.appListeners = [...appListeners];
    this.#options.store.put(session);
    if (first) {
      clearTimeout(live.expiry);
      live.expiry = setTimeout(() => this.#expire(live, "update"), this.#options.helloTimeoutMs);
      live.hello.resolve();
    }
    return session.listeners;
  }

  /**
   * Sets the targets, repeated over the channels: channel i forwards to target i mod n. With a rate,
   * sets that too; then there may be no targets, and they stay.
   * @throws {ScistreamError} INVALID_UID, AUTH_ERROR, BAD_FORMAT, NO_RESOURCE, RATE_LIMIT, CONN_ERROR
   */
  async update(
    request: { uid: Uid; targets: readonly Endpoint[]; rate?: Rate },
    who?: Principal,
  ): Promise<Connections> {
    const live = this.#sessions.own(request.uid, who);
    const { session } = live;
    this.#assertCan(session, "update");
    const { targets, rate } = request;
    if (rate !== undefined) await this.#setRate(live, rate);
    if (targets.length === 0 && rate !== undefined) {
      return { listeners: session.listeners, prodListeners: session.targets };
    }
    if (targets.length === 0) {
      throw new ScistreamError("BAD_FORMAT", "remote_listeners is empty; name at least one target");
    }
    const perChannel = session.listeners.map((_, i) => targets[i % targets.length] as Endpoint);
    const before = session.targets;
    // Written before it is done: whoever takes over in the middle does it again.
    session.targets = perChannel;
    this.#options.store.put(session);
    try {
      await this.#options.dataServer.target(session.uid.hash, perChannel);
    } catch (error) {
      session.targets = before;
      this.#options.store.put(session);
      throw error;
    }
    this.#step(live, "update");
    clearTimeout(live.expiry);
    return { listeners: session.listeners, prodListeners: perChannel };
  }

  /**
   * Frees everything that the session holds, after its connections ended or the drain timeout.
   * @throws {ScistreamError} INVALID_UID, AUTH_ERROR, or CONN_ERROR when the data server did not confirm
   */
  async release(which: Which, force = false, who?: Principal): Promise<void> {
    const live = this.#sessions.managed(which, who);
    await this.#release(live, force ? 0 : this.#options.drainTimeoutMs, "released");
  }

  /** @throws {ScistreamError} INVALID_UID, AUTH_ERROR */
  async status(which: Which, who?: Principal): Promise<SessionReport> {
    return await this.#report(this.#sessions.managed(which, who));
  }

  /** The caller's sessions, and an administrator every session, oldest first. */
  list(who?: Principal): Promise<SessionReport[]> {
    return Promise.all(this.#sessions.visibleTo(who).map((live) => this.#report(live)));
  }

  /** How many sessions there are. */
  get size(): number {
    return this.#sessions.size;
  }

  /**
   * Takes no more sessions and releases all, or with `keep` those that nobody could take up again. A
   * second call with a smaller `drainMs` hurries it.
   */
  async close(drainMs: number, keep = false): Promise<void> {
    this.#closing = true;
    this.#early.rejectAll(shuttingDown());
    const over = this.#sessions.all().filter((live) => {
      if (!keep || live.ending || !canResume(live.session)) return true;
      clearTimeout(live.expiry);
      return false;
    });
    await Promise.allSettled(
      over.map((live) => this.#release(live, drainMs, "s2cs is shutting down")),
    );
  }

  /** The data server noticed something about a session. */
  note(hash: string, note: string): void {
    const live = this.#sessions.get(hash);
    if (live) this.#log("warn", live.session.uid, note);
  }

  /** Whether sessions are held to their rates. */
  get enforcesRates(): boolean {
    return this.#options.ratePolicy === "enforce";
  }

  /** The data server lost this session's channels for good: it is kept, so that its owner can ask. */
  fault(hash: string, reason: string): void {
    const live = this.#sessions.get(hash);
    if (!live || live.ending) return;
    if (live.session.state === "streaming") {
      this.#step(live, "fault", reason);
    } else {
      this.#fail(live, "fault", reason);
    }
  }

  /** The data server lost this session's channels for now. One that does not stream yet can wait. */
  down(hash: string, reason: string): void {
    const live = this.#sessions.get(hash);
    if (!live || live.ending || !next(live.session.state, "fault")) return;
    if (live.session.state === "streaming" || live.session.state === "failed") {
      this.#step(live, "fault", reason);
    }
  }

  /** The data server brought this session's channels back. */
  up(hash: string): void {
    const live = this.#sessions.get(hash);
    if (live?.session.state !== "failed" || live.ending) return;
    this.#step(live, "recover", `recovered; before, ${live.session.reason}`);
  }

  async #setRate({ session }: Live, rate: Rate): Promise<void> {
    const { ratePolicy, dataServer, store } = this.#options;
    this.#sessions.assertRate(session, rate);
    const before = session.rate;
    session.rate = rate;
    store.put(session);
    try {
      if (ratePolicy === "enforce") await dataServer.limit(session.uid.hash, rate);
    } catch (error) {
      session.rate = before;
      store.put(session);
      throw error;
    }
    this.#log("info", session.uid, `rate ${before} → ${rate} kB/s`);
  }

  /** What the session allows must be within what the gateway allows: both are asked. */
  #assertAllowed(allow?: Networks): void {
    const { dataServer } = this.#options;
    if (!allow || dataServer.abilities.allow) return;
    throw new ScistreamError(
      "NOT_IMPLEMENTED",
      `this gateway's data servers (${dataServer.type}) cannot let in some networks only; ` +
        "ask without allow",
    );
  }

  #reserve(request: SessionRequest, who?: Principal): Live {
    const { uid, role, numConn, rate, allow } = request;
    this.#assertOpen();
    this.#sessions.assertRoom(request, who);
    this.#assertAllowed(allow);
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
      listeners: [],
      appListeners: [],
      targets: [],
    };
    const live: Live = {
      session,
      channels: numConn,
      hello: Promise.withResolvers(),
      ports: [],
    };
    // Whoever ends the session before its req waits for it must not leave an unhandled rejection.
    live.hello.promise.catch(() => {});
    this.#sessions.add(live);
    this.#options.store.put(session);
    this.#log("info", uid, `${role}, ${numConn} channels${who ? ` for ${who.name}` : ""}`);
    for (const warning of warnings) this.#log("warn", uid, warning);
    return live;
  }

  /** Finds ports that nobody uses and has the data server listen on them. */
  async #listen(live: Live, numConn: number): Promise<void> {
    const { ports, dataServer, hosts, store } = this.#options;
    const { session } = live;
    const { told } = hosts(session.role);
    const strangers = new Set<number>();
    for (;;) {
      live.ports = ports.take(numConn, strangers);
      try {
        await dataServer.open(this.#opening(session, live.ports));
        break;
      } catch (error) {
        ports.give(live.ports);
        live.ports = [];
        if (!(error instanceof PortsInUse)) throw error;
        for (const port of error.ports) strangers.add(port);
        this.#log("warn", session.uid, `${error.message}; other ports are used`);
        if (live.ending) return;
      }
    }
    session.listeners = live.ports.map((port) => new Endpoint(told, port));
    store.put(session);
  }

  /** What the data server holds for a session with these ports. */
  #opening({ uid, role, allow, rate }: Session, ports: readonly number[]): Opening {
    const { bound } = this.#options.hosts(role);
    return {
      uid,
      role,
      listeners: ports.map((port) => new Endpoint(bound, port)),
      allow: [this.#options.allow, allow].filter((each) => each !== undefined),
      limit: this.enforcesRates ? rate : 0,
    };
  }

  /**
   * Takes up the sessions that an earlier control server of this gateway left. Those whose req was
   * never answered are over, and so are those that were ending: nobody waits for them. Answers what
   * the data server must hold; what it cannot bring back it tells as a fault.
   */
  restore(): Resumed[] {
    const { store, ports } = this.#options;
    return store.all().flatMap((session) => {
      const { uid, listeners, targets, state } = session;
      if (!canResume(session)) {
        this.#log("info", uid, `was ${state} when the control server ended; it is over`);
        store.delete(uid);
        return [];
      }
      const hello = Promise.withResolvers<void>();
      hello.resolve();
      const live: Live = {
        session,
        channels: listeners.length,
        hello,
        ports: listeners.map(({ port }) => port),
      };
      ports.hold(live.ports);
      this.#sessions.add(live);
      const reason = "taken up again after the control server was restarted";
      if (state === "failed") this.#step(live, "recover", reason);
      else session.reason = reason;
      store.put(session);
      if (state === "ready") {
        live.expiry = setTimeout(
          () => this.#expire(live, "update"),
          this.#options.helloTimeoutMs,
        );
      }
      this.#log("info", uid, `${state}: ${reason}`);
      return [{ opening: this.#opening(session, live.ports), targets }];
    });
  }

  /** Ends a session that nobody released. */
  #fail(
    live: Live,
    event: "fault" | "cancel" | "expire",
    reason: string,
    error?: ScistreamError,
  ): void {
    if (live.ending) return;
    this.#step(live, event, reason);
    live.hello.reject(error ?? new ScistreamError("CONN_ERROR", reason));
    live.ending = this.#free(live, 0).catch((failure) =>
      this.#log("error", live.session.uid, `clean-up: ${messageOf(failure)}`)
    );
  }

  #expire(live: Live, missing: "hello" | "update"): void {
    const { helloTimeoutMs } = this.#options;
    const reason = `no ${missing} arrived within ${helloTimeoutMs / 1000} s`;
    this.#fail(
      live,
      "expire",
      reason,
      new ScistreamError(
        "TIMEOUT",
        `${reason}; everything reserved for ${live.session.uid} is released`,
      ),
    );
  }

  #release(live: Live, drainMs: number, why: string): Promise<void> {
    if (live.ending) {
      // Not awaited: it hurries the close that `ending` waits for.
      this.#options.dataServer.close(live.session.uid.hash, drainMs).catch(() => {});
      return live.ending;
    }
    this.#step(live, "release");
    live.hello.reject(
      this.#closing
        ? shuttingDown()
        : new ScistreamError("INVALID_UID", `${live.session.uid} was ${why}`),
    );
    live.ending = this.#free(live, drainMs).finally(() => this.#step(live, "drained"));
    return live.ending;
  }

  async #free(live: Live, drainMs: number): Promise<void> {
    const { dataServer, ports, store } = this.#options;
    const { uid } = live.session;
    clearTimeout(live.expiry);
    // Ended while its listeners were being opened: what is half open cannot be closed.
    await live.opening?.catch(() => {});
    try {
      await dataServer.close(uid.hash, drainMs);
    } finally {
      ports.give(live.ports);
      store.delete(uid);
      this.#sessions.delete(uid);
    }
  }

  #step(live: Live, event: Event, reason = ""): void {
    const { session } = live;
    const to = this.#assertCan(session, event);
    const from = session.state;
    session.state = to;
    session.reason = reason;
    if (this.#sessions.get(session.uid.hash)) this.#options.store.put(session);
    // Whoever reads it can rely on it, even if this process is killed now.
    if (to !== from) this.#log("info", session.uid, `${from} → ${to}${reason && `: ${reason}`}`);
    if (BY_ITSELF.includes(event)) this.#options.onEvent?.(event, session);
  }

  #assertCan(session: Session, event: Event) {
    const to = next(session.state, event);
    if (to) return to;
    throw new ScistreamError(
      "BAD_FORMAT",
      `${event} cannot be done while ${session.uid} is ${session.state}`,
    );
  }

  #assertOpen(): void {
    if (this.#closing) throw shuttingDown();
  }

  /** What a hello is answered whose req does not come. */
  #tooEarly(uid: Uid, who: Principal | undefined): ScistreamError {
    if (who) return notYours(String(uid));
    return new ScistreamError(
      "INVALID_UID",
      `no req for ${uid} arrived within ${
        this.#options.earlyTimeoutMs / 1000
      } s; is the uid right, and this its gateway?`,
    );
  }

  async #report(live: Live): Promise<SessionReport> {
    const { session } = live;
    let channels: ChannelStatus[] = [];
    let lastError = "";
    try {
      channels = await this.#options.dataServer.status(session.uid.hash);
    } catch (error) {
      // Status is asked for when something is wrong: what is known is told all the same.
      lastError = messageOf(error);
    }
    const unknown = { ...idleChannel(), lastError };
    return { session, channels: session.listeners.map((_, i) => channels[i] ?? unknown) };
  }

  #log(level: "info" | "warn" | "error", uid: Uid, message: string): void {
    this.#options.log(level, `${uid}: ${message}`);
  }
}

/** Whether a later control server can take it up: its req was answered, and it is not over. */
function canResume({ state, listeners }: Session): boolean {
  return ["ready", "streaming", "failed"].includes(state) && listeners.length > 0;
}

function shuttingDown(): ScistreamError {
  return new ScistreamError("UNAVAILABLE", "this control server is shutting down; try again later");
}
