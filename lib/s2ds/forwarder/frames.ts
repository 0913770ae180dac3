/**
 * What travels inside a TLS connection between gateways: each direction is a sequence of frames, a
 * length (4 bytes, big-endian) and so many bytes. A length of 0 is the end of that direction; when
 * both have ended, so does the connection.
 *
 * It is there because node:tls in Deno reports a lost connection as a clean end (seen on 2.9.3: a
 * FIN without close_notify, and an RST, are both an "end" without an error). Whoever cuts a
 * connection, or kills a gateway, could make half a stream look like the whole.
 * @module
 */
import { Buffer } from "node:buffer";

/** Bytes before each frame's own. */
export const HEADER = 4;
/** Most bytes in a frame. */
export const LARGEST_FRAME = 1 << 24;

/** The frame that ends a direction. */
export const END: Uint8Array = Buffer.alloc(HEADER);

/** Writes a header for `length` bytes at the beginning of a block. */
export function writeHeader(block: Uint8Array, length: number): void {
  block[0] = length >>> 24;
  block[1] = length >>> 16;
  block[2] = length >>> 8;
  block[3] = length;
}

/** Takes bytes as they come, gives frames' contents. */
export class Unframer {
  /** Bytes of the present frame that are still to come. */
  #left = 0;
  /** Of the next header: how many bytes were seen, and their value. */
  #seen = 0;
  #length = 0;
  /** Whether the direction's end was seen. */
  ended = false;

  /**
   * Calls `data` for each piece of a frame in these bytes; the pieces share their memory.
   * @throws {Error} when they are not frames
   */
  push(bytes: Uint8Array, data: (piece: Uint8Array) => void): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.ended) throw new Error("bytes after the end");
      if (this.#left > 0) {
        const end = Math.min(bytes.length, at + this.#left);
        this.#left -= end - at;
        data(bytes.subarray(at, end));
        at = end;
        continue;
      }
      this.#length = this.#length * 256 + (bytes[at++] as number);
      if (++this.#seen < HEADER) continue;
      if (this.#length > LARGEST_FRAME) throw new Error(`a frame of ${this.#length} bytes`);
      this.ended = this.#length === 0;
      this.#left = this.#length;
      this.#seen = 0;
      this.#length = 0;
    }
  }
}
