/**
 * The ways to a server of this machine that are compared: straight, through each data server type,
 * and through the proxies as they are without us.
 * @module
 */
import { whichHere } from "./kinds.ts";
import { PEERS } from "./peers.ts";
import type { Context } from "./result.ts";
import { Streams } from "./streams.ts";

/** The straight way. */
export const DIRECT = "direct";

/** A way to the server. */
export interface Path {
  name: string;
  /** Where a client connects. */
  port: number;
  /** Of the proxies, with their workers; none for the straight way. */
  pids: () => Promise<number[]>;
}

/**
 * Ways to a port of this machine, until the stack is disposed of, and a line for each reason why
 * some are left out.
 * @param names {@linkcode DIRECT}, kinds of streams and peers
 */
export async function openPaths(
  stack: AsyncDisposableStack,
  names: readonly string[],
  target: number,
  context: Context,
): Promise<{ paths: Path[]; leftOut: string[] }> {
  const { here, leftOut } = await whichHere(names, context.signal);
  const paths: Path[] = [];
  for (const name of here) paths.push(await openPath(stack, name, target, context));
  return { paths, leftOut };
}

/** One way, where {@linkcode whichHere} has said that it is there. */
export async function openPath(
  stack: AsyncDisposableStack,
  name: string,
  target: number,
  context: Context,
): Promise<Path> {
  if (name === DIRECT) return { name, port: target, pids: () => Promise.resolve([]) };
  context.tell(`starting ${name}`);
  const peer = PEERS[name];
  if (peer) return { name, ...await peer(stack, target, context) };
  const streams = stack.use(await Streams.start(name, context));
  const { port } = await streams.open(target);
  return { name, port, pids: () => streams.pids() };
}
