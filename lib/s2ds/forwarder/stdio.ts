/**
 * The original agent's protocol (contract section 5): one process, one channel.
 * @module
 */
import net from "node:net";
import { Endpoint } from "../../protocol/endpoint.ts";
import { Channel } from "./channel.ts";
import { DescriptorBudget } from "./descriptors.ts";
import { Budget, MEMORY } from "./budget.ts";

/** The streams of the process, or stand-ins for a test. */
export interface Stdio {
  stdin: ReadableStream<Uint8Array>;
  /** Writes to stdout. */
  write: (text: string) => Promise<void>;
  /** File descriptors that this process may have. */
  maxFiles?: number;
  /** Ends the channel, as the end of stdin does. */
  signal: AbortSignal;
}

/** Longest target line: a DNS name, a port and a line end fit. */
const LONGEST_TARGET = 300;

/**
 * Listens on a free port, prints it and a newline, then reads targets (`ip:port` and a newline; the
 * last one counts) and forwards both ways. The end of stdin means that whoever started this is done:
 * established connections finish, then it returns.
 * @throws {ScistreamError} BAD_FORMAT for a target that is not an address
 */
export async function serveStdio(stdio: Stdio): Promise<void> {
  const port = await freePort();
  const budget = new DescriptorBudget(stdio.maxFiles);
  const memory = new Budget(MEMORY);
  const channel = await Channel.listen({ at: new Endpoint("0.0.0.0", port), budget, memory });
  try {
    await stdio.write(`${port}\n`);
    let pending = "";
    for await (const text of stdio.stdin.pipeThrough(new TextDecoderStream(), stdio)) {
      pending += text;
      const parts = pending.split("\n");
      pending = parts.pop() ?? "";
      if (pending.length > LONGEST_TARGET) Endpoint.parse(pending, "target");
      for (const line of parts) {
        if (line.trim()) channel.target(Endpoint.parse(line.trim(), "target"));
      }
    }
  } catch (error) {
    if (!stdio.signal.aborted) throw error;
  } finally {
    channel.stopListening();
    if (stdio.signal.aborted) channel.cut();
    else stdio.signal.addEventListener("abort", () => channel.cut(), { once: true });
    await channel.drained();
  }
}

function freePort(): Promise<number> {
  const server = net.createServer();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "0.0.0.0", () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
