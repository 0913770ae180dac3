import type { Uid } from "../protocol/uid.ts";
import type { Session } from "./session.ts";

/** Keeps the sessions of one gateway. `put` is called after every change. */
export interface SessionStore {
  get(uid: Uid): Session | undefined;
  put(session: Session): void;
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
