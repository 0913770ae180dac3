/**
 * The sessions of a gateway together: who may reach which, and whether there is room for more.
 * @module
 */
import type { Principal } from "../auth/authenticator.ts";
import { ScistreamError, Status } from "../protocol/errors.ts";
import type { Uid } from "../protocol/uid.ts";
import type { Rate, RatePolicy } from "../protocol/values.ts";
import { assertWithin, notYours, owns, type Quotas } from "./owner.ts";
import type { Session } from "./session.ts";

/** A session, and what its gateway has to do with it. */
export interface Held {
  readonly session: Session;
  /** As requested; the listeners are not there from the beginning. */
  readonly channels: number;
  /** Set once the session is ending. */
  ending?: Promise<void>;
}

/** How much a gateway takes on. */
export interface Bounds {
  /** Sessions at once. */
  readonly maxSessions: number;
  /** Channels of one session. */
  readonly maxConn: number;
  /** What the rates of requests mean here. */
  readonly ratePolicy: RatePolicy;
  /** Kilobytes per second that all sessions' rates together may reach; 0 is no bound. */
  readonly capacity: Rate;
  /** What one caller may have, where callers are known. */
  readonly quotas: Quotas;
}

/** A session by its uid, or by its public id as list tells it. */
export type Which = Uid | string;

/** Sessions by uid. A call that says who makes it reaches that caller's own. */
export class Sessions<H extends Held> {
  readonly #all = new Map<string, H>();
  /** Of each owner, likewise by the uid's hash. */
  readonly #owned = new Map<string, Map<string, H>>();
  /** All rates together. */
  #reserved: Rate = 0;
  readonly #bounds: Bounds;

  constructor(bounds: Bounds) {
    this.#bounds = bounds;
  }

  /** How many there are. */
  get size(): number {
    return this.#all.size;
  }

  /** All of them, oldest first. */
  all(): H[] {
    return [...this.#all.values()];
  }

  /** By the hash of its uid, for whoever is asked by no caller. */
  get(hash: string): H | undefined {
    return this.#all.get(hash);
  }

  add(held: H): void {
    const { uid: { hash }, owner, rate } = held.session;
    this.#all.set(hash, held);
    this.#reserved += rate;
    if (!owner) return;
    const own = this.#owned.get(owner.id) ?? new Map();
    this.#owned.set(owner.id, own.set(hash, held));
  }

  delete({ hash }: Uid): void {
    const held = this.#all.get(hash);
    if (!held) return;
    const { owner, rate } = held.session;
    this.#all.delete(hash);
    this.#reserved -= rate;
    const own = owner && this.#owned.get(owner.id);
    own?.delete(hash);
    if (own?.size === 0) this.#owned.delete(owner?.id ?? "");
  }

  /** Gives a session another rate; of one that is not there any more, nothing is reserved. */
  rerate(session: Session, rate: Rate): void {
    if (this.#all.get(session.uid.hash)?.session === session) this.#reserved += rate - session.rate;
    session.rate = rate;
  }

  /** How many are so. */
  count(isSo: (session: Session) => boolean): number {
    let count = 0;
    for (const { session } of this.#all.values()) if (isSo(session)) count++;
    return count;
  }

  /** The caller's sessions, and an administrator every session. */
  visibleTo(who: Principal | undefined): H[] {
    return who === undefined || who.admin ? this.all() : this.#ownedBy(who.id);
  }

  /** Oldest first. */
  #ownedBy(owner: string): H[] {
    return [...this.#owned.get(owner)?.values() ?? []];
  }

  /**
   * The caller's own session.
   * @throws {ScistreamError} INVALID_UID, AUTH_ERROR
   */
  own(uid: Uid, who: Principal | undefined): H {
    const held = this.#all.get(uid.hash);
    if (held && owns(held.session, who)) return held;
    throw who ? notYours(String(uid)) : unknown(uid);
  }

  /**
   * The caller's own session, or for an administrator anybody's.
   * @throws {ScistreamError} INVALID_UID, AUTH_ERROR
   */
  managed(which: Which, who: Principal | undefined): H {
    if (typeof which === "string") return this.#named(which, who);
    if (!who?.admin) return this.own(which, who);
    const held = this.#all.get(which.hash);
    if (held) return held;
    throw unknown(which);
  }

  /** By the public id, for callers who have proven who they are: others prove it by the uid. */
  #named(name: string, who: Principal | undefined): H {
    if (!who) {
      throw new ScistreamError(
        "AUTH_ERROR",
        "a session is named by its uid here, because this control server does not authenticate callers",
        { status: Status.PERMISSION_DENIED },
      );
    }
    const [held, second] = this.visibleTo(who).filter(({ session }) =>
      session.uid.session === name
    );
    if (!held) throw notYours(`session ${name}`);
    if (!second) return held;
    throw new ScistreamError("INVALID_UID", `several sessions are called ${name}; use the uid`, {
      status: Status.INVALID_ARGUMENT,
    });
  }

  /**
   * That there is room for one more.
   * @throws {ScistreamError} INVALID_UID, NO_RESOURCE, RATE_LIMIT
   */
  assertRoom(
    { uid, numConn, rate }: { uid: Uid; numConn: number; rate: Rate },
    who: Principal | undefined,
  ): void {
    const { maxSessions, maxConn } = this.#bounds;
    if (this.#all.has(uid.hash)) {
      throw new ScistreamError(
        "INVALID_UID",
        `${uid} exists already; release it or use another uid`,
        { status: Status.ALREADY_EXISTS },
      );
    }
    if (numConn > maxConn) {
      throw new ScistreamError(
        "NO_RESOURCE",
        `${numConn} channels asked for, this gateway gives a session at most ${maxConn}`,
      );
    }
    if (this.#all.size >= maxSessions) {
      throw new ScistreamError(
        "NO_RESOURCE",
        `this gateway already has its ${maxSessions} sessions; try again when one is released`,
      );
    }
    this.#assertCapacity(rate);
    if (who) this.#assertQuota(who.id, { channels: numConn, rate });
  }

  /**
   * That a session's rate may become this one.
   * @throws {ScistreamError} NO_RESOURCE, RATE_LIMIT
   */
  assertRate(session: Session, rate: Rate): void {
    this.#assertCapacity(rate, session);
    if (session.owner) this.#assertQuota(session.owner.id, { channels: 0, rate }, session);
  }

  /** That the rates of all, this one's being `rate`, are within the capacity. */
  #assertCapacity(rate: Rate, except?: Session): void {
    const { ratePolicy, capacity } = this.#bounds;
    if (ratePolicy === "ignore" || capacity === 0) return;
    const reserved = this.#reserved - (except?.rate ?? 0);
    if (reserved + rate <= capacity) return;
    throw new ScistreamError(
      "NO_RESOURCE",
      `a rate of ${rate} kB/s was asked for, and ${Math.max(0, capacity - reserved)} of this ` +
        `gateway's ${capacity} kB/s are not reserved; ask for a lower rate or release a session`,
    );
  }

  /** That the owner may have this beside the other sessions. */
  #assertQuota(owner: string, asked: { channels: number; rate: Rate }, except?: Session): void {
    const others = this.#ownedBy(owner).filter(({ session, ending }) =>
      session !== except && !ending
    );
    assertWithin(this.#bounds.quotas, others, asked);
  }
}

function unknown(uid: Uid): ScistreamError {
  return new ScistreamError(
    "INVALID_UID",
    `${uid} does not exist here; it was never requested, or it is released or expired`,
  );
}
