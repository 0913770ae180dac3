/**
 * The ways to a server of this machine that are compared: straight, through each data server type,
 * and through the proxies as they are without us.
 * @module
 */
import { type Peer, PEERS } from "./peers.ts";
import type { Context } from "./result.ts";
import { nameOf, Streams, whyNot } from "./streams.ts";

/** Types of one proxy, and that proxy as it is without us: names in PEERS. */
interface Family {
  types: string[];
  peers: string[];
}

const FAMILIES: Family[] = [
  { types: ["S2DS"], peers: [] },
  { types: ["HaproxySubprocess", "Haproxy", "DockerSock"], peers: ["haproxy default"] },
  { types: ["NginxSubprocess", "Nginx"], peers: ["nginx default"] },
  {
    types: ["StunnelSubprocess", "Stunnel"],
    peers: ["stunnel pair, default", "stunnel pair, reference"],
  },
];
/** What the built-in forwarder is to be better than. */
const PEERS_OF_S2DS = ["haproxy default", "nginx default"];

/** A way to the server. */
export interface Path {
  name: string;
  /** Where a client connects. */
  port: number;
  /** Of the proxies, with their workers; none for the straight way. */
  pids: () => Promise<number[]>;
  /** Names of the paths that it is measured against. */
  peers: readonly string[];
}

/** Types that can be measured here, and a line for each reason why others cannot. */
export async function typesHere(): Promise<{ types: string[]; leftOut: string[] }> {
  const types: string[] = [];
  const reasons = new Map<string, string[]>();
  for (const type of FAMILIES.flatMap((family) => family.types)) {
    const reason = await whyNot(type);
    if (reason === undefined) types.push(type);
    else reasons.set(reason, [...reasons.get(reason) ?? [], type]);
  }
  const leftOut = [...reasons].map(([reason, which]) => `left out: ${which.join(", ")}: ${reason}`);
  return { types, leftOut };
}

/** All ways to a port of this machine, until the stack is disposed of. */
export async function openPaths(
  stack: AsyncDisposableStack,
  target: number,
  context: Context,
): Promise<{ paths: Path[]; leftOut: string[] }> {
  const paths: Path[] = [
    { name: "direct", port: target, pids: () => Promise.resolve([]), peers: [] },
  ];
  const { types, leftOut } = await typesHere();
  for (const family of FAMILIES) {
    for (const type of family.types.filter((each) => types.includes(each))) {
      context.tell(`starting ${nameOf(type)}`);
      const streams = stack.use(await Streams.start(type, context));
      const { port } = await streams.open(target);
      const pids = () => streams.pids();
      const peers = type === "S2DS" ? PEERS_OF_S2DS : family.peers;
      paths.push({ name: streams.name, port, pids, peers });
    }
    for (const name of family.peers) {
      context.tell(`starting ${name}`);
      const peer = await PEERS[name]?.(stack, target, context) as Peer;
      paths.push({ name, ...peer, peers: [] });
    }
  }
  return { paths, leftOut };
}
