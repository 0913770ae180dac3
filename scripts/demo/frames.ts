/**
 * Frames as an area detector makes them, and their hashes without hashing every pixel again.
 * @module
 */
import { createHash, type Hash } from "node:crypto";

/** Pixels of a frame's side. */
export const SIDE = 2048;
/** A frame: 16-bit pixels. A file is streamed in blocks of the same size. */
export const FRAME_BYTES = SIDE * SIDE * 2;

/** Bytes of the frame number, a big-endian uint64 in the last four pixels. */
const STAMP_BYTES = 8;
const SPOTS = 400;

/** One image, sent again and again with another number in its last pixels. */
export class Frame {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #stamp: DataView;
  /** SHA-256 of everything before the stamp: what is the same in every frame is hashed once. */
  readonly #begun: Hash;

  constructor(pixels: Uint16Array<ArrayBuffer>) {
    this.bytes = new Uint8Array(pixels.buffer);
    const end = this.bytes.length - STAMP_BYTES;
    this.#stamp = new DataView(pixels.buffer, end);
    this.#begun = createHash("sha256").update(this.bytes.subarray(0, end));
  }

  /** Writes the number into the image; answers the SHA-256 of the whole frame, in hex. */
  stamp(number: number): string {
    this.#stamp.setBigUint64(0, BigInt(number));
    const stamp = this.bytes.subarray(-STAMP_BYTES);
    return this.#begun.copy().update(stamp).digest("hex");
  }
}

/** Makes images of a noise floor with Bragg-like spots; the same seed makes the same images. */
export function makeFrames(count: number, seed: number): Frame[] {
  const random = mulberry32(seed);
  const noise = new Uint16Array(SIDE * SIDE);
  for (let i = 0; i < noise.length; i++) {
    const bits = random();
    // Two dice and not one: counts near the mean are likelier than far ones.
    noise[i] = 90 + (bits & 15) + (bits >>> 28);
  }
  return Array.from({ length: count }, () => {
    const pixels = new Uint16Array(SIDE * SIDE);
    // The same noise from another place on, for a fresh field each frame would take a second.
    const cut = random() % noise.length;
    pixels.set(noise.subarray(cut));
    pixels.set(noise.subarray(0, cut), noise.length - cut);
    for (let spot = 0; spot < SPOTS; spot++) {
      addSpot(pixels, random() % SIDE, random() % SIDE, 200 + random() % 60_000);
    }
    return new Frame(pixels);
  });
}

/** Adds a peak that falls off as a Gaussian of 2 pixels; it saturates as a detector does. */
function addSpot(pixels: Uint16Array, x: number, y: number, peak: number): void {
  const reach = 6;
  for (let dy = -reach; dy <= reach; dy++) {
    for (let dx = -reach; dx <= reach; dx++) {
      if (x + dx < 0 || x + dx >= SIDE || y + dy < 0 || y + dy >= SIDE) continue;
      const at = (y + dy) * SIDE + x + dx;
      const value = (pixels[at] ?? 0) + peak * Math.exp(-(dx * dx + dy * dy) / 8);
      pixels[at] = Math.min(0xffff, value);
    }
  }
}

/** Tommy Ettinger's mulberry32: 32 bits a call, good enough to look like noise. */
function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}
