/**
 * Server-sent events: what changed, each second. A reader that is slow is told the latest only.
 * @module
 */
import type { Observer, Snapshot } from "../observer.ts";
import { Delta } from "./delta.ts";
import type { Answer } from "./listen.ts";
import { HEAD, type Seen } from "./view.ts";
import type { Visitor } from "./visitors.ts";

/** Readers at once, and of one identity, or one address where callers are not known. */
const MOST = 64;
const MOST_OF_ONE = 16;

/** What a reader is told. */
export interface Reading {
  /** Whom it is counted for. */
  key: string;
  /**
   * Who reads, asked again before each event: a token may end, or be revoked. Where that cannot be found
   * out, the reader is cut, and asks again by itself.
   */
  visitor: () => Promise<Visitor | undefined>;
  look: (snapshot: Snapshot, visitor: Visitor) => Seen;
  /** Whether it is over once the session has gone. */
  ofOne: boolean;
}

/** Feeds readers. */
export class Feed {
  readonly #observer: Observer;
  readonly #readers = new Map<string, number>();
  #count = 0;

  constructor(observer: Observer) {
    this.#observer = observer;
  }

  /** An answer without end, or 503 for one reader too many. */
  answer(reading: Reading): Answer {
    if (this.#count >= MOST || (this.#readers.get(reading.key) ?? 0) >= MOST_OF_ONE) {
      const body = `too many pages are open: ${MOST_OF_ONE} of one reader, ${MOST} of all\n`;
      return { status: 503, headers: { "retry-after": "10", "content-type": "text/plain" }, body };
    }
    return {
      status: 200,
      headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
      body: (signal) => this.#events(reading, signal),
    };
  }

  async *#events(
    { key, visitor, look, ofOne }: Reading,
    signal: AbortSignal,
  ): AsyncGenerator<string, void> {
    this.#add(key, 1);
    try {
      const delta = new Delta();
      let first = true;
      for await (const snapshot of this.#observer.watch(signal)) {
        const who = await visitor();
        if (!who) return yield OVER;
        const { at, to, from, rows } = look(snapshot, who);
        yield `data: ${JSON.stringify({ at, to, from, first, ...delta.next(rows) })}\n\n`;
        if (ofOne && !rows.has(HEAD)) return yield OVER;
        first = false;
      }
    } finally {
      this.#add(key, -1);
    }
  }

  #add(key: string, more: 1 | -1): void {
    this.#count += more;
    const left = (this.#readers.get(key) ?? 0) + more;
    if (left > 0) this.#readers.set(key, left);
    else this.#readers.delete(key);
  }
}

/** Nothing comes after it. */
const OVER = "event: over\ndata: {}\n\n";
