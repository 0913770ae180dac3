/**
 * Who asked for what, and what became of it: JSON lines that are only ever added to.
 * @module
 */
import { RotatedFile } from "../rotated_file.ts";

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
  readonly #file: RotatedFile;
  readonly #onError: () => void;

  /** @throws {Error} when the file cannot be written */
  constructor(path: string, options: AuditOptions) {
    this.#file = new RotatedFile(path, {
      fileBytes: FILE_BYTES,
      olderFiles: OLDER_FILES,
      ...options,
    });
    this.#onError = options.onError ?? (() => {});
  }

  /** Adds a line. What cannot be written holds up no call. */
  write(entry: AuditEntry): void {
    if (!this.#file.write(JSON.stringify(short(entry)))) this.#onError();
  }

  /** The next line goes to what has its name then. */
  reopen(): void {
    this.#file.reopen();
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
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
