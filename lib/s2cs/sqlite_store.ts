/**
 * Sessions in a file that outlives the control server: SQLite, in its gateway's folder.
 * @module
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { messageOf, ScistreamError } from "../protocol/errors.ts";
import type { Uid } from "../protocol/uid.ts";
import { Damaged, fromRow, type Row, toRow } from "./record.ts";
import type { Session } from "./session.ts";
import type { SessionStore } from "./store.ts";
import { diskFault } from "./unwritable.ts";

/** Each takes a file from its number to the next; never changed once it has been shipped. */
const MIGRATIONS = [
  `CREATE TABLE session (
    hash TEXT PRIMARY KEY,
    uid TEXT NOT NULL,
    role TEXT NOT NULL,
    state TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    record TEXT NOT NULL
  ) STRICT`,
];

/** Marks a file that knows of every session that runs ("S2CS"). */
const COMPLETE = 0x53324353;

/** How a file was opened. */
interface Opened {
  path: string;
  warn: (sentence: string) => void;
  onError: () => void;
}

/** What could not be written is tried again so often. */
const AGAIN_MS = 1_000;

/** A store whose every change is in the file when the call returns; of `note` and `delete` later, where it cannot be. */
export class SqliteStore implements SessionStore, Disposable {
  readonly #database: DatabaseSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #sessions = new Map<string, Session>();
  readonly #path: string;
  readonly #warn: (sentence: string) => void;
  readonly #onError: () => void;
  /** Writes that failed and will be tried again, by the session's hash. */
  readonly #owed = new Map<string, () => void>();
  #again?: ReturnType<typeof setInterval>;

