import { ScistreamError } from "../protocol/errors.ts";
import type { PortRange } from "../protocol/values.ts";

/** The data ports of one node, shared by all its sessions. Gives the lowest free ones. */
export class PortPool {
  readonly #range: PortRange;
  readonly #taken = new Set<number>();
  /** How many of the range are taken. */
  #used = 0;
  /** All of the range below it are. */
  #lowest: number;

  constructor(range: PortRange) {
    this.#range = range;
    this.#lowest = range.first;
  }

  /** Ports of the range that sessions hold. */
  get used(): number {
    return this.#used;
  }

  /** Ports that no session holds. */
  get free(): number {
    return this.#range.size - this.#used;
  }

  /**
   * Takes `count` ports, none of them in `skip` (ports found to be somebody else's).
   * @throws {ScistreamError} NO_RESOURCE, and nothing is taken
   */
  take(count: number, skip: ReadonlySet<number> = new Set()): number[] {
    const ports: number[] = [];
    while (this.#taken.has(this.#lowest)) this.#lowest++;
    for (let port = this.#lowest; port <= this.#range.last && ports.length < count; port++) {
      if (!this.#taken.has(port) && !skip.has(port)) ports.push(port);
    }
    if (ports.length < count) {
      const others = skip.size > 0 ? `, ${skip.size} of them used by other programs` : "";
      throw new ScistreamError(
        "NO_RESOURCE",
        `${count} ports asked for, ${this.free} of ${this.#range} are free${others}; ` +
          "release a session, ask for fewer channels or start s2cs with a larger --port-range",
      );
    }
    this.hold(ports);
    return ports;
  }

  /** Marks ports that a session has already; they may lie outside of a range that has changed since. */
  hold(ports: Iterable<number>): void {
    for (const port of ports) {
      if (!this.#taken.has(port) && this.#has(port)) this.#used++;
      this.#taken.add(port);
    }
  }

  give(ports: Iterable<number>): void {
    for (const port of ports) {
      if (!this.#taken.delete(port) || !this.#has(port)) continue;
      this.#used--;
      this.#lowest = Math.min(this.#lowest, port);
    }
  }

  #has(port: number): boolean {
    return port >= this.#range.first && port <= this.#range.last;
  }
}
