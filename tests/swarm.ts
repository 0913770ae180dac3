/**
 * A real Swarm of three Docker Engines on this machine, each in a network and under a host name of
 * its own, all of them managers.
 * @module
 */
import { Engine } from "./engine.ts";
import type { Host } from "./topology.ts";
import { addressOf, type GatewayName, GATEWAYS, SwarmNetwork } from "./swarm_network.ts";

export { addressOf, type GatewayName, GATEWAYS };

/** One engine of the Swarm, and the host that it runs on. */
export interface SwarmNode {
  name: GatewayName;
  engine: Engine;
  /** Its network: what listens in a container on the host's network listens there. */
  host: Host;
  /** Addresses in the two networks. */
  lan: string;
  wan: string;
  /** The node's id in the Swarm. */
  id: string;
}

/** Three engines that are one Swarm. Disposal ends everything that runs in them and leaves nothing. */
export class SwarmOfThree implements AsyncDisposable {
  /** The three gateways, `producer` and `consumer`. */
  readonly network: SwarmNetwork;
  readonly nodes: SwarmNode[] = [];

  private constructor(network: SwarmNetwork) {
    this.network = network;
  }

  /** Starts one, with the three images of scripts/images.sh on each node, by the same ids. */
  static async start(): Promise<SwarmOfThree> {
    const swarm = new SwarmOfThree(await SwarmNetwork.create());
    try {
      await swarm.#start();
      return swarm;
    } catch (error) {
      await swarm[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const starting = GATEWAYS.map(async (name) => {
      const host = this.network.host(name);
      const engine = await Engine.start({ namespace: host.namespace, hostname: name });
      const [lan, wan] = [addressOf(name, "lan"), addressOf(name, "wan")];
      this.nodes.push({ name, engine, host, lan, wan, id: "" });
    });
    // All of them, or one that is just being made would be left.
    const failed = (await Promise.allSettled(starting)).find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") throw failed.reason;
    this.nodes.sort((a, b) => a.name < b.name ? -1 : 1);
    await Promise.all([this.#join(), this.#images()]);
  }

  async #join(): Promise<void> {
    const [first, ...others] = this.nodes as [SwarmNode, ...SwarmNode[]];
    const address = (node: SwarmNode) => [
      "--advertise-addr",
      node.lan,
      "--listen-addr",
      `${node.lan}:2377`,
    ];
    // A node that says nothing for three heartbeats is down.
    await first.engine.docker("swarm", "init", "--dispatcher-heartbeat=2s", ...address(first));
    const { out } = await first.engine.docker("swarm", "join-token", "--quiet", "manager");
    for (const node of others) {
      const to = `${first.lan}:2377`;
      await node.engine.docker("swarm", "join", ...address(node), "--token", out.trim(), to);
    }
    for (const node of this.nodes) {
      const info = await node.engine.docker("info", "--format", "{{.Swarm.NodeID}}");
      node.id = info.out.trim();
    }
  }

  /** Made once, so that an image has the same id everywhere. */
  async #images(): Promise<void> {
    const [first, ...others] = this.nodes as [SwarmNode, ...SwarmNode[]];
    await first.engine.images();
    const names = ["haproxy:latest", "nginx:latest", "stunnel:latest"];
    const tar = `${first.engine.folder}/images.tar`;
    await first.engine.docker("save", "--output", tar, ...names);
    await Promise.all(others.map(({ engine }) => engine.docker("load", "--input", tar)));
    Deno.removeSync(tar);
  }

  /** A node by its name. */
  node(name: GatewayName): SwarmNode {
    return this.nodes.find((node) => node.name === name) as SwarmNode;
  }

  /** Sets labels of a node, which services may be held to. */
  async label(name: GatewayName, labels: Record<string, string>): Promise<void> {
    const words = Object.entries(labels).flatMap((
      [key, value],
    ) => ["--label-add", `${key}=${value}`]);
    await this.node(name).engine.docker("node", "update", ...words, this.node(name).id);
  }

  /** A machine that loses its power: nobody is told, and its containers are gone. */
  async crash(name: GatewayName): Promise<void> {
    await this.network.plug(name, "down");
    await this.node(name).engine.crash();
  }

  /** Starts an engine again after {@linkcode crash}, or after its process was stopped. */
  async restart(name: GatewayName): Promise<void> {
    await this.network.plug(name, "up");
    await this.node(name).engine.restart();
  }

  /**
   * Waits until every node is ready, and every manager reachable from the one that is asked: one that
   * has just come back is counted ready long before it is a voter again.
   */
  async settled(asked: GatewayName = "gw1"): Promise<void> {
    await patiently("all nodes are ready, and reachable as managers", async () => {
      const format = "{{.Status}} {{.ManagerStatus}}";
      const listed = await this.node(asked).engine.docker("node", "ls", "--format", format)
        .catch(() => ({ out: "" }));
      const lines = listed.out.split("\n").filter(Boolean);
      return lines.length === GATEWAYS.length &&
        lines.every((line) => /^Ready (Leader|Reachable)$/.test(line));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A manager that the others have left takes long to end well.
    const results = await Promise.allSettled(this.nodes.map(async ({ engine }) => {
      await engine.crash();
      await engine[Symbol.asyncDispose]();
    }));
    await this.network[Symbol.asyncDispose]();
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }
}

/**
 * Looks again and again until `look` answers something true, at most two minutes: managers take up to
 * a minute to find a new leader.
 */
export async function patiently<T>(what: string, look: () => T | Promise<T>): Promise<T> {
  const end = Date.now() + 120_000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`did not happen within 2 minutes: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