  private constructor(
    database: DatabaseSync,
    sessions: Session[],
    { path, warn, onError }: Opened,
  ) {
    this.#database = database;
    this.#path = path;
    this.#warn = warn;
    this.#onError = onError;
    for (const session of sessions) this.#sessions.set(session.uid.hash, session);
    this.#put = database.prepare(
      `INSERT INTO session (hash, uid, role, state, created_ms, record) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (hash) DO UPDATE SET state = excluded.state, record = excluded.record`,
    );
    this.#delete = database.prepare("DELETE FROM session WHERE hash = ?");
  }

  /**
   * Opens the file, or makes it. One that is damaged is moved aside, and `warn` told; so it is, once,
   * when the file cannot be written any more; `onError` is told of each write that fails.
   * @throws {ScistreamError} VERSION_ERR for a file of a later version, NO_RESOURCE, CONN_ERROR when it
   * cannot be used
   */
  static open(
    path: string,
    warn: (sentence: string) => void,
    onError: () => void = () => {},
  ): SqliteStore {
    try {
      return SqliteStore.#open({ path, warn, onError });
    } catch (error) {
      if (!isDamage(error)) throw unwritable(path, error);
      const aside = `${path}.damaged-${new Date().toISOString().replaceAll(/[^0-9]/g, "")}`;
      Deno.renameSync(path, aside);
      for (const end of ["-wal", "-shm"]) remove(`${path}${end}`);
      warn(`the sessions' file is damaged (${messageOf(error)}); it is now ${aside}`);
      return SqliteStore.#open({ path, warn, onError });
    }
  }

  static #open(opened: Opened): SqliteStore {
    const { path } = opened;
    // The uids are in it. SQLite gives the files beside it the same mode.
    Deno.openSync(path, { create: true, write: true, mode: 0o600 }).close();
    const database = new DatabaseSync(path);
    try {
      // What a process wrote is there after its death; the machine's takes the data servers along.
      // Uids of sessions that are over must not stay in pages that nobody uses.
      const pragmas = ["journal_mode = WAL", "synchronous = NORMAL", "secure_delete = ON"];
      database.exec(pragmas.map((each) => `PRAGMA ${each}`).join(";"));
      migrate(database, path);
      const sessions = readAll(database);
      // Whoever can keep nothing must not begin: a file that is there can be read without any room.
      database.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
      return new SqliteStore(database, sessions, opened);
    } catch (error) {
      database.close();
      throw error;
    }
  }

  /**
   * Whether it knows of every session that runs. A new file does not, and may be there in place of one
   * that was damaged or lost; nor does it after a death before {@linkcode completed}.
   */
  get isComplete(): boolean {
    const row = this.#database.prepare("PRAGMA application_id").get();
    return row?.application_id === COMPLETE;
  }

  /** Whatever runs is in it from now on. */
  completed(): void {
    try {
      this.#database.exec(`PRAGMA application_id = ${COMPLETE}`);
    } catch (error) {
      throw unwritable(this.#path, error);
    }
  }

  get(uid: Uid): Session | undefined {
    return this.#sessions.get(uid.hash);
  }

  put(session: Session): void {
    const { hash } = session.uid;
    try {
      // What an earlier session of this uid left must go first.
      this.#owed.get(hash)?.();
      this.#write(session);
    } catch (error) {
      this.#onError();
      throw unwritable(this.#path, error);
    }
    this.#owed.delete(hash);
    this.#sessions.set(hash, session);
    this.#settle();
  }

  note(session: Session): void {
    this.#sessions.set(session.uid.hash, session);
    this.#soon(session.uid.hash, () => this.#write(session));
  }

  delete({ hash }: Uid): void {
    this.#sessions.delete(hash);
    this.#soon(hash, () => this.#delete.run(hash));
  }

  #soon(hash: string, write: () => void): void {
    this.#owed.set(hash, write);
    this.#settle();
  }

  /** Writes what is owed, as far as that can be done now. */
  #settle(): void {
    try {
      for (const [hash, write] of this.#owed) {
        write();
        this.#owed.delete(hash);
      }
      clearInterval(this.#again);
      this.#again = undefined;
    } catch (error) {
      this.#onError();
      if (this.#again !== undefined) return;
      this.#warn(
        `${
          unwritable(this.#path, error).message
        }; what has changed is written once that can be done`,
      );
      this.#again = setInterval(() => this.#settle(), AGAIN_MS);
    }
  }

  #write(session: Session): void {
    const { uid, role, state, created_ms, record } = toRow(session);
    this.#put.run(session.uid.hash, uid, role, state, created_ms, record);
  }

  all(): Session[] {
    return [...this.#sessions.values()];
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#settle();
    clearInterval(this.#again);
    this.#database.close();
  }
}

function migrate(database: DatabaseSync, path: string): void {
  const { user_version: version } = database.prepare("PRAGMA user_version").get() as {
    user_version: number;
  };
  if (version > MIGRATIONS.length) {
    throw new ScistreamError(
      "VERSION_ERR",
      `${path} is of a later version of s2cs (format ${version}, this one knows ${MIGRATIONS.length}); run that one, or end its sessions and remove the file`,
    );
  }
  for (const [i, migration] of MIGRATIONS.entries()) {
    if (i < version) continue;
    database.exec(`BEGIN; ${migration}; PRAGMA user_version = ${i + 1}; COMMIT`);
  }
}

function readAll(database: DatabaseSync): Session[] {
  const rows = database.prepare("SELECT * FROM session ORDER BY created_ms, rowid").all();
  return rows.map((row) => fromRow(row as unknown as Row));
}

/** That nothing can be kept in this file. */
function unwritable(path: string, error: unknown): ScistreamError {
  if (error instanceof ScistreamError) return error;
  return diskFault(path, error) ??
    new ScistreamError("CONN_ERROR", `cannot use ${path}: ${messageOf(error)}`, { cause: error });
}

/**
 * SQLITE_CORRUPT or SQLITE_NOTADB by sqlite3_errstr, for Deno tells no number; or contents that make
 * no sense.
 */
function isDamage(error: unknown): boolean {
  if (error instanceof Damaged || error instanceof SyntaxError || error instanceof TypeError) {
    return true;
  }
  if (error instanceof ScistreamError) return error.code !== "VERSION_ERR";
  return /disk image is malformed|file is not a database/.test(messageOf(error));
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
