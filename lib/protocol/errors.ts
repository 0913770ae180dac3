/**
 * Errors that cross the wire or reach a user: one class, one table (contract section 4).
 * @module
 */

/** gRPC status numbers that SciStream's errors use (grpc.io "Status codes"). */
export const Status = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

/** The codes of contract section 4, each with the statuses that it may travel under; the first is the usual one. */
export const ERROR_CODES = {
  AUTH_ERROR: [Status.UNAUTHENTICATED, Status.PERMISSION_DENIED],
  INVALID_UID: [Status.NOT_FOUND, Status.ALREADY_EXISTS, Status.INVALID_ARGUMENT],
  BAD_FORMAT: [Status.INVALID_ARGUMENT],
  NO_RESOURCE: [Status.RESOURCE_EXHAUSTED],
  RATE_LIMIT: [Status.RESOURCE_EXHAUSTED],
  CONN_ERROR: [Status.UNAVAILABLE],
  TIMEOUT: [Status.DEADLINE_EXCEEDED],
  NOT_IMPLEMENTED: [Status.UNIMPLEMENTED],
  VERSION_ERR: [Status.FAILED_PRECONDITION],
  UNAVAILABLE: [Status.UNAVAILABLE],
  SERVER_ERR: [Status.INTERNAL],
} as const;

/** A code of contract section 4. */
export type ErrorCode = keyof typeof ERROR_CODES;

/**
 * An error with a stable code and a sentence for the user: what failed, the value, what to do.
 * The sentence never holds a secret.
 */
export class ScistreamError extends Error {
  /** The class. */
  override readonly name = "ScistreamError";
  /** The gRPC status that this error travels under. */
  readonly status: number;

  /** The status is the code's usual one unless it is given. */
  constructor(
    /** One of contract section 4. */
    readonly code: ErrorCode,
    sentence: string,
    options: { status?: number; cause?: unknown } = {},
  ) {
    super(sentence, { cause: options.cause });
    this.status = options.status ?? ERROR_CODES[code][0];
  }

  /** As status details carry it: `[CODE] sentence`. */
  get details(): string {
    return `[${this.code}] ${this.message}`;
  }
}

/** Names an error of contract section 4 whose status details or metadata say `code`, if it is one. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}

/**
 * The message of anything thrown, on one line, without the runtime's "(os error 2): readfile …" and
 * without control characters: parsers quote what they did not like.
 */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const line = (text.split("\n", 1)[0] ?? "").replace(/ \(os error \d+\).*$/, "");
  return line.replace(/[\p{Cc}\u2028\u2029]/gu, "?");
}

/**
 * A value from outside, quoted for a one-line message: control characters escaped, at most 64 characters.
 *
 * ```ts
 * import { quote } from "./errors.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(quote("a\nb"), '"a\\nb"');
 * ```
 */
export function quote(value: string): string {
  const short = value.length > 64 ? `${value.slice(0, 64)}…` : value;
  return JSON.stringify(short).replace(/[\p{Cc}\u2028\u2029]/gu, "?");
}

/** Longest message of somebody else that is shown whole; some hold a whole command's output. */
const LONGEST_MESSAGE = 1_000;

/** A message of somebody else, such as an engine, on one line, without control characters. */
export function oneLine(text: string): string {
  const line = text.trim().replace(/\p{Cc}+|[\u2028\u2029]/gu, " ");
  return line.length > LONGEST_MESSAGE ? `${line.slice(0, LONGEST_MESSAGE)}…` : line;
}
