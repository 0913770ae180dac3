/**
 * The tokens of a user: one file that only the user can read, changed by one process at a time.
 * @module
 */
import { messageOf, ScistreamError } from "../protocol/errors.ts";
import { Secret } from "../protocol/secret.ts";

/** A user's tokens for one scope of one provider. */
export interface Login {
  /** The provider's issuer, or where Globus Auth is. */
  readonly issuer: string;
  /** Whether that is Globus Auth. */
  readonly globus: boolean;
  /** PEM certificates of the authority that the provider's ends at. */
  readonly ca?: string;
  /** The user client's own client there. */
  readonly clientId: string;
  readonly scope: string;
  /** What the tokens were asked for (RFC 8707). */
  readonly resource?: string;
  /** The user, as the provider told it; empty if it did not. */
  readonly name: string;
  readonly accessToken: Secret;
  readonly refreshToken?: Secret;
  /** When the access token was had; milliseconds since 1970 UTC. */
  readonly issuedMs: number;
  /** When it ends; 0 if the provider did not say. */
  readonly expiresMs: number;
}

const FORMAT = 1;
const MOST_BYTES = 4 << 20;
/** A process holds the lock for as long as a refresh takes at most; several may stand in line. */
const LOCK_MS = 30_000;

/** The file `tokens.json` in a folder of the user's. */
export class TokenStore {
  readonly #folder: string;
  readonly #lockMs: number;

  /** The folder is made when it is needed. */
  constructor(folder: string, lockMs = LOCK_MS) {
    this.#folder = folder;
    this.#lockMs = lockMs;
  }

  /** Where it is. */
  get path(): string {
    return `${this.#folder}/tokens.json`;
  }

  /**
   * What is there; nothing if there is no file.
   * @throws {ScistreamError} BAD_FORMAT when the file cannot be trusted or understood
   */
  async read(): Promise<Login[]> {
    let text: string;
    try {
      const info = await Deno.lstat(this.path);
      const wrong = untrusted(info);
      if (wrong) throw this.#unusable(wrong);
      text = await Deno.readTextFile(this.path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      if (error instanceof ScistreamError) throw error;
      throw this.#unusable(`cannot be read: ${messageOf(error)}`);
    }
    try {
      return parse(text);
    } catch {
      throw this.#unusable("is damaged; move it away and log in again with `s2uc login`");
    }
  }

  /**
   * Changes what is there, while no other process does. The file is whole at every moment.
   * @param work answers all logins from now on, or undefined to leave them as they are
   */
  async change(work: (logins: Login[]) => Promise<Login[] | undefined>): Promise<void> {
    await this.#makeFolder();
    using lock = await Deno.open(`${this.#folder}/tokens.lock`, {
      create: true,
      write: true,
      mode: 0o600,
    });
    await this.#lock(lock);
    try {
      const logins = await work(await this.read());
      if (logins) await this.#write(logins);
    } finally {
      await lock.unlock();
    }
  }

  async #lock(file: Deno.FsFile): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () =>
        late.reject(
          this.#unusable(`is locked by another process for more than ${this.#lockMs / 1000} s`),
        ),
      this.#lockMs,
    );
    try {
      await Promise.race([file.lock(true), late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #write(logins: readonly Login[]): Promise<void> {
    const text = JSON.stringify({ format: FORMAT, logins: logins.map(plain) }, null, 2);
    const half = `${this.path}.new`;
    try {
      // Whoever was killed in the middle has left theirs.
      await Deno.remove(half).catch(() => {});
      {
        using file = await Deno.open(half, { write: true, createNew: true, mode: 0o600 });
        const bytes = new TextEncoder().encode(`${text}\n`);
        for (let written = 0; written < bytes.length;) {
          written += await file.write(bytes.subarray(written));
        }
        await file.syncData();
      }
      await Deno.rename(half, this.path);
    } catch (error) {
      await Deno.remove(half).catch(() => {});
      throw this.#unusable(`cannot be written: ${messageOf(error)}`);
    }
  }

  async #makeFolder(): Promise<void> {
    try {
      await Deno.mkdir(this.#folder, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw new ScistreamError(
        "BAD_FORMAT",
        `cannot make the folder ${this.#folder}: ${messageOf(error)}; set SCISTREAM_STATE_DIR`,
      );
    }
  }

  #unusable(why: string): ScistreamError {
    return new ScistreamError("BAD_FORMAT", `the token store ${this.path} ${why}`);
  }
}

/** Why what stands there must not be taken for our tokens, or may be known to others. */
function untrusted(info: Deno.FileInfo): string | undefined {
  if (!info.isFile) return "is not a file; move it away";
  if (info.size > MOST_BYTES) return "is too large to be one; move it away";
  const mode = (info.mode ?? 0) & 0o777;
  if ((mode & 0o077) !== 0) {
    return `can be read by other users (mode ${
      mode.toString(8)
    }), so its tokens may be known: remove it and log in again, or chmod 600 it if nobody has`;
  }
}

function plain(login: Login): Record<string, unknown> {
  return {
    ...login,
    accessToken: login.accessToken.reveal(),
    refreshToken: login.refreshToken?.reveal(),
  };
}

/** @throws {Error} for anything that we have not written */
function parse(text: string): Login[] {
  const { format, logins } = JSON.parse(text);
  if (format !== FORMAT || !Array.isArray(logins)) throw new Error("format");
  return logins.map((each) => {
    const some = (key: string) => each[key] === undefined ? undefined : string(each[key]);
    const secret = some("refreshToken");
    return {
      issuer: string(each.issuer),
      globus: each.globus === true,
      ca: some("ca"),
      clientId: string(each.clientId),
      scope: string(each.scope),
      resource: some("resource"),
      name: string(each.name),
      accessToken: new Secret(string(each.accessToken)),
      refreshToken: secret === undefined ? undefined : new Secret(secret),
      issuedMs: time(each.issuedMs),
      expiresMs: time(each.expiresMs),
    };
  });
}

function string(value: unknown): string {
  if (typeof value === "string") return value;
  throw new Error("not a text");
}

/** Milliseconds that a Date can have. */
function time(value: unknown): number {
  if (typeof value === "number" && Math.abs(value) <= 8.64e15) return value;
  throw new Error("not a time");
}
