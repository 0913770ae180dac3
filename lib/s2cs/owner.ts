/**
 * Whose a session is, and who may do what to it.
 * @module
 */
import type { Principal } from "../auth/authenticator.ts";
import { ScistreamError, Status } from "../protocol/errors.ts";
import type { Rate } from "../protocol/values.ts";
import type { Session } from "./session.ts";

/** The identity that made a session. */
export type Owner = Pick<Principal, "id" | "name">;

/** What one identity may have at a time; 0 is no bound. */
export interface Quotas {
  /** Sessions. */
  readonly sessions: number;
  /** Channels of all its sessions together. */
  readonly channels: number;
  /** Kilobytes per second. */
  readonly rate: Rate;
}

/** Whether the session is the caller's own. Where nobody is authenticated, everybody's is. */
export function owns({ owner }: Session, who: Principal | undefined): boolean {
  return who === undefined || owner?.id === who.id;
}

/** Whether the caller is told of the session: an administrator is of every one. */
export function sees(session: Session, who: Principal | undefined): boolean {
  return who?.admin === true || owns(session, who);
}

/**
 * The answer about a session that is not there as well as about one that is somebody else's: nobody
 * learns which uids exist.
 */
export function notYours(what: string): ScistreamError {
  return new ScistreamError(
    "AUTH_ERROR",
    `you have no ${what} here; it is somebody else's, was never requested, or is released or expired`,
    { status: Status.PERMISSION_DENIED },
  );
}

/**
 * That one more session, or a new rate of one, is within what its owner may have.
 * @param own the owner's other sessions
 * @throws {ScistreamError} RATE_LIMIT
 */
export function assertWithin(
  quotas: Quotas,
  own: readonly { session: Session; channels: number }[],
  asked: { channels: number; rate: Rate },
): void {
  const refuse = (sentence: string) => new ScistreamError("RATE_LIMIT", sentence);
  const sum = (of: (each: typeof own[number]) => number) =>
    own.reduce((total, each) => total + of(each), 0);
  if (quotas.sessions > 0 && own.length >= quotas.sessions) {
    throw refuse(`you already have your ${quotas.sessions} sessions here; release one`);
  }
  const channels = sum((each) => each.channels);
  if (quotas.channels > 0 && channels + asked.channels > quotas.channels) {
    throw refuse(
      `${asked.channels} channels asked for, and you have ${channels} of your ${quotas.channels} ` +
        "here; ask for fewer with --num-conn, or release a session",
    );
  }
  if (quotas.rate === 0) return;
  if (asked.rate === 0) {
    throw refuse(`this gateway gives you at most ${quotas.rate} kB/s; ask for a rate with --rate`);
  }
  const rate = sum((each) => each.session.rate);
  if (rate + asked.rate > quotas.rate) {
    throw refuse(
      `a rate of ${asked.rate} kB/s was asked for, and you have ${rate} of your ${quotas.rate} kB/s ` +
        "here; ask for a lower rate, or release a session",
    );
  }
}
