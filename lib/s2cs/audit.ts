/**
 * Who asked for what, and what became of it: JSON lines that are only ever added to.
 * @module
 */
import { messageOf } from "../protocol/errors.ts";

/** Bytes of one file, and how many older ones are kept beside it. */
const FILE_BYTES = 10 << 20;
const OLDER_FILES = 9;
/** Addresses of one call that are told; there may be ten thousand. */
const MOST_ADDRESSES = 100;

/** One line. Names are the file's; there is no secret in it: a session is named by its public id. */
export interface AuditEntry {
  /** ISO 8601, UTC. */
  time: string;
  /** The method, or what happened to a session by itself. */
  call: string;
  /** The public id; empty where none was named, or not a valid one. */
  session: string;
  /** The caller's name, and what it is known by; empty where callers are not authenticated. */
  caller: string;
  caller_id: string;
  /** Where the call came from, `ip:port`. */
  peer: string;
  /** `OK`, or the code of contract section 4; of what happened by itself, the session's state. */
  outcome: string;
  /** Why, where it is not OK. */
  reason?: string;
  /** Milliseconds until it was answered. */
  ms?: number;
  /** What was asked for and answered. */
  role?: string;
  num_conn?: number;
  rate?: number;
  addresses?: string[];
  listeners?: string[];
}

/** Settings of an audit log. */
export interface AuditOptions {
  /** Told, once until it works again, when nothing can be written. */
  warn: (sentence: string) => void;
  /** Told of each line that could not be written. */
  onError?: () => void;
  fileBytes?: number;
  olderFiles?: number;
}

/** A file, and older ones `FILE.1` (the latest) to `FILE.9` beside it. */
export class AuditLog implements Disposable {
  readonly #path: string;
  readonly #options: Required<Omit<AuditOptions, "onError">> & AuditOptions;
  #file?: Deno.FsFile;
  #size = 0;
  #broken = false;

  /** @throws {Error} when the file cannot be written */
  constructor(path: string, options: AuditOptions) {
    this.#path = path;
    this.#options = { fileBytes: FILE_BYTES, olderFiles: OLDER_FILES, ...options };
    this.#open();
  }

  /** Adds a line. What cannot be written holds up no call. */
  write(entry: AuditEntry): void {
    const line = new TextEncoder().encode(`${JSON.stringify(short(entry))}\n`);
    try {
      const isFull = this.#size > 0 && this.#size + line.length > this.#options.fileBytes;
      if (isFull) this.#rotate();
      const file = this.#file ?? this.#open();
      for (let written = 0; written < line.length;) {
        written += file.writeSync(line.subarray(written));
      }
      this.#size += line.length;
      this.#broken = false;
    } catch (error) {
      this.#cut();
      this[Symbol.dispose]();
      this.#options.onError?.();
      if (!this.#broken) this.#options.warn(`cannot write ${this.#path}: ${messageOf(error)}`);
      this.#broken = true;
    }
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
    this[Symbol.dispose]();
    const name = (i: number) => i === 0 ? this.#path : `${this.#path}.${i}`;
    for (let i = this.#options.olderFiles; i > 0; i--) {
      try {
        Deno.renameSync(name(i - 1), name(i));
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    this.#open();
  }
}

function short(entry: AuditEntry): AuditEntry {
  const { addresses, listeners } = entry;
  return {
    ...entry,
    ...addresses && { addresses: addresses.slice(0, MOST_ADDRESSES) },
    ...listeners && { listeners: listeners.slice(0, MOST_ADDRESSES) },
  };
}
