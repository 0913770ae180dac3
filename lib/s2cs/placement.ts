/**
 * On which node a session's listeners are, and on which of its ports.
 * @module
 */
import { ScistreamError } from "../protocol/errors.ts";
import type { PortRange, Rate } from "../protocol/values.ts";
import type { GatewayNode } from "../s2ds/data_server.ts";
import { PortPool } from "./ports.ts";

/** How long a node that could not take a session is the last to be chosen. */
const AVOIDED_MS = 60_000;

const NONE: ReadonlySet<number> = new Set();

/** What a session has of a node. */
export interface Place {
  readonly node: GatewayNode;
  readonly ports: readonly number[];
  /** Kilobytes per second. */
  readonly rate: Rate;
}

/** What a session needs. */
export interface Wanted {
  channels: number;
  /** Kilobytes per second; 0 is as much as there is. */
  rate: Rate;
}

/** What was found out about nodes while a session was being placed. */
export class Found {
  readonly #strangers = new Map<string, Set<number>>();
  readonly #faulty = new Set<string>();

  /** These ports of the node are somebody else's. */
  inUse(node: string, ports: readonly number[]): void {
    const known = this.#strangers.get(node) ?? new Set();
    for (const port of ports) known.add(port);
    this.#strangers.set(node, known);
  }

  /** The node cannot take the session. */
  faulty(node: string): void {
    this.#faulty.add(node);
  }

  /** Ports of the node that are not free, though no session has them. */
  strangers(node: string): ReadonlySet<number> {
    return this.#strangers.get(node) ?? NONE;
  }

  /** Whether the node may be tried. */
  isOpen(node: string): boolean {
    return !this.#faulty.has(node);
  }
}

/** What a node's sessions have of it. */
export interface NodeLoad {
  name: string;
  /** Whether it takes sessions now. */
  open: boolean;
  /** Ports that sessions hold. */
  used: number;
  /** Ports that a session could have now. */
  free: number;
  /** Kilobytes per second. */
  reserved: Rate;
  /** Kilobytes per second that they may reach; 0 where that is not bounded, or not known. */
  capacity: Rate;
}

/** What the sessions of a node have together. */
interface Load {
  ports: PortPool;
  reserved: Rate;
  /** By performance.now(); when it last could not take a session. */
  faultMs?: number;
}

/** Settings of a {@linkcode Placement}. */
export interface PlacementOptions {
  /** Of every node. */
  range: PortRange;
  /** The nodes that take sessions now: another list whenever they change. */
  nodes: () => readonly GatewayNode[];
  /** Whether rates count against the nodes' capacities. */
  reserves: boolean;
}

/**
 * The ports and rates of all nodes. A session goes where the sessions together have the least: of the
 * node's rate, and of its ports. Where nodes tell no capacity, the greatest sum of rates that any has
 * stands for it.
 */
export class Placement {
  readonly #options: PlacementOptions;
  readonly #loads = new Map<string, Load>();
  /** The nodes by their names, made anew with every new list. */
  #named?: { nodes: readonly GatewayNode[]; byName: ReadonlyMap<string, GatewayNode> };

  constructor(options: PlacementOptions) {
    this.#options = options;
  }

  /** The node of this name, if it takes sessions now. */
  node(name: string): GatewayNode | undefined {
    const nodes = this.#options.nodes();
    if (this.#named?.nodes !== nodes) {
      this.#named = { nodes, byName: new Map(nodes.map((node) => [node.name, node])) };
    }
    return this.#named.byName.get(name);
  }

