/**
 * What an s2ds that nobody can ask says where it cannot listen, and how that is read in its log.
 * @module
 */
import { Endpoint } from "../../protocol/endpoint.ts";

const IN_USE = "Address already in use";
/** Listeners that one sentence names. */
const MOST_NAMED = 200;
/** Longest sentence that is read, in characters. */
const LONGEST = 16 << 10;

/** Some listeners cannot be had; nothing was opened. */
export class CannotListen extends Error {
  override readonly name = "CannotListen";

  /** @param why if not given, somebody else has the ports */
  constructor(listeners: readonly string[], why = IN_USE) {
    const more = listeners.length - MOST_NAMED;
    const named = listeners.slice(0, MOST_NAMED).join(", ");
    super(`cannot listen on ${named}${more > 0 ? ` and ${more} more` : ""}: ${why}`);
  }
}

/** The listeners, or the first 200 of them, whose ports somebody else has; undefined of any other line. */
export function takenOf(line: string): Endpoint[] | undefined {
  if (line.length > LONGEST) return undefined;
  const [, named] = /^cannot listen on ([^ ,]+(?:, [^ ,]+)*)(?: and [0-9]+ more)?: /.exec(line) ??
    [];
  if (named === undefined || !line.endsWith(`: ${IN_USE}`)) return undefined;
  try {
    return Endpoint.parseList(named, "listener");
  } catch {
    return undefined;
  }
}
