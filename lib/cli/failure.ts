/**
 * How whatever is thrown is told, and the exit code that goes with it.
 * @module
 */
import { ScistreamError } from "../protocol/errors.ts";
import { Exit, type Io } from "./command.ts";
import { UsageError } from "./flags.ts";
import { JSON_VERSION } from "./json.ts";

/** What became of a command that did not do what it was asked. */
export interface Failure {
  /** One of contract section 4, or `USAGE`, `SYSTEM`, `INTERNAL`, `INTERRUPTED`. */
  code: string;
  message: string;
  /** As people read it. */
  text: string;
  exit: number;
}

/** Anything thrown. */
export function failureOf(error: unknown, io: Pick<Io, "interrupted">): Failure {
  const failure = (code: string, message: string, exit: number, text = `error: ${message}`) => (
    { code, message, text, exit }
  );
  if (io.interrupted.aborted && error === io.interrupted.reason) {
    return failure("INTERRUPTED", "interrupted", Exit.INTERRUPTED, "interrupted");
  }
  if (error instanceof UsageError) return failure("USAGE", error.message, Exit.USAGE);
  if (error instanceof ScistreamError) {
    return failure(error.code, error.message, exitOf(error), `error: ${error.details}`);
  }
  const system = systemError(error);
  if (system) return failure("SYSTEM", system, Exit.FAILED);
  const stack = error instanceof Error ? error.stack ?? error.message : String(error);
  return failure("INTERNAL", `internal: ${stack}`, Exit.FAILED);
}

/** A line on stderr, text or JSON. */
export function tell({ code, message, text }: Failure, json: boolean, io: Io): void {
  io.err(json ? JSON.stringify({ v: JSON_VERSION, error: { code, message } }) : text);
}

/** What the system refused, as in "writefile '/x': No such file or directory". */
function systemError(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const [, reason, , what] = /^(.*) \(os error (\d+)\): (.*)$/.exec(error.message) ?? [];
  return reason && `${what}: ${reason}`;
}

function exitOf(error: ScistreamError): number {
  // Found wrong on this side of the wire: the same command will fail again.
  if (
    error.cause === undefined &&
    ["BAD_FORMAT", "INVALID_UID", "NOT_IMPLEMENTED"].includes(error.code)
  ) {
    return Exit.USAGE;
  }
  return error.code === "CONN_ERROR" ? Exit.UNREACHABLE : Exit.FAILED;
}
