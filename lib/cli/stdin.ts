/**
 * What is typed.
 * @module
 */
import { UsageError } from "./flags.ts";

/** No line that anybody is asked for is longer. */
const MOST_BYTES = 64 << 10;

/**
 * The next line of stdin, or undefined if there is none.
 * @param prompt asks for what is not to be shown as it is typed: called when that begins
 * @throws the signal's reason, and {UsageError} for what is too long
 */
export async function readLine(
  interrupted: AbortSignal,
  prompt?: () => void,
): Promise<string | undefined> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(interrupted.reason);
  interrupted.addEventListener("abort", abort, { once: true });
  const quiet = prompt !== undefined && Deno.stdin.isTerminal();
  // Ctrl-C stays a signal.
  if (quiet) Deno.stdin.setRaw(true, { cbreak: true });
  try {
    prompt?.();
    let text = "";
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(4096);
    for (;;) {
      interrupted.throwIfAborted();
      const n = await Promise.race([Deno.stdin.read(buffer), aborted.promise]);
      if (n === null) return text === "" ? undefined : text.trim();
      text += decoder.decode(buffer.subarray(0, n), { stream: true });
      // Such a terminal edits nothing by itself: there are backspaces, and Enter and Ctrl-D are characters.
      while (quiet && text.includes("\x7f")) text = text.replace(/[^\x7f]?\x7f/u, "");
      const end = text.search(quiet ? /\p{Cc}/u : /\n/);
      if (end >= 0) return text.slice(0, end).trim();
      if (text.length > MOST_BYTES) throw new UsageError("the line on stdin is too long");
    }
  } finally {
    interrupted.removeEventListener("abort", abort);
    if (quiet) Deno.stdin.setRaw(false);
  }
}
