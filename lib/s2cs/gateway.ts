/**
 * The sessions of one gateway: what each call of contract section 3 does to them.
 * @module
 */
import type { Principal } from "../auth/authenticator.ts";
import type { Networks } from "../protocol/cidr.ts";
import type { Endpoint } from "../protocol/endpoint.ts";
import { messageOf, ScistreamError } from "../protocol/errors.ts";
import { traced } from "../trace.ts";
import type { Uid } from "../protocol/uid.ts";
import type { Rate, Role, SessionRequest } from "../protocol/values.ts";
import { type ChannelStatus, idleChannel, type Resumed } from "../s2ds/data_server.ts";
import { EarlyHellos } from "./early_hellos.ts";
import { reach } from "../fault_points.ts";
import { canResume, type LifeOptions, type Live, Lives } from "./lives.ts";
import { notYours, owns } from "./owner.ts";
import type { Session } from "./session.ts";
import { Sessions, type Which } from "./sessions.ts";
import { next, type State } from "./state.ts";

/** Settings of a gateway. */
export interface GatewayOptions extends LifeOptions {
  /** How long an early hello waits for its req, and how many may wait. */
  earlyTimeoutMs: number;
  earlyHellos: number;
  /** Told of a hello that is one too many. */
  onTooManyHellos?: (uid: Uid) => void;
  /** How long released sessions' established connections may go on. */
  drainTimeoutMs: number;
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
  readonly #lives: Lives;
  readonly #early: EarlyHellos<Live>;
  #closing = false;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#sessions = new Sessions(options);
    this.#lives = new Lives(options, this.#sessions);
    this.#early = new EarlyHellos(options);
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
    this.#assertOpen();
    this.#assertAllowed(request.allow);
    const lives = this.#lives;
    const live = lives.begin(request, who);
    const { session } = live;
    const cancel = () => {
      if (next(session.state, "cancel")) {
        lives.fail(live, "cancel", "the client went away before hello");
      }
    };
    signal.addEventListener("abort", cancel, { once: true });
    if (signal.aborted) cancel();
    try {
      reach("req.recorded");
      live.opening = this.#traced(
        "open listeners",
        live,
        () => lives.listen(live),
      );
      await live.opening;
      if (live.ending) await live.hello.promise;
      lives.step(live, "listen");
      live.setUp?.done("listen");
      lives.expect(live, "hello");
      this.#early.arrived(session.uid, live);
      await this.#traced("wait for hello", live, () => live.hello.promise);
      reach("req.answering");
    } catch (error) {
      // Whatever ended the session says why; an error of our own ends it.
      if (!live.ending) lives.fail(live, "fault", messageOf(error));
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
   * @throws {ScistreamError} INVALID_UID, AUTH_ERROR, BAD_FORMAT, RATE_LIMIT, NO_RESOURCE, UNAVAILABLE
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
    this.#lives.assertCan(session, "hello");
    const before = session.appListeners;
    session.appListeners = [...appListeners];
    reach("hello.taken");
    try {
      this.#lives.step(live, "hello");
    } catch (error) {
      session.appListeners = before;
      throw error;
    }
    reach("hello.recorded");
    if (first) {
      live.setUp?.done("hello");
      this.#lives.expect(live, "update");
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
    this.#lives.assertCan(session, "update");
    const { targets, rate } = request;
    if (rate !== undefined) {
      await this.#setRate(live, rate);
      // It may have been released meanwhile.
      this.#lives.assertCan(session, "update");
    }
    if (targets.length === 0 && rate !== undefined) {
      return { listeners: session.listeners, prodListeners: session.targets };
    }
    if (targets.length === 0) {
      throw new ScistreamError("BAD_FORMAT", "remote_listeners is empty; name at least one target");
    }
    const perChannel = session.listeners.map((_, i) => targets[i % targets.length] as Endpoint);
    const { targets: before, state } = session;
    const { dataServer, store, toRecord } = this.#options;
    // Written before it is done: whoever takes over in the middle does it again.
    session.targets = perChannel;
    try {
      store.put(session);
      reach("update.recorded");
      const record = toRecord({ ...session, state: "streaming" });
      await this.#traced(
        "set targets",
        live,
        () => dataServer.target(session.uid.hash, perChannel, record),
      );
      reach("update.applied");
    } catch (error) {
      session.targets = before;
      this.#takeBack(live);
      throw error;
    }
    this.#lives.step(live, "update");
    if (state === "ready") live.setUp?.done("update");
    reach("update.done");
    live.expiry?.();
    return { listeners: session.listeners, prodListeners: perChannel };
  }

  /**
   * Frees everything that the session holds, after its connections ended or the drain timeout.
   * @throws {ScistreamError} INVALID_UID, AUTH_ERROR, or CONN_ERROR when the data server did not confirm
   */
  async release(which: Which, force = false, who?: Principal): Promise<void> {
    const live = this.#sessions.managed(which, who);
    const pending = new ScistreamError("INVALID_UID", `${live.session.uid} was released`);
    const drainMs = force ? 0 : this.#options.drainTimeoutMs;
    await this.#traced("drain and close", live, () => this.#lives.release(live, drainMs, pending));
  }

  /** @throws {ScistreamError} INVALID_UID, AUTH_ERROR */
  async status(which: Which, who?: Principal): Promise<SessionReport> {
    return await this.#report(this.#sessions.managed(which, who));
  }

  /** From now on it goes by these settings; sessions that are there stay. */
  configure(changed: Partial<GatewayOptions>): void {
    Object.assign(this.#options, changed);
  }

  /** Takes up what an earlier control server left; answers what the data server must hold. */
  restore(): Resumed[] {
    return this.#lives.restore(this.#options.drainTimeoutMs);
  }

  /** The caller's sessions, and an administrator every session, oldest first. */
  list(who?: Principal): Promise<SessionReport[]> {
    return Promise.all(this.#sessions.visibleTo(who).map((live) => this.#report(live)));
  }

  /** How many hellos wait for their req. */
  get earlyHellos(): number {
    return this.#early.size;
  }

  /** How many sessions are in a state, of one role or of both. */
  count(state: State, role?: Role): number {
    return this.#sessions.count((session) =>
      session.state === state && (role === undefined || session.role === role)
    );
  }

  /** How many sessions each node has, by its name. */
  countByNode(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { session: { node } } of this.#sessions.all()) {
      counts.set(node, (counts.get(node) ?? 0) + 1);
    }
    return counts;
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
      live.expiry?.();
      return false;
    });
    await Promise.allSettled(
      over.map((live) => this.#lives.release(live, drainMs, shuttingDown())),
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
      this.#lives.step(live, "fault", reason);
    } else {
      this.#lives.fail(live, "fault", reason);
    }
  }

  /** The data server lost this session's channels for now. One that does not stream yet can wait. */
  down(hash: string, reason: string): void {
    const live = this.#sessions.get(hash);
    if (!live || live.ending || !next(live.session.state, "fault")) return;
    if (live.session.state === "streaming" || live.session.state === "failed") {
      this.#lives.step(live, "fault", reason);
    }
  }

  /** The data server brought this session's channels back. */
  up(hash: string): void {
    const live = this.#sessions.get(hash);
    // What runs on its new node is not yet the session.
    if (live?.session.state !== "failed" || live.ending || live.moving) return;
    this.#lives.step(live, "recover", `recovered; before, ${live.session.reason}`);
  }

  /** The data server lost this session's node. */
  async lost(hash: string, reason: string): Promise<void> {
    const live = this.#sessions.get(hash);
    if (live && next(live.session.state, "fault")) await this.#lives.move(live, reason);
  }

  /** Another control server has ended this session. */
  gone(hash: string, reason: string): void {
    const live = this.#sessions.get(hash);
    if (live) this.#lives.fail(live, "fault", reason);
  }

  /** Keeps what a change that failed was taken back to; not of a session that ended meanwhile, and has no record. */
  #takeBack(live: Live): void {
    const { session } = live;
    if (this.#sessions.get(session.uid.hash) === live) this.#options.store.note(session);
  }

  async #setRate(live: Live, rate: Rate): Promise<void> {
    const { session } = live;
    const { ratePolicy, dataServer, placement, store } = this.#options;
    this.#sessions.assertRate(session, rate);
    const before = session.rate;
    const reserve = (kbps: Rate) => live.place &&= placement.rerate(live.place, kbps);
    reserve(rate);
    this.#sessions.rerate(session, rate);
    try {
      store.put(session);
      if (ratePolicy === "enforce") await dataServer.limit(session.uid.hash, rate);
    } catch (error) {
      this.#sessions.rerate(session, before);
      reserve(before);
      this.#takeBack(live);
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

  /** A step of a session's, as a trace tells it. */
  #traced<T>(step: string, { session, channels }: Live, work: () => Promise<T>): Promise<T> {
    const attributes = {
      "scistream.session": session.uid.session,
      "scistream.role": session.role,
      "scistream.type": this.#options.dataServer.type,
      "scistream.channels": channels,
    };
    return traced(step, { attributes }, work);
  }

  #log(level: "info" | "warn" | "error", uid: Uid, message: string): void {
    this.#options.log(level, `${uid}: ${message}`);
  }
}

/** What calls are answered while it closes. */
export function shuttingDown(): ScistreamError {
  return new ScistreamError("UNAVAILABLE", "this control server is shutting down; try again later");
}
