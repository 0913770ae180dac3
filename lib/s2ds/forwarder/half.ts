import { Buffer } from "node:buffer";
import { END, HEADER, Unframer, writeHeader } from "./frames.ts";
import { countGarbage } from "./garbage.ts";
import type { Limit } from "./limit.ts";
import type { Budget } from "./budget.ts";
import { type End, goOnReading, type Reader, readInto, stopReading } from "./sockets.ts";

/**
 * Where connections are read that have no block of their own: what is read is copied before another
 * read. So idle ones, however many, take no memory for buffers.
 */
const SCRATCH = Buffer.allocUnsafeSlow(16 << 10);
/** Of a block, in bytes. */
const SMALLEST = 64 << 10;
const LARGEST = 1 << 20;
/** What is to be encrypted stays in the processor's cache. */
const LARGEST_TO_FRAMED = 256 << 10;
/** node:tls decrypts at most so much at once. */
const LARGEST_FROM_FRAMED = 64 << 10;
/** A full block is replaced by one that is so many times as large. */
const GROWTH = 4;
/** Where reads fill this part of a block or less, so many times in a row, none is needed. */
const HARDLY = 1 / 64;
const HARDLY_READS = 64;
/** Blocks of its size that a half keeps. */
const BLOCKS = 2;
/** node:tls passes on what it has decrypted, told to stop or not. */
const BLOCKS_FRAMED = 16;

/** What a half needs of its relay. */
export interface HalfOptions {
  /** Bytes that were read. */
  count(bytes: number): void;
  /** The first bytes; a sentence refuses them. */
  first(bytes: Uint8Array): string | undefined;
  limit?: Limit;
  /** For blocks, in bytes. */
  memory: Budget;
  /** The whole stream was passed on. */
  finished(): void;
  /** Ends the relay. */
  fail(why: string): void;
}

/**
 * One direction: what is read from one end is written to the other. Memory is bounded: a flow that
 * fills what it is given gets a block of its own, 64 KiB at first and up to 1 MiB, and a second one
 * while the first is being written; it does not read while its last read is not written.
 */
export class Half implements Reader {
  readonly #from: End;
  readonly #to: End;
  readonly #options: HalfOptions;
  readonly #unframer?: Unframer;
  /** Bytes before what is read into a block, for the header of the frame that it becomes. */
  readonly #room: number;
  readonly #blocks: number;
  readonly #largest: number;
  /** Its own, if it has one. */
  #block?: Buffer;
  /** Where the next read goes: the block behind its header, or the scratch. */
  #view: Buffer = SCRATCH;
  #isNew = true;
  /** Other blocks of that size that no write holds. */
  #spare: Buffer[] = [];
  /** Reasons not to read on: writes that hold their block, and a rate that is used up. */
  #waits = 0;
  #hardly = 0;
  #began = false;
  /** Whether the whole stream was read. */
  over = false;

  constructor(from: End, to: End, options: HalfOptions) {
    this.#from = from;
    this.#to = to;
    this.#options = options;
    this.#room = to.framed ? HEADER : 0;
    this.#blocks = from.framed ? BLOCKS_FRAMED : BLOCKS;
    this.#largest = from.framed ? LARGEST_FROM_FRAMED : to.framed ? LARGEST_TO_FRAMED : LARGEST;
    if (from.framed) this.#unframer = new Unframer();
  }

