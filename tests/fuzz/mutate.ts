/**
 * New inputs out of old ones. Everything comes from one generator of numbers, so a seed tells all.
 * @module
 */

/** Of Tommy Ettinger, "mulberry32": the same numbers for the same seed. Answers one below `most`. */
export function randomly(seed: number): (most: number) => number {
  return (most) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor(((t ^ (t >>> 14)) >>> 0) / 2 ** 32 * most);
  };
}

/** Longest input, but for those that are blown up. */
export const LONGEST = 4 << 10;
/** Longest one that is blown up: more than any bound on a line or a nesting. */
const LONGEST_BLOWN_UP = 160 << 10;

/** What breaks parsers of any kind. */
const COMMON = [
  "\0",
  "\r\n",
  "\n",
  "\r\n\r\n",
  " ",
  "\t",
  ",",
  ":",
  ";",
  "=",
  "-",
  ".",
  "/",
  "%",
  "..",
  "[",
  "]",
  "{",
  "}",
  '"',
  "\\",
  "'",
  "#",
  "0",
  "-1",
  "1e999",
  "-0",
  "0x10",
  "65535",
  "65536",
  "2147483648",
  "4294967296",
  "9007199254740993",
  "99999999999999999999999",
  "0.1",
  "NaN",
  "Infinity",
  "true",
  "null",
  "[]",
  "{}",
  "__proto__",
  "constructor",
  "toString",
  "\u2028",
  "\u0085",
  "\ufeff",
  "\u{1f4a9}",
  "ü",
  "１",
  "\x7f",
  "\x1b[2J",
  "${x}",
  "%0a",
];

/** Values of every kind that JSON has. */
const VALUES = [
  "1",
  "-1",
  "0.5",
  "1e999",
  "null",
  "true",
  '""',
  '"x"',
  "[]",
  "{}",
  "[[1]]",
  '["x"]',
];

const encoder = new TextEncoder();

/** Makes new inputs. */
export class Mutator {
  readonly #below: (most: number) => number;
  readonly #words: Uint8Array[];

  constructor(seed: number, dictionary: readonly string[] = []) {
    this.#below = randomly(seed);
    // As often one of its own words as one of all the others.
    const own = dictionary.map((word) => encoder.encode(word));
    const common = COMMON.map((word) => encoder.encode(word));
    const often = own.length === 0 ? 0 : Math.ceil(common.length / own.length);
    this.#words = [...common, ...Array.from({ length: often }, () => own).flat()];
  }

  /** One of the pool, changed in a few ways. */
  next(pool: readonly Uint8Array[]): Uint8Array {
    // What was found last has been tried least.
    const newest = pool.length - 1 - this.#below(1 + this.#below(Math.min(8, pool.length)));
    let bytes = this.#below(2) === 0 ? this.#pick(pool) : pool[newest] as Uint8Array;
    for (let changes = 1 + this.#below(4); changes > 0; changes--) {
      bytes = this.#change(bytes, pool).subarray(0, LONGEST);
    }
    return this.#below(200) === 0 ? this.#blownUp(bytes) : bytes;
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#below(from.length)] as T;
  }

  #change(bytes: Uint8Array, pool: readonly Uint8Array[]): Uint8Array {
    const at = this.#below(bytes.length + 1);
    const to = Math.min(bytes.length, at + 1 + this.#below(this.#below(4) === 0 ? 64 : 4));
    switch (this.#below(11)) {
      case 0: {
        const flipped = bytes.slice();
        if (at < bytes.length) flipped[at] = (bytes[at] as number) ^ (1 << this.#below(8));
        return flipped;
      }
      case 1:
      case 9:
        return joined(bytes.subarray(0, at), Uint8Array.of(this.#below(256)), bytes.subarray(to));
      case 2:
      case 3:
        return joined(bytes.subarray(0, at), this.#pick(this.#words), bytes.subarray(at));
      case 4:
        return joined(bytes.subarray(0, at), this.#pick(this.#words), bytes.subarray(to));
      case 5:
        return joined(bytes.subarray(0, at), bytes.subarray(to));
      case 6: {
        const other = this.#pick(pool);
        const from = this.#below(other.length + 1);
        const length = this.#below(other.length - from + 1);
        const tail = this.#below(2) === 0 ? bytes.subarray(at) : new Uint8Array();
        return joined(bytes.subarray(0, at), other.subarray(from, from + length), tail);
      }
      case 10:
        return this.#value(bytes);
      case 7:
        return this.#below(8) === 0 ? bytes.subarray(0, at) : this.#number(bytes);
      default: {
        const piece = bytes.subarray(at, to);
        const copies = Array.from({ length: 1 + this.#below(8) }, () => piece);
        return joined(bytes.subarray(0, at), ...copies, bytes.subarray(at));
      }
    }
  }

  /** Another number in the place of one. */
  #number(bytes: Uint8Array): Uint8Array {
    const isDigit = (byte: number | undefined) => byte !== undefined && byte >= 48 && byte <= 57;
    const digits = [...bytes.keys()].filter((i) => isDigit(bytes[i]));
    if (digits.length === 0) return bytes;
    const at = this.#pick(digits);
    let to = at;
    while (isDigit(bytes[to])) to++;
    const number = encoder.encode(String(2 ** this.#below(60) - this.#below(2)));
    return joined(bytes.subarray(0, at), number, bytes.subarray(to));
  }

  /** Another value of JSON, or of something like it, in the place of one. */
  #value(bytes: Uint8Array): Uint8Array {
    const text = new TextDecoder("latin1").decode(bytes);
    const values = [...text.matchAll(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null/g)];
    if (values.length === 0) return bytes;
    const { index, 0: value } = this.#pick(values);
    const other = encoder.encode(this.#pick(VALUES));
    return joined(bytes.subarray(0, index), other, bytes.subarray(index + value.length));
  }

  /** A piece of it so often that bounds are met. */
  #blownUp(bytes: Uint8Array): Uint8Array {
    const at = this.#below(bytes.length + 1);
    const own = bytes.subarray(at, at + 1 + this.#below(8));
    const piece = own.length === 0 || this.#below(2) === 0 ? this.#pick(this.#words) : own;
    const times = 2 ** this.#below(18);
    const many = Math.max(1, Math.min(times, Math.floor(LONGEST_BLOWN_UP / piece.length)));
    const blown = new Uint8Array(piece.length * many);
    for (let i = 0; i < many; i++) blown.set(piece, i * piece.length);
    return joined(bytes.subarray(0, at), blown, bytes.subarray(at));
  }
}

function joined(...parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
