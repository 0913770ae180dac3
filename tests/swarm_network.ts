/**
 * The network of a cluster of gateways: three hosts that each have an address in the LAN and one in
 * the WAN, a producer in the LAN and a consumer in the WAN. The two switches are bridges in a
 * namespace of their own, so that no packet filter of the machine sees what goes over them.
 * @module
 */
import { type Ended, processes, run } from "./harness.ts";
import { Host, PREFIX, remove, removeAbandoned } from "./topology.ts";

/** The gateways' names. */
export const GATEWAYS = ["gw1", "gw2", "gw3"] as const;
/** One of the gateways. */
export type GatewayName = typeof GATEWAYS[number];

/** Address in each network. */
const ADDRESSES: Record<string, { lan?: string; wan?: string }> = {
  gw1: { lan: "10.92.0.1", wan: "10.91.0.1" },
  gw2: { lan: "10.92.0.2", wan: "10.91.0.2" },
  gw3: { lan: "10.92.0.3", wan: "10.91.0.3" },
  producer: { lan: "10.92.0.10" },
  consumer: { wan: "10.91.0.10" },
};
const SWITCHES = ["lan", "wan"] as const;
const TEMP = Deno.env.get("TMPDIR") || "/tmp";
let made = 0;

/** The five hosts. Disposal ends what runs on them and deletes everything. */
export class SwarmNetwork implements AsyncDisposable {
  readonly #hosts = new Map<string, Host>();
  readonly #folder = Deno.makeTempDirSync({ dir: TEMP, prefix: `${PREFIX}-swarm-` });
  readonly #prefix = `${PREFIX}-swarm${made++}`;

  private constructor() {}

  /** A set-up that fails leaves nothing. */
  static async create(): Promise<SwarmNetwork> {
    await removeAbandoned();
    await removeFolders();
    const network = new SwarmNetwork();
    try {
      await network.#make();
      return network;
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #make(): Promise<void> {
    const lines: string[] = [];
    for (const name of ["switch", ...Object.keys(ADDRESSES)]) {
      const namespace = `${this.#prefix}-${name}`;
      const host = new Host(name, namespace, `${this.#folder}/${name}`);
      Deno.mkdirSync(host.folder);
      this.#hosts.set(name, host);
      lines.push(`netns add ${namespace}`, `-n ${namespace} link set lo up`);
    }
    const middle = this.host("switch").namespace;
    for (const net of SWITCHES) {
      lines.push(`-n ${middle} link add ${net} type bridge`, `-n ${middle} link set ${net} up`);
      for (const [name, addresses] of Object.entries(ADDRESSES)) {
        const address = addresses[net];
        if (!address) continue;
        const { namespace } = this.host(name);
        const port = `${name}-${net}`;
        lines.push(
          `link add name ${net} netns ${namespace} type veth peer name ${port} netns ${middle}`,
          `-n ${middle} link set ${port} master ${net} up`,
          `-n ${namespace} address add ${address}/24 dev ${net}`,
          `-n ${namespace} link set ${net} up`,
        );
      }
    }
    // All at once: a process for each would take a second.
    const script = [
      "set -e",
      ...lines.map((line) => `ip ${line}`),
      // A new namespace may inherit it from a machine that forwards, as one with Docker does.
      ...[...this.#hosts.values()].map(({ namespace }) =>
        `ip netns exec ${namespace} sh -c 'echo 0 > /proc/sys/net/ipv4/ip_forward'`
      ),
    ].join("\n");
    await must(["sh", "-c", script]);
  }

  /** A host by its name: a gateway, `producer` or `consumer`. */
  host(name: string): Host {
    const host = this.#hosts.get(name);
    if (!host) throw new Error(`no host ${name} in this network`);
    return host;
  }

  /** Plugs a host's cables in or out; what is sent to it meanwhile is lost without an answer. */
  async plug(name: string, state: "up" | "down"): Promise<void> {
    const { namespace } = this.host("switch");
    for (const net of SWITCHES) {
      if (ADDRESSES[name]?.[net]) {
        await must(["ip", "-n", namespace, "link", "set", `${name}-${net}`, state]);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // One that fails must not keep the others.
    const results = await Promise.allSettled([...this.#hosts.values()].map(remove));
    Deno.removeSync(this.#folder, { recursive: true });
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }
}

/** Removes the folders of test processes that were killed. */
async function removeFolders(): Promise<void> {
  const alive = new Set(processes().map(({ pid }) => String(pid)));
  for (const { name } of Deno.readDirSync(TEMP)) {
    const owner = /^scistream-([0-9]+)-swarm-/.exec(name)?.[1];
    if (owner !== undefined && !alive.has(owner)) await must(["rm", "-rf", `${TEMP}/${name}`]);
  }
}

/** A host's address in one of the networks. */
export function addressOf(name: string, net: "lan" | "wan"): string {
  const address = ADDRESSES[name]?.[net];
  if (!address) throw new Error(`${name} is not in the ${net}`);
  return address;
}

async function must(command: readonly string[]): Promise<Ended> {
  const ended = await run(command);
  if (ended.code === 0) return ended;
  throw new Error(`${command.join(" ")}: exit ${ended.code}: ${ended.err.trim()}`);
}
