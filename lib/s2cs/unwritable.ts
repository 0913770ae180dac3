/**
 * Files of the control server that cannot be written: a disk that is full or read-only is told apart
 * from everything else, because it is the machine's fault, and passes.
 * @module
 */
import { messageOf, ScistreamError } from "../protocol/errors.ts";

/** The system says so in sentences only, SQLite in others (sqlite3_errstr). */
const DISK = /No space left|disk is full|quota exceeded|[Rr]ead-only file system/;
/** Of which SQLite does not tell the reason. */
const VAGUE = /disk I\/O error|readonly database|unable to open database file/;

/** Whether the disk takes nothing. */
export function isDiskFault(error: unknown): boolean {
  return DISK.test(messageOf(error));
}

/** NO_RESOURCE for a disk that takes nothing; undefined for any other reason. */
export function diskFault(path: string, error: unknown): ScistreamError | undefined {
  const cause = VAGUE.test(messageOf(error)) ? askSystem(path) ?? error : error;
  if (!isDiskFault(cause)) return undefined;
  const what = `cannot write ${path}: ${messageOf(cause)}`;
  const todo = "make room there or choose another --state-dir";
  return new ScistreamError("NO_RESOURCE", `${what}; ${todo}`, { cause: error });
}

/** What the system says to whoever writes beside this file. */
function askSystem(path: string): unknown {
  const probe = `${path}.probe`;
  try {
    Deno.writeTextFileSync(probe, "x", { mode: 0o600 });
    return undefined;
  } catch (error) {
    return error;
  } finally {
    try {
      Deno.removeSync(probe);
    } catch {
      // It could not be made.
    }
  }
}
