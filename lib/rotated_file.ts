/**
 * A file of lines that are only ever added to, for the owner's eyes alone. A full one is put aside.
 * @module
 */
import { messageOf } from "./protocol/errors.ts";

/** How much is kept. */
export interface RotatedFileOptions {
  /** Bytes of one file. */
  fileBytes: number;
  /** How many older ones are kept beside it; with none a full one is gone. */
  olderFiles: number;
  /** Told, once until it works again, when nothing can be written. */
  warn: (sentence: string) => void;
}

/** A file, and older ones `FILE.1` (the latest), `FILE.2` and so on beside it. */
export class RotatedFile implements Disposable {
  readonly #path: string;
  readonly #options: RotatedFileOptions;
  #file?: Deno.FsFile;
  #size = 0;
  #broken = false;

  /** @throws {Error} when the file cannot be written */
  constructor(path: string, options: RotatedFileOptions) {
    this.#path = path;
    this.#options = options;
    this.#open();
  }

  /** Adds a line; answers whether it is there. */
  write(text: string): boolean {
    const line = new TextEncoder().encode(`${text}\n`);
    try {
      const isFull = this.#size > 0 && this.#size + line.length > this.#options.fileBytes;
      if (isFull) this.#rotate();
      const file = this.#file ?? this.#open();
      for (let written = 0; written < line.length;) {
        written += file.writeSync(line.subarray(written));
      }
      this.#size += line.length;
      this.#broken = false;
      return true;
    } catch (error) {
      this.#cut();
      this[Symbol.dispose]();
      const isNew = !this.#broken;
      this.#broken = true;
      if (isNew) this.#options.warn(`cannot write ${this.#path}: ${messageOf(error)}`);
      return false;
    }
  }

  /** Closes it. The next line goes to what has its name then: another may have moved it away. */
  reopen(): void {
    this[Symbol.dispose]();
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file?.close();
    this.#file = undefined;
  }

  /** A disk that became full in the middle of a line has half of it, which the next one must not follow. */
  #cut(): void {
    try {
      this.#file?.truncateSync(this.#size);
    } catch {
      // Nothing of it is there, then.
    }
  }

  #open(): Deno.FsFile {
    const file = Deno.openSync(this.#path, { append: true, create: true, mode: 0o600 });
    this.#size = file.statSync().size;
    return this.#file = file;
  }

  #rotate(): void {
    const { olderFiles } = this.#options;
    this[Symbol.dispose]();
    const name = (i: number) => i === 0 ? this.#path : `${this.#path}.${i}`;
    if (olderFiles === 0) Deno.removeSync(this.#path);
    for (let i = olderFiles; i > 0; i--) {
      try {
        Deno.renameSync(name(i - 1), name(i));
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    this.#open();
  }
}
