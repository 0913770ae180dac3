/**
 * A simulated engine in this process: nodes, and what runs on them, as every control server finds it.
 * It answers at once, so that what is measured is the control server's own.
 * @module
 */
import { type GatewayNode, NodeFault, PortsInUse } from "../../lib/s2ds/data_server.ts";
import type {
  Orchestrator,
  OrchestratorEvents,
  Placed,
} from "../../lib/s2ds/placed/orchestrator.ts";
import { Broken } from "./watched.ts";

/** One node in so many has a port that is another program's. */
const STRANGE = 50;

/** Nodes, and the sessions' programs on them. */
export class Fleet {
  #nodes: readonly GatewayNode[];
  readonly #lost = new Set<string>();
  readonly #placed = new Map<string, Placed>();
  /** Who listens on a node's ports. */
  readonly #ports: ReadonlyMap<string, Map<number, string>>;
  #events?: OrchestratorEvents;

  constructor(nodes: readonly GatewayNode[], range: { first: number }) {
    this.#nodes = nodes;
    this.#ports = new Map(nodes.map(({ name }, i) => [
      name,
      new Map<number, string>(i % STRANGE === 1 ? [[range.first + 2, ""]] : []),
    ]));
  }

  /** Those that take sessions: another list whenever they change. */
  get nodes(): readonly GatewayNode[] {
    return this.#nodes;
  }

  /** How many sessions run. */
  get size(): number {
    return this.#placed.size;
  }

  /** What runs. */
  placed(): IteratorObject<Placed> {
    return this.#placed.values();
  }

  /** A node takes no more sessions, and those that it has are lost. */
  lose({ name }: GatewayNode): void {
    this.#lost.add(name);
    this.#nodes = this.#nodes.filter((node) => node.name !== name);
    const reason = `node ${name} is down`;
    for (const { session, node } of [...this.#placed.values()]) {
      if (node === name) this.#events?.onLost(session, reason);
    }
  }

  /** A node takes sessions again. */
  recover(node: GatewayNode): void {
    this.#lost.delete(node.name);
    this.#nodes = [...this.#nodes, node].sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** As a control server sees it. */
  orchestrator(events: OrchestratorEvents): Orchestrator {
    this.#events = events;
    return {
      remembers: true,
      start: done,
      nodes: () => this.#nodes,
      found: () => Promise.resolve([...this.#placed.values()].map(({ record }) => record)),
      run: (placed) => promised(() => this.#listen(placed)),
      adopt: ({ session }) => Promise.resolve(this.#placed.has(session)),
      roll: (placed) =>
        promised(() => {
          const before = this.#known(placed.session);
          if (before.node !== placed.node) {
            this.#listen(placed);
            this.#close(before);
          }
          this.#placed.set(placed.session, slim(placed));
        }),
      note: (session, record) =>
        promised(() => void this.#placed.set(session, { ...this.#known(session), record })),
      end: (session) =>
        promised(() => {
          this.#close(this.#known(session));
          this.#placed.delete(session);
        }),
      trouble: () => Promise.resolve(""),
      log: () => Promise.resolve([]),
      reconcile: done,
      stop: done,
      leave: done,
    };
  }

  #listen(placed: Placed): void {
    const { session, node, listeners } = placed;
    if (this.#lost.has(node)) throw new NodeFault(node, `node ${node} is down`);
    const ports = this.#portsOf(node);
    const strange = listeners.filter(({ port }) => ports.get(port) === "");
    if (strange.length > 0) throw new PortsInUse(strange.map(({ port }) => port));
    for (const { port } of listeners) {
      if (ports.has(port)) throw new Broken(`two sessions have port ${port} of ${node}`);
      ports.set(port, session);
    }
    this.#placed.set(session, slim(placed));
  }

  #close({ session, node, listeners }: Placed): void {
    const ports = this.#portsOf(node);
    for (const { port } of listeners) {
      if (ports.get(port) !== session) throw new Broken(`port ${port} of ${node} is not its`);
      ports.delete(port);
    }
  }

  #portsOf(node: string): Map<number, string> {
    const ports = this.#ports.get(node);
    if (ports) return ports;
    throw new Broken(`there is no node ${node}`);
  }

  #known(session: string): Placed {
    const placed = this.#placed.get(session);
    if (placed) return placed;
    throw new Broken(`session ${session} does not run`);
  }
}

/** Without the files: an engine keeps them elsewhere. */
function slim({ session, id, node, listeners, record, config: { path } }: Placed): Placed {
  return { session, id, node, listeners, record, config: { path, text: "" } };
}

function done(): Promise<void> {
  return Promise.resolve();
}

function promised(act: () => void): Promise<void> {
  return new Promise((resolve) => resolve(act()));
}