  /** Ports that sessions hold, on all nodes. */
  get used(): number {
    let sum = 0;
    for (const { ports } of this.#loads.values()) sum += ports.used;
    return sum;
  }

  /** Ports that no session holds, on the nodes that take sessions now. */
  get free(): number {
    return this.#options.nodes().reduce((sum, { name }) => sum + this.#load(name).ports.free, 0);
  }

  /** Every node that takes sessions now, or has some. */
  loads(): NodeLoad[] {
    const open = this.#options.nodes();
    const names = new Set(open.map(({ name }) => name));
    const closed = [...this.#loads].filter(([name, { ports }]) =>
      ports.used > 0 && !names.has(name)
    );
    return [
      ...open.map(({ name, capacity }) => {
        const { ports: { used, free }, reserved } = this.#load(name);
        return { name, open: true, used, free, reserved, capacity };
      }),
      ...closed.map(([name, { ports: { used }, reserved }]) => ({
        ...{ name, open: false, used, free: 0, reserved, capacity: 0 },
      })),
    ];
  }

  /**
   * Takes ports of the node that suits best, and reserves the rate there.
   * @throws {ScistreamError} NO_RESOURCE, and nothing is taken
   */
  take({ channels, rate }: Wanted, found: Found = new Found()): Place {
    const nodes = this.#options.nodes();
    const greatest = this.#greatestRate(nodes);
    let best: { node: GatewayNode; load: Load; measure: number } | undefined;
    for (const node of nodes) {
      if (!found.isOpen(node.name)) continue;
      const load = this.#load(node.name);
      if (load.ports.free - found.strangers(node.name).size < channels) continue;
      if (this.#lacks(node, load, rate)) continue;
      const measure = this.#measure(node, load, greatest);
      if (!best || measure < best.measure) best = { node, load, measure };
    }
    if (!best) throw this.#full(nodes, { channels, rate }, found);
    const { node, load } = best;
    const ports = load.ports.take(channels, found.strangers(node.name));
    load.reserved += rate;
    return { node, ports, rate };
  }

  /** Marks what a session has already. */
  hold({ node, ports, rate }: Place): void {
    const load = this.#load(node.name);
    load.ports.hold(ports);
    load.reserved += rate;
  }

  /** Frees what a session had. */
  give({ node, ports, rate }: Place): void {
    const load = this.#load(node.name);
    load.ports.give(ports);
    load.reserved -= rate;
  }

  /**
   * The place with another rate.
   * @throws {ScistreamError} NO_RESOURCE, and the rate stays
   */
  rerate(place: Place, rate: Rate): Place {
    // As it is now: a session that was taken up may not have known it.
    const node = this.node(place.node.name) ?? place.node;
    const load = this.#load(node.name);
    if (rate > place.rate && this.#lacks(node, load, rate - place.rate)) {
      throw new ScistreamError(
        "NO_RESOURCE",
        `a rate of ${rate} kB/s was asked for, and ${node.capacity - load.reserved + place.rate} ` +
          `of node ${node.name}'s ${node.capacity} kB/s are not reserved; ask for a lower rate`,
      );
    }
    load.reserved += rate - place.rate;
    return { ...place, rate };
  }

  /** The node could not take a session: for a while, others are chosen before it. */
  avoid(node: string): void {
    this.#load(node).faultMs = performance.now();
  }

  #load(node: string): Load {
    let load = this.#loads.get(node);
    if (!load) {
      this.#loads.set(node, load = { ports: new PortPool(this.#options.range), reserved: 0 });
    }
    return load;
  }

  #lacks({ capacity }: GatewayNode, { reserved }: Load, rate: Rate): boolean {
    return this.#options.reserves && capacity > 0 && reserved + rate > capacity;
  }

  #greatestRate(nodes: readonly GatewayNode[]): Rate {
    return nodes.reduce((most, { name }) => Math.max(most, this.#load(name).reserved), 0);
  }

  /** From 0, where nothing is taken, to 2, where everything is; more for a node that is avoided. */
  #measure({ capacity }: GatewayNode, { ports, reserved, faultMs }: Load, greatest: Rate): number {
    const ofRate = capacity || greatest;
    const avoided = faultMs !== undefined && performance.now() - faultMs < AVOIDED_MS;
    return (ofRate > 0 ? reserved / ofRate : 0) + ports.used / this.#options.range.size +
      (avoided ? 2 : 0);
  }

  #full(nodes: readonly GatewayNode[], { channels, rate }: Wanted, found: Found): ScistreamError {
    const { range } = this.#options;
    const [first, ...others] = nodes;
    if (!first) {
      return new ScistreamError("NO_RESOURCE", "no node takes sessions now; try again later");
    }
    const free = nodes.map(({ name }) => this.#load(name).ports.free - found.strangers(name).size);
    const most = Math.max(...free);
    if (most >= channels) {
      return new ScistreamError(
        "NO_RESOURCE",
        `a rate of ${rate} kB/s was asked for, and no node has as much that is not reserved; ` +
          "ask for a lower rate or release a session",
      );
    }
    const strangers = found.strangers(first.name).size;
    const where = others.length > 0 ? ` on any of ${nodes.length} nodes` : "";
    const taken = others.length === 0 && strangers > 0
      ? `, ${strangers} of them used by other programs`
      : "";
    return new ScistreamError(
      "NO_RESOURCE",
      `${channels} ports asked for, ${
        others.length > 0 ? `at most ${most}` : this.#load(first.name).ports.free
      } of ${range} are free${where}${taken}; ` +
        "release a session, ask for fewer channels or start s2cs with a larger --port-range",
    );
  }
}
