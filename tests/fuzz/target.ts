/**
 * What a fuzz target is, and the checks that most of them make.
 * @module
 */
import { assert } from "@std/assert";

/** Something that takes bytes from outside, and what must hold whatever they are. */
export interface Target {
  /** Also of the folder that its corpus is in. */
  name: string;
  /** Good inputs, and bad ones that are nearly good. */
  seeds: readonly (string | Uint8Array)[];
  /** Words that mean something to it. */
  dictionary?: readonly string[];
  /** What it needs while it runs, such as a socket. */
  prepare?: () => Promise<AsyncDisposable>;
  /** How many fresh inputs the tests try; those that touch files or sockets take fewer. */
  fresh?: number;
  /** Throws when something does not hold. */
  run(bytes: Uint8Array): void | Promise<void>;
}

type Class = abstract new (...args: never[]) => Error;

/** What came of an attempt. */
export type Attempt<T> = { value: T; error?: undefined } | { value?: undefined; error: Error };

/** No sentence for a user is longer. */
const LONGEST_MESSAGE = 1_500;

/** Does it; only these errors may come of it, with a message that can be shown. */
export function attempt<T>(
  work: () => T,
  kinds: readonly Class[],
  secrets: readonly string[] = [],
): Attempt<T> {
  try {
    return { value: work() };
  } catch (error) {
    return { error: presentable(error, kinds, secrets) };
  }
}

/** As {@linkcode attempt}, for what takes its time. */
export async function attemptLater<T>(
  work: () => Promise<T>,
  kinds: readonly Class[],
  secrets: readonly string[] = [],
): Promise<Attempt<T>> {
  try {
    return { value: await work() };
  } catch (error) {
    return { error: presentable(error, kinds, secrets) };
  }
}

function presentable(error: unknown, kinds: readonly Class[], secrets: readonly string[]): Error {
  // The exact class or a class of the project's own: a TypeError is an Error, too.
  const known = kinds.find((kind) =>
    kind === Error ? (error as Error)?.constructor === Error : error instanceof kind
  );
  if (!known) throw error;
  assertSentence((error as Error).message, secrets);
  return error as Error;
}

/** That a sentence fits on one line of a log or a terminal, and tells no secret. */
export function assertSentence(sentence: string, secrets: readonly string[] = []): void {
  const shown = JSON.stringify(sentence.slice(0, 300));
  assert(sentence.length <= LONGEST_MESSAGE, `a message of ${sentence.length}: ${shown}`);
  assert(!/[\p{Cc}\u2028\u2029]/u.test(sentence), `a message with control characters: ${shown}`);
  for (const secret of secrets) {
    assert(!sentence.includes(secret), `a message with a secret: ${shown}`);
  }
}

/** Bytes as text; what is no UTF-8 becomes U+FFFD, as where such bytes come in. */
export function textOf(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

/** A character for each byte; the encoding "latin1" of TextDecoder is another. */
export function latin1(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

/** A value of JSON, or undefined for what is none. */
export function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(textOf(bytes));
  } catch {
    return undefined;
  }
}

/** Whether it is a time that can be shown: milliseconds since 1970 UTC. */
export function isDate(ms: number): boolean {
  return !Number.isNaN(new Date(ms).getTime());
}

/** Whether it is a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Ways to cut these bytes into pieces, the same each time: whole, in two, in some, and one by one
 * where there are few.
 */
export function cuts(bytes: Uint8Array): Uint8Array[][] {
  let state = bytes.reduce((sum, byte) => Math.imul(sum ^ byte, 0x01000193), 0x811c9dc5) >>> 0;
  const below = (most: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * most);
  };
  const half = below(bytes.length + 1);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + below(1 + Math.ceil(bytes.length / 4));
    pieces.push(bytes.subarray(at, end));
    at = end;
  }
  const ways = [[bytes], [bytes.subarray(0, half), bytes.subarray(half)], pieces];
  if (bytes.length <= 512) ways.push([...bytes].map((byte) => Uint8Array.of(byte)));
  return ways;
}

/** Pieces as a stream has them. */
export async function* stream(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield await Promise.resolve(piece);
}
