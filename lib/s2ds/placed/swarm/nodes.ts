/**
 * A Swarm's nodes as gateways: what their labels say.
 * @module
 */
import { isIP } from "node:net";
import type { SwarmNode } from "../../../docker/swarm.ts";
import { messageOf } from "../../../protocol/errors.ts";
import type { GatewayNode } from "../../data_server.ts";
import { LABELS } from "./spec.ts";

/** A gateway of a Swarm. */
export interface SwarmGateway extends GatewayNode {
  /** The node's id in the Swarm. */
  readonly id: string;
}

/** The gateways among a Swarm's nodes, and how it is with the others. */
export class SwarmNodes {
  /** Those that take sessions now. */
  readonly open: readonly SwarmGateway[];
  readonly #byName = new Map<string, SwarmNode>();
  readonly #byId = new Map<string, string>();

  /** `warn` is told of labels that cannot be used. */
  constructor(nodes: readonly SwarmNode[], warn: (sentence: string) => void) {
    const hosts = Map.groupBy(nodes, ({ Description }) => Description.Hostname);
    const open: SwarmGateway[] = [];
    for (const node of nodes) {
      const { ID, Description: { Hostname } } = node;
      // Nothing keeps two machines from having one name, or one that nobody can read.
      const isAlone = hosts.get(Hostname)?.length === 1;
      const isName = /^[0-9A-Za-z_.-]{1,64}$/.test(Hostname);
      const name = isAlone && isName ? Hostname : `node-${ID.slice(0, 12)}`;
      this.#byName.set(name, node);
      this.#byId.set(ID, name);
      try {
        const gateway = gatewayOf(node, name);
        if (gateway && takesSessions(node)) open.push(gateway);
      } catch (error) {
        warn(`node ${name} is no gateway: ${messageOf(error)}`);
      }
    }
    this.open = open.sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** The id of a node, for as long as it is in the Swarm. */
  idOf(name: string): string | undefined {
    return this.#byName.get(name)?.ID;
  }

  /** The name of a node. */
  nameOf(id: string): string {
    return this.#byId.get(id) ?? id;
  }

  /** Why what ran on a node does not any more; empty where it does, or may. */
  lossOf(name: string): string {
    const node = this.#byName.get(name);
    if (!node) return `node ${name} has left the Swarm`;
    const { Status, Spec } = node;
    if (Status.State === "down") return `node ${name} is down${why(Status.Message)}`;
    return Spec.Availability === "drain" ? `node ${name} is being drained` : "";
  }

  /** Whether what a node does is told to the managers. */
  isHeard(id: string): boolean {
    return this.#byName.get(this.nameOf(id))?.Status.State === "ready";
  }
}

function why(message: string): string {
  return message && ` (${message.slice(0, 100)})`;
}

function takesSessions({ Status, Spec }: SwarmNode): boolean {
  // After a change of the leader, nodes are unknown until they have called.
  return ["ready", "unknown"].includes(Status.State) && Spec.Availability === "active";
}

/** The gateway that a node's labels make it; none without a label. */
function gatewayOf({ ID, Spec: { Labels } }: SwarmNode, name: string): SwarmGateway | undefined {
  const wan = Labels[LABELS.wan] ?? Labels[LABELS.lan];
  const lan = Labels[LABELS.lan] ?? Labels[LABELS.wan];
  if (wan === undefined || lan === undefined) return undefined;
  for (const [label, address] of [[LABELS.wan, wan], [LABELS.lan, lan]] as const) {
    if (isIP(address) === 0) throw new Error(`its label ${label} is no IP address`);
  }
  const capacity = Labels[LABELS.capacity] ?? "0";
  if (!/^[0-9]{1,15}$/.test(capacity)) {
    throw new Error(`its label ${LABELS.capacity} is no number of kilobytes per second`);
  }
  return {
    id: ID,
    name,
    PROD: { told: wan, bound: wan },
    CONS: { told: lan, bound: lan },
    capacity: Number(capacity),
  };
}
