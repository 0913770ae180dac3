/**
 * What is kept in files about sessions on Janus' nodes: beside this gateway's other records, for its
 * user alone; and their configurations, in the folder that the nodes share.
 * @module
 */
import { messageOf, quote, ScistreamError } from "../../../protocol/errors.ts";

/** What runs for a session, and where. */
export interface Kept {
  /** The uid's hash. */
  session: string;
  /** Janus' id for it. */
  janus: number;
  /** What Janus, and the configuration's file, call it: nobody else calls anything so. */
  name: string;
  node: string;
  /** Of the session, for whoever has lost what else was known of it. */
  record: string;
}

/** The private files. */
export class KeptFiles {
  readonly #folder: string;
  /** 8 hex digits, of this gateway as long as its folder lasts: what runs in Janus is known by it. */
  readonly gateway: string;

  /** @param home the gateway's folder */
  constructor(home: string) {
    this.#folder = `${home}/janus`;
    try {
      Deno.mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      this.gateway = read(`${this.#folder}/gateway`) ?? "";
      if (!/^[0-9a-f]{8}$/.test(this.gateway)) {
        this.gateway = crypto.randomUUID().slice(0, 8);
        replace(`${this.#folder}/gateway`, this.gateway, 0o600);
      }
    } catch (error) {
      const why = messageOf(error);
      throw new ScistreamError("CONN_ERROR", `cannot keep files in ${this.#folder}: ${why}`);
    }
  }

  /** All that is kept. */
  all(): Kept[] {
    return readFolder(this.#folder);
  }

  /** Keeps it, whole or not at all. */
  put(kept: Kept): void {
    const { session, janus, name, node, record } = kept;
    const path = this.#path(session);
    try {
      replace(path, JSON.stringify({ session, janus, name, node, record }), 0o600);
    } catch (error) {
      throw new ScistreamError("CONN_ERROR", `cannot write ${path}: ${messageOf(error)}`);
    }
  }

  /** Keeps it no more. */
  delete(session: string): void {
    remove(this.#path(session));
  }

  /** Removes the folder, where nothing is kept any more. */
  end(): void {
    if (this.all().length > 0) return;
    Deno.removeSync(this.#folder, { recursive: true });
  }

  #path(session: string): string {
    return `${this.#folder}/${session}.json`;
  }
}

/** What an earlier control server kept in its home; nothing is made there. */
export function readKept(home: string): Kept[] {
  try {
    return readFolder(`${home}/janus`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** A file that cannot be read is left out: what it was about is found in Janus. */
function readFolder(folder: string): Kept[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name }) => {
    if (!name.endsWith(".json")) return [];
    try {
      const kept = JSON.parse(Deno.readTextFileSync(`${folder}/${name}`));
      return isKept(kept) ? [kept] : [];
    } catch {
      return [];
    }
  });
}

function isKept(value: unknown): value is Kept {
  if (typeof value !== "object" || value === null) return false;
  const { session, janus, name, node, record } = value as Record<string, unknown>;
  return [session, name, node, record].every((each) => typeof each === "string") &&
    typeof janus === "number" && /^[0-9a-f]+$/.test(session as string);
}

/** The configurations in the shared folder. */
export class SharedFolder {
  constructor(
    /** On this host. */
    readonly here: string,
    /** In the containers. */
    readonly there: string,
  ) {}

  /** @throws {ScistreamError} CONN_ERROR if nothing can be put there */
  check(): void {
    const name = `.scistream-${crypto.randomUUID()}`;
    this.put(name, "");
    this.remove(name);
  }

  /** Where a container finds its configuration. */
  pathOf(name: string): string {
    return `${this.there}/${name}.cfg`;
  }

  /**
   * Writes a configuration, whole or not at all. Whoever may read the folder may read it: the
   * container's user is not known here. There is no secret in it.
   */
  put(name: string, text: string): void {
    const path = `${this.here}/${name}.cfg`;
    try {
      const { uid, gid, mode } = Deno.statSync(this.here);
      replace(path, text, 0o600 | (mode ?? 0) & 0o044, { uid, gid });
    } catch (error) {
      throw new ScistreamError(
        "CONN_ERROR",
        `cannot write into --janus-config-dir ${quote(this.here)}: ${messageOf(error)}`,
      );
    }
  }

  /** What is in a configuration; undefined if it is not there. */
  read(name: string): string | undefined {
    return read(`${this.here}/${name}.cfg`);
  }

  /** Removes a configuration, if it is there. */
  remove(name: string): void {
    remove(`${this.here}/${name}.cfg`);
  }

  /** Removes all whose name begins so, but for those that are wanted. */
  sweep(prefix: string, wanted: (name: string) => boolean): void {
    for (const { name } of [...Deno.readDirSync(this.here)]) {
      const own = name.startsWith(prefix);
      if (own && !wanted(name.replace(/\.cfg$/, ""))) remove(`${this.here}/${name}`);
    }
  }
}

function replace(
  path: string,
  text: string,
  mode: number,
  owner?: { uid: number | null; gid: number | null },
): void {
  const fresh = `${path}.new`;
  try {
    remove(fresh);
    Deno.writeTextFileSync(fresh, text, { mode, createNew: true });
    // The umask may have taken from it.
    Deno.chmodSync(fresh, mode);
    if (owner && owner.uid !== Deno.statSync(fresh).uid) giveTo(fresh, owner);
    Deno.renameSync(fresh, path);
  } catch (error) {
    remove(fresh);
    throw error;
  }
}

/** Only root can, and not everywhere; whoever cannot has to have a folder that others read. */
function giveTo(path: string, { uid, gid }: { uid: number | null; gid: number | null }): void {
  try {
    Deno.chownSync(path, uid, gid);
  } catch {
    // HAProxy will say that it cannot read it.
  }
}

function read(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
