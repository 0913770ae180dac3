import { ScistreamError } from "../protocol/errors.ts";
import type { PortRange } from "../protocol/values.ts";

/** The data ports of one gateway, shared by all its sessions. Gives the lowest free ones. */
export class PortPool {
  readonly #range: PortRange;
  readonly #taken = new Set<number>();

  constructor(range: PortRange) {
    this.#range = range;
  }

  /** Ports of the range that sessions hold. */
  get used(): number {
    return this.#range.size - this.free;
  }

  /** Ports that no session holds. */
  get free(): number {
    const { first, last } = this.#range;
    const taken = [...this.#taken].filter((port) => port >= first && port <= last);
    return this.#range.size - taken.length;
  }

  /**
   * Takes `count` ports, none of them in `skip` (ports found to be somebody else's).
   * @throws {ScistreamError} NO_RESOURCE, and nothing is taken
   */
  take(count: number, skip: ReadonlySet<number> = new Set()): number[] {
    const ports: number[] = [];
    for (let port = this.#range.first; port <= this.#range.last && ports.length < count; port++) {
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
    for (const port of ports) this.#taken.add(port);
    return ports;
  }

  /** Marks ports that a session has already; they may lie outside of a range that has changed since. */
  hold(ports: Iterable<number>): void {
    for (const port of ports) this.#taken.add(port);
  }

  give(ports: Iterable<number>): void {
    for (const port of ports) this.#taken.delete(port);
  }
}
