import type { Uid } from "../protocol/uid.ts";
import type { Session } from "./session.ts";

/** Keeps the sessions of one gateway. `put` or `note` is called after every change. */
export interface SessionStore {
  get(uid: Uid): Session | undefined;
  /**
   * Keeps it, before whoever asked for the change is answered.
   * @throws {ScistreamError} NO_RESOURCE, CONN_ERROR where it cannot; then nothing is changed
   */
  put(session: Session): void;
  /** Keeps what has happened anyhow: as soon as it can, if it cannot now. */
  note(session: Session): void;
  /** Forgets it, likewise: what a session held is freed whether there is room to write that down or not. */
  delete(uid: Uid): void;
  all(): Session[];
  readonly size: number;
}

/** A store that forgets with its process. */
export class MemoryStore implements SessionStore {
  readonly #sessions = new Map<string, Session>();

  get(uid: Uid): Session | undefined {
    return this.#sessions.get(uid.hash);
  }

  put(session: Session): void {
    this.#sessions.set(session.uid.hash, session);
  }

  note(session: Session): void {
    this.put(session);
  }

  delete(uid: Uid): void {
    this.#sessions.delete(uid.hash);
  }

  all(): Session[] {
    return [...this.#sessions.values()];
  }

  get size(): number {
    return this.#sessions.size;
  }
}

/** A store whose sessions are kept by the engine that they run in. */
export class EngineStore extends MemoryStore {
  readonly #keep: (session: Session) => void;

  /** `keep` has the engine keep a session, as soon as it can; of one that does not run, it keeps nothing. */
  constructor(keep: (session: Session) => void) {
    super();
    this.#keep = keep;
  }

  override put(session: Session): void {
    super.put(session);
    this.#keep(session);
  }
}
