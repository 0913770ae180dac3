import { Half } from "./half.ts";
import type { Limit } from "./limit.ts";
import type { Budget } from "./budget.ts";
import { type End, reset } from "./sockets.ts";

/** What a relay tells whoever owns it. */
export interface RelayEvents {
  /** Bytes read from one side and written to the other. */
  toTarget(bytes: number): void;
  fromTarget(bytes: number): void;
  /**
   * The first bytes from either side, before they are passed on. A sentence refuses them: the
   * connection is cut, and the sentence is why.
   */
  first?(from: "client" | "target", bytes: Uint8Array): string | undefined;
}

/** What a relay shares with others. */
export interface Shared {
  /** For blocks, in bytes. */
  memory: Budget;
  toTarget?: Limit;
  fromTarget?: Limit;
}

/**
 * Carries bytes both ways between an accepted connection and its target: half-close, back-pressure,
 * EOF and RST included.
 */
export class Relay {
  readonly #ends: readonly End[];
  readonly #halves: readonly Half[];
  #open = 2;
  #why?: string;
  /** Resolves when both connections are gone; the message says what went wrong, empty for nothing. */
  readonly done: Promise<string>;

  /** Takes both connections over, and starts. */
  constructor(near: End, far: End, events: RelayEvents, shared: Shared) {
    this.#ends = [near, far];
    const names = this.#ends.map(({ framed }, i) =>
      framed ? "the other gateway" : i === 0 ? "client" : "target"
    );
    const half = (self: End, peer: End, from: "client" | "target") =>
      new Half(self, peer, {
        count: (n) => from === "client" ? events.toTarget(n) : events.fromTarget(n),
        first: (bytes) => events.first?.(from, bytes),
        limit: from === "client" ? shared.toTarget : shared.fromTarget,
        memory: shared.memory,
        finished: () => this.#finished(),
        fail: (why) => this.#fail(why),
      });
    this.#halves = [half(near, far, "client"), half(far, near, "target")];
    this.done = new Promise((resolve) => {
      this.#ends.forEach(({ socket, tcp }, i) => {
        const failed = (error: NodeJS.ErrnoException) => {
          // The other gateway may be gone already when all was said.
          if (tcp !== socket && this.#over) return socket.destroy();
          this.#fail(`${names[i]}: ${error.code ?? error.message}`);
        };
        socket.on("error", failed);
        if (tcp !== socket) tcp.on("error", failed);
        socket.on("end", () => this.#halves[i]?.end());
        socket.on("close", () => {
          tcp.destroy();
          this.#halves[i]?.close();
          if (--this.#open === 0) return resolve(this.#why ?? "");
          // Closed without both ends of stream having been seen.
          if (!this.#halves[i]?.over) this.#fail(`${names[i]}: closed`);
        });
      });
    });
    for (const each of this.#halves) each.start();
  }

  get #over(): boolean {
    return this.#halves.every((half) => half.over);
  }

  /**
   * Ends what is in frames once both directions have: what is read of it after that does not matter,
   * and node:tls in Deno 2.9.3 does not always tell that its peer has ended it.
   */
  #finished(): void {
    if (!this.#over) return;
    for (const { socket, framed } of this.#ends) {
      if (framed) socket.end(() => socket.destroy());
    }
  }

  /** Cuts both connections with an RST. */
  reset(): void {
    this.#fail("");
  }

  #fail(why: string): void {
    if (this.#why !== undefined) return;
    this.#why = why;
    this.#ends.forEach(reset);
  }
}
