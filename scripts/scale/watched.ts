/**
 * The real placement, timed, and looked at by somebody who keeps books of their own.
 * @module
 */
import type { PortRange, Rate } from "../../lib/protocol/values.ts";
import { GREATEST_RATE } from "./world.ts";
import type { GatewayNode } from "../../lib/s2ds/data_server.ts";
import {
  Found,
  type Place,
  Placement,
  type PlacementOptions,
  type Wanted,
} from "../../lib/s2cs/placement.ts";

/** Kilobytes per second: sessions that end, and rates that change, leave their nodes unlike the others. */
const EVEN = 4 * GREATEST_RATE;
/** The same where a node has thousands of sessions. */
const EVEN_PART = 0.05;

/** Something that must never be is so. */
export class Broken extends Error {
  override readonly name = "Broken";
}

/** What the sessions of a node have, by the places that were given. */
interface Page {
  sessions: number;
  ports: Set<number>;
  rate: Rate;
}

/** {@linkcode Placement}, each of whose answers is checked. */
export class Watched extends Placement {
  /** Milliseconds that each `take` took, oldest first. */
  readonly takes: number[] = [];
  readonly #pages = new Map<string, Page>();
  readonly #range: PortRange;
  readonly #nodes: () => readonly GatewayNode[];

  constructor(options: PlacementOptions) {
    super(options);
    this.#range = options.range;
    this.#nodes = options.nodes;
  }

  override take(wanted: Wanted, found = new Found()): Place {
    const start = performance.now();
    const place = super.take(wanted, found);
    this.takes.push(performance.now() - start);
    if (place.ports.length !== wanted.channels || place.rate !== wanted.rate) {
      throw new Broken(`${JSON.stringify(wanted)} got ${JSON.stringify(place)}`);
    }
    for (const port of place.ports) {
      if (port < this.#range.first || port > this.#range.last) {
        throw new Broken(`port ${port} is none of ${this.#range}`);
      }
    }
    if (!this.node(place.node.name)) throw new Broken(`${place.node.name} takes no sessions`);
    this.#enter(place);
    this.#assertWithin(place.node);
    return place;
  }

  override hold(place: Place): void {
    super.hold(place);
    this.#enter(place);
  }

  override give(place: Place): void {
    super.give(place);
    const page = this.#page(place.node.name);
    for (const port of place.ports) {
      if (!page.ports.delete(port)) throw new Broken(`port ${port} comes back twice`);
    }
    page.rate -= place.rate;
    page.sessions--;
  }

  override rerate(place: Place, rate: Rate): Place {
    const changed = super.rerate(place, rate);
    this.#page(place.node.name).rate += rate - place.rate;
    if (rate > place.rate) this.#assertWithin(place.node);
    return changed;
  }

  /** How many sessions have a place on a node. */
  sessionsOn(node: string): number {
    return this.#page(node).sessions;
  }

  /**
   * That nodes of the same capacity have about as much: their sessions' rates together differ by a few
   * sessions' at most. Answers what the least has of what the most has, of nodes of the greatest.
   */
  assertEven(): number {
    const kinds = Map.groupBy(this.#nodes(), ({ capacity }) => capacity);
    let even = 1;
    for (const [capacity, nodes] of [...kinds].sort(([a], [b]) => a - b)) {
      const rates = nodes.map(({ name }) => this.#page(name).rate);
      const [least, most] = [Math.min(...rates), Math.max(...rates)];
      if (most - least > Math.max(EVEN, EVEN_PART * most)) {
        throw new Broken(`sessions of nodes with ${capacity} kB/s have ${least} to ${most} kB/s`);
      }
      even = most === 0 ? 1 : least / most;
    }
    return even;
  }

  /** That nothing is taken any more: all ports are free, and each node's whole capacity. */
  assertFree(): void {
    const nodes = this.#nodes();
    const all = nodes.length * this.#range.size;
    if (this.used !== 0 || this.free !== all) {
      throw new Broken(`${this.used} ports are still used, ${this.free} of ${all} free`);
    }
    for (const node of nodes.filter(({ capacity }) => capacity > 0)) {
      const alone = new Found();
      for (const other of nodes) if (other !== node) alone.faulty(other.name);
      // Refused where something of its rate is still reserved.
      this.give(this.take({ channels: 1, rate: node.capacity }, alone));
    }
  }

  #page(node: string): Page {
    let page = this.#pages.get(node);
    if (!page) this.#pages.set(node, page = { sessions: 0, ports: new Set(), rate: 0 });
    return page;
  }

  #enter({ node, ports, rate }: Place): void {
    const page = this.#page(node.name);
    for (const port of ports) {
      if (page.ports.has(port)) throw new Broken(`port ${port} of ${node.name} was given twice`);
      page.ports.add(port);
    }
    page.rate += rate;
    page.sessions++;
  }

  #assertWithin({ name, capacity }: GatewayNode): void {
    const { rate } = this.#page(name);
    if (capacity === 0 || rate <= capacity) return;
    throw new Broken(`sessions of ${name} have ${rate} of its ${capacity} kB/s`);
  }
}
