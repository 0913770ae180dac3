/**
 * Bodies of the engine that are JSON values, one a line, and come as they happen.
 * @module
 */
import { DockerError } from "./errors.ts";
import { parseJson } from "./shape.ts";

/** Longest line, in bytes: an event with its container's labels has far fewer. */
export const MAX_LINE_BYTES = 1 << 20;

const LF = 0x0a;

/**
 * The values of a body; the last line may lack its end, empty lines are skipped.
 * @throws {DockerError} for a line that is too long or not JSON
 */
export async function* jsonLines(
  body: AsyncIterable<Uint8Array>,
  what: string,
): AsyncGenerator<unknown> {
  for await (const line of lines(body, what)) {
    if (line.some((byte) => byte > 0x20)) yield parseJson(line, what);
  }
}

async function* lines(body: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<Uint8Array> {
  let pending: Uint8Array[] = [];
  let size = 0;
  for await (const bytes of body) {
    for (let at = 0; at < bytes.length;) {
      const end = bytes.indexOf(LF, at);
      const piece = bytes.subarray(at, end < 0 ? bytes.length : end);
      at += piece.length + 1;
      pending.push(piece);
      size += piece.length;
      if (size > MAX_LINE_BYTES) {
        throw new DockerError(
          "engine",
          `a line of over ${MAX_LINE_BYTES} bytes from the Docker Engine (${what})`,
        );
      }
      if (end < 0) break;
      yield join(pending, size);
      pending = [];
      size = 0;
    }
  }
  yield join(pending, size);
}

function join(pieces: Uint8Array[], size: number): Uint8Array {
  const all = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
