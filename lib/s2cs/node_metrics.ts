/**
 * What is told of a gateway's nodes, so that however many there are, there are not too many lines.
 * @module
 */
import type { NodeLoad } from "./placement.ts";

/** What the sessions of a node have together. */
export interface NodeNumbers extends NodeLoad {
  sessions: number;
}

/** As many nodes are told of by their names. */
export const MOST_NODES = 200;
/** The name of all others together: no node has such a one. */
export const OTHERS = "(others)";

/** The nodes in the order of their names, of very many the last ones as one. */
export function nodesToTell(nodes: readonly NodeNumbers[]): NodeNumbers[] {
  const sorted = nodes.toSorted((a, b) => a.name < b.name ? -1 : 1);
  if (sorted.length <= MOST_NODES) return sorted;
  const named = sorted.slice(0, MOST_NODES - 1);
  const others = { name: OTHERS, open: false, capacity: 0 };
  const sums = { sessions: 0, used: 0, free: 0, reserved: 0 };
  for (const each of sorted.slice(MOST_NODES - 1)) {
    for (const key of ["sessions", "used", "free", "reserved"] as const) {
      sums[key] += each[key];
    }
  }
  return [...named, { ...others, ...sums }];
}