  start(): void {
    const { socket } = this.#from;
    // A socket of node:tls may have read some of the stream while it proved its peer.
    for (let early; (early = socket.read() as Buffer | null) !== null;) {
      const block = Buffer.allocUnsafe(this.#room + early.length);
      block.set(early, this.#room);
      this.#forward(block.subarray(this.#room), block);
    }
    readInto(socket, this);
    if (this.#waits === 0) socket.resume();
  }

  next(): Uint8Array | undefined {
    if (!this.#isNew) return undefined;
    this.#isNew = false;
    return this.#view;
  }

  read(n: number, view: Uint8Array): boolean {
    if (this.#unframer) countGarbage(n);
    // Not its block where a read was under way when the block was replaced.
    const own = view === this.#view ? this.#block : undefined;
    const block = own ?? Buffer.allocUnsafe(this.#room + n);
    if (!own) block.set(view.subarray(0, n), this.#room);
    const written = this.#forward(block.subarray(this.#room, this.#room + n), block);
    this.#resize(n, view.length);
    if (!written && own) this.#replace(own);
    // After the stream's end nothing comes that would have to be held back, but the connection's.
    if (this.#waits === 0 || this.over) return true;
    stopReading(this.#from);
    return false;
  }

  /** The stream's end was read. */
  end(): void {
    if (this.#unframer && !this.#unframer.ended) {
      return this.#options.fail("the other gateway: the connection was cut");
    }
    if (!this.#unframer) this.#finish();
  }

  /** Gives its memory back. */
  close(): void {
    this.#setSize(0);
  }

  #finish(): void {
    this.over = true;
    // A connection in frames ends with the second of its directions.
    if (this.#to.framed) this.#to.socket.write(END);
    else this.#to.socket.end();
    this.#options.finished();
  }

  /**
   * Passes on what was read into a block, behind the room for a header. Answers whether the block is
   * free already.
   */
  #forward(bytes: Buffer, block: Buffer): boolean {
    const { count, first, fail } = this.#options;
    if (!this.#began) {
      this.#began = true;
      const refused = first(bytes);
      if (refused) {
        fail(refused);
        return true;
      }
    }
    const peer = this.#to.socket;
    if (peer.destroyed) return true;
    let held = false;
    const written = () => {
      if (!held) return;
      this.#keep(block);
      this.#go();
    };
    let payload = bytes.length;
    if (this.#unframer) {
      payload = 0;
      let last: Uint8Array | undefined;
      try {
        this.#unframer.push(bytes, (piece) => {
          payload += piece.length;
          if (last) peer.write(last);
          last = piece;
        });
      } catch (error) {
        fail(`the other gateway: ${(error as Error).message}`);
        return true;
      }
      if (last) peer.write(last, written);
      if (this.#unframer.ended) this.#finish();
    } else {
      if (this.#room > 0) writeHeader(block, bytes.length);
      peer.write(block.subarray(0, this.#room + bytes.length), written);
    }
    count(payload);
    held = payload > 0 && peer.writableLength > 0;
    if (held) this.#waits++;
    if (this.#options.limit && !this.#options.limit.spend(payload, () => this.#go())) this.#waits++;
    return !held;
  }

  #go(): void {
    if (--this.#waits === 0) goOnReading(this.#from);
  }

  /**
   * A block that a write holds is not read into: the stream may start reading again by itself (the
   * first `resume` does so a tick later, and so does the end of connecting).
   */
  #replace(held: Buffer): void {
    if (this.#block !== held) return;
    this.#block = this.#spare.pop() ?? Buffer.allocUnsafeSlow(held.length);
    this.#view = this.#block.subarray(this.#room);
    this.#isNew = true;
  }

  #keep(block: Buffer): void {
    if (block.length !== this.#block?.length || block === this.#block) return;
    if (this.#spare.length < this.#blocks - 1) this.#spare.push(block);
  }

  /** A larger block for a flow that fills this one, none where little is left of it. */
  #resize(n: number, size: number): void {
    const most = Math.min(this.#largest, this.#options.limit?.most ?? LARGEST);
    if (n === size) {
      const larger = this.#block ? this.#block.length * GROWTH : SMALLEST;
      this.#setSize(most < SMALLEST ? 0 : Math.min(larger, most));
    }
    this.#hardly = n <= size * HARDLY ? this.#hardly + 1 : 0;
    if (this.#hardly < HARDLY_READS) return;
    this.#hardly = 0;
    this.#setSize(0);
  }

  /** Gives it a block of this size; of 0 bytes, none. */
  #setSize(size: number): void {
    const more = (size - (this.#block?.length ?? 0)) * this.#blocks;
    if (more === 0) return;
    if (more < 0) this.#options.memory.give(-more);
    else if (!this.#options.memory.take(more)) return;
    this.#block = size > 0 ? Buffer.allocUnsafeSlow(size) : undefined;
    this.#view = this.#block?.subarray(this.#room) ?? SCRATCH;
    this.#isNew = true;
    this.#spare = [];
  }
}
