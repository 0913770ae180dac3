import { createHash, randomBytes } from "node:crypto";
import { quote, ScistreamError, Status } from "./errors.ts";

/** The uid that `--mock True` fixes (contract section 6). Well known, so it protects nothing. */
export const MOCK_UID = "4f8583bc-a4d3-11ee-9fd6-034d1fcbd7c3";

/** What a secret should have (contract section 1). */
const STRONG_BITS = 128;

const FORM = /^[0-9A-Za-z_-]{8,64}$/;

/**
 * A session's name and secret (contract section 1). Prints as the session's public id, never as
 * itself: only {@linkcode Uid.reveal} gives the secret.
 */
export class Uid {
  /** Undefined where only its hash is known. */
  readonly #secret?: string;
  /** The first 8 hex digits of the SHA-256 of the uid: what logs, metrics and other users may see. */
  readonly session: string;
  /** The whole SHA-256 in hex: the key of the session where two must never meet. */
  readonly hash: string;

  private constructor(hash: string, secret?: string) {
    this.#secret = secret;
    this.hash = hash;
    this.session = hash.slice(0, 8);
  }

  /**
   * Takes a uid from outside: 8 to 64 characters of `[0-9A-Za-z_-]`.
   * @throws {ScistreamError} INVALID_UID with status INVALID_ARGUMENT
   */
  static parse(text: string): Uid {
    if (!FORM.test(text)) {
      // It may be somebody's secret with a slip of the finger in it, and this goes into logs.
      const what = text.length > 64 || /[0-9A-Za-z_-]{8}/.test(text)
        ? `of ${text.length} characters`
        : quote(text);
      throw new ScistreamError(
        "INVALID_UID",
        `uid ${what} is malformed; it must be 8 to 64 characters of 0-9 A-Z a-z _ and -`,
        { status: Status.INVALID_ARGUMENT },
      );
    }
    return new Uid(createHash("sha256").update(text).digest("hex"), text);
  }

  /**
   * The uid that has this hash, for whoever must find its session and not have its secret.
   * @throws {ScistreamError} INVALID_UID for what is no SHA-256 in hex
   */
  static ofHash(hash: string): Uid {
    if (/^[0-9a-f]{64}$/.test(hash)) return new Uid(hash);
    throw new ScistreamError("INVALID_UID", `${quote(hash)} is not the SHA-256 of a uid in hex`, {
      status: Status.INVALID_ARGUMENT,
    });
  }

  /** A new uid: 128 random bits, written 8-4-4-4-12 in hex. */
  static random(): Uid {
    const hex = randomBytes(16).toString("hex");
    return Uid.parse(hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5"));
  }

  /**
   * Why this uid makes a weak secret, a sentence; empty where it does not. What it protects can be
   * guessed by whoever can try as many uids.
   */
  get weakness(): string {
    if (this.#secret === undefined) return "";
    if (this.#secret === MOCK_UID) return "its uid is the well-known one of --mock";
    const digits = this.#secret.replaceAll("-", "");
    const bits = digits.length *
      (/^[0-9]*$/.test(digits) ? Math.log2(10) : /^[0-9a-f]*$/i.test(digits) ? 4 : 6);
    return bits < STRONG_BITS
      ? `its uid is short: ${digits.length} digits are ${Math.floor(bits)} bits at most`
      : "";
  }

  /**
   * The uid itself, for the wire and for the user who asked for it.
   * @throws {TypeError} where only its hash is known
   */
  reveal(): string {
    if (this.#secret === undefined) throw new TypeError(`of ${this} only the hash is known`);
    return this.#secret;
  }

  /** Whether {@linkcode Uid.reveal} knows it. */
  get isKnown(): boolean {
    return this.#secret !== undefined;
  }

  /** `session 1a2b3c4d`: the public id. */
  toString(): string {
    return `session ${this.session}`;
  }

  /** The public id. */
  toJSON(): string {
    return this.session;
  }

  /** What inspection shows. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }
}
