/**
 * A check, what it finds, and many of them at once.
 * @module
 */
import { messageOf } from "../protocol/errors.ts";

/** `skip`: it does not apply here, or nothing here can tell. */
export type Status = "ok" | "warn" | "fail" | "skip";

/** What a check found. */
export interface Finding {
  status: Status;
  /** A sentence's worth, with the values that were seen. */
  found: string;
  /** What to do, commands to type where there are some; empty if nothing. */
  advice: string;
}

/** One thing to look at. It changes nothing. */
export interface Check {
  name: string;
  /** May throw: then it could not be looked at. */
  look(signal: AbortSignal): Promise<Finding>;
}

/** A finding as it is told. */
export interface Report extends Finding {
  name: string;
}

/** As it should be. */
export const ok = (found: string): Finding => ({ status: "ok", found, advice: "" });
/** It works, but not as well as it could, or not for long. */
export const warn = (found: string, advice: string): Finding => ({ status: "warn", found, advice });
/** It does not work. */
export const fail = (found: string, advice: string): Finding => ({ status: "fail", found, advice });
/** Nothing to be said. */
export const skip = (found: string): Finding => ({ status: "skip", found, advice: "" });

/** A problem from an error of ours, whose sentence is "what was seen; what to do". */
export function failed(error: unknown): Finding {
  const sentence = messageOf(error);
  const cut = sentence.indexOf("; ");
  return cut < 0
    ? fail(sentence, "mend that, and look again")
    : fail(sentence.slice(0, cut), sentence.slice(cut + 2));
}

/** Longer than any machine takes that is well, shorter than somebody waits in doubt. */
const PATIENCE_MS = 10_000;

/**
 * Does all of them at once, and tells them in their order.
 * @throws the signal's reason
 */
export async function* examine(
  checks: readonly Check[],
  signal: AbortSignal,
  patienceMs = PATIENCE_MS,
): AsyncGenerator<Report> {
  const findings = checks.map((check) => look(check, signal, patienceMs));
  // An abort fails all of them, and only the first is waited for.
  for (const finding of findings) finding.catch(() => {});
  for (const [i, { name }] of checks.entries()) {
    yield { name, ...await findings[i] as Finding };
  }
}

async function look(check: Check, signal: AbortSignal, patienceMs: number): Promise<Finding> {
  const late = new AbortController();
  const given = AbortSignal.any([signal, late.signal]);
  const ended = Promise.withResolvers<never>();
  const end = () => ended.reject(given.reason);
  given.addEventListener("abort", end, { once: true });
  ended.promise.catch(() => {});
  const timer = setTimeout(() => late.abort(), patienceMs);
  try {
    signal.throwIfAborted();
    return await Promise.race([check.look(given), ended.promise]);
  } catch (error) {
    signal.throwIfAborted();
    if (late.signal.aborted) {
      return warn(
        `it took longer than ${patienceMs / 1000} s, so nothing is known`,
        "look again; if it stays so, what is asked here hangs",
      );
    }
    return warn(`it could not be looked at: ${messageOf(error)}`, "look again");
  } finally {
    clearTimeout(timer);
    given.removeEventListener("abort", end);
  }
}
