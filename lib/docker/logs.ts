/**
 * A container's output as lines.
 * @module
 */
import { DockerError } from "./errors.ts";
import { BadFrame, FrameDecoder } from "./frames.ts";
import type { LogLine } from "./types.ts";

/**
 * Calls back for each line of framed output, in the order in which they ended. Reading ends after so
 * many bytes of output; what has no line end by then is a line.
 * @throws {DockerError} for output that is not framed
 */
export async function readLogs(
  body: AsyncIterable<Uint8Array>,
  onLine: (line: LogLine) => void,
  maxBytes = Infinity,
): Promise<void> {
  const stdout = new LineSplitter((text) => onLine({ stream: "stdout", text }));
  const stderr = new LineSplitter((text) => onLine({ stream: "stderr", text }));
  let left = maxBytes;
  const decoder = new FrameDecoder();
  try {
    reading: for await (const bytes of body) {
      for (const frame of decoder.push(bytes)) {
        // What the engine itself says (3) stands where the container's own errors are looked for.
        const splitter = frame.stream >= 2 ? stderr : stdout;
        splitter.push(frame.bytes.subarray(0, left));
        left -= frame.bytes.length;
        if (left <= 0) break reading;
      }
    }
  } catch (error) {
    if (!(error instanceof BadFrame)) throw error;
    throw new DockerError("engine", `the Docker Engine gave ${error.message}`, { cause: error });
  }
  stdout.end();
  stderr.end();
}

/** Lines of UTF-8 out of pieces; a piece may end within a character. */
class LineSplitter {
  // Or Deno 2.9.3 would drop a BOM in the middle, too, where a piece begins with it.
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #onLine: (line: string) => void;
  #pending = "";

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(bytes: Uint8Array): void {
    const parts = (this.#pending + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#pending = parts.pop() ?? "";
    parts.forEach(this.#onLine);
  }

  end(): void {
    const rest = this.#pending + this.#decoder.decode();
    if (rest) this.#onLine(rest);
  }
}
