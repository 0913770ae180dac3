/**
 * The small values of a request, validated once at the edge.
 * @module
 */
import type { Networks } from "./cidr.ts";
import { quote, ScistreamError } from "./errors.ts";
import { parsePort } from "./endpoint.ts";
import type { Uid } from "./uid.ts";

/** `PROD`: the producer's side, connections come in from the WAN. `CONS`: the consumer's. */
export type Role = "PROD" | "CONS";

/**
 * A role from outside.
 * @throws {ScistreamError} BAD_FORMAT
 */
export function parseRole(text: string): Role {
  if (text === "PROD" || text === "CONS") return text;
  throw new ScistreamError("BAD_FORMAT", `role ${quote(text)} is neither PROD nor CONS`);
}

/** Kilobytes (1,000 bytes) per second; 0 asks for no limit (contract section 1). */
export type Rate = number;

/**
 * A rate from outside.
 * @throws {ScistreamError} BAD_FORMAT
 */
export function parseRate(value: number): Rate {
  if (Number.isInteger(value) && value >= 0 && value <= 0x7fffffff) return value;
  throw new ScistreamError(
    "BAD_FORMAT",
    `rate ${value} is not a whole number of kilobytes per second from 0 (no limit) to 2147483647`,
  );
}

/**
 * What the rate of a request means to a gateway: nothing; a part of its capacity; or also a limit
 * that the session is held to.
 */
export const RATE_POLICIES = ["ignore", "reserve", "enforce"] as const;
/** One of them. */
export type RatePolicy = typeof RATE_POLICIES[number];

/**
 * A number of channels from outside.
 * @throws {ScistreamError} BAD_FORMAT
 */
export function parseNumConn(value: number): number {
  if (Number.isInteger(value) && value >= 1) return value;
  throw new ScistreamError(
    "BAD_FORMAT",
    `num_conn ${value} is not a number of channels; ask for 1 or more`,
  );
}

/** The ports that a gateway may listen on for data, both ends included. */
export class PortRange {
  /** Of ports that are valid already. */
  constructor(
    /** The lowest port. */
    readonly first: number,
    /** The highest port. */
    readonly last: number,
  ) {}

  /**
   * Takes `5100-5200`, or a single port.
   * @throws {ScistreamError} BAD_FORMAT
   */
  static parse(text: string): PortRange {
    const parts = text.split("-");
    const first = parsePort(parts[0] ?? "", "first port of port range");
    const last = parsePort(parts[1] ?? parts[0] ?? "", "last port of port range");
    if (parts.length > 2) {
      throw new ScistreamError(
        "BAD_FORMAT",
        `port range ${quote(text)} is not FIRST-LAST, as in 5100-5200`,
      );
    }
    if (first > last) {
      throw new ScistreamError("BAD_FORMAT", `port range ${quote(text)} ends before it begins`);
    }
    return new PortRange(first, last);
  }

  /** How many ports there are. */
  get size(): number {
    return this.last - this.first + 1;
  }

  /** `first-last`. */
  toString(): string {
    return `${this.first}-${this.last}`;
  }
}

/** What a session is asked for with. */
export interface SessionRequest {
  /** Its name and secret. */
  uid: Uid;
  /** Which side the control server is. */
  role: Role;
  /** Channels. */
  numConn: number;
  /** The rate asked for. */
  rate: Rate;
  /** Networks that data connections may come from; from everywhere if not given. */
  allow?: Networks;
}
