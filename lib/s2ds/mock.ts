import net from "node:net";
import type { Endpoint } from "../protocol/endpoint.ts";
import { ScistreamError } from "../protocol/errors.ts";
import { type ChannelStatus, type DataServer, idleChannel, PortsInUse } from "./data_server.ts";

/** Forwards nothing, for integrating against the API (contract section 5). */
export class Mock implements DataServer {
  readonly type = "Mock";
  readonly #sessions = new Map<string, number>();

  start(): Promise<void> {
    return Promise.resolve();
  }

  async open(session: string, listeners: readonly Endpoint[]): Promise<void> {
    await probePorts(listeners);
    this.#sessions.set(session, listeners.length);
  }

  target(): Promise<void> {
    return Promise.resolve();
  }

  close(session: string): Promise<void> {
    this.#sessions.delete(session);
    return Promise.resolve();
  }

  status(session: string): Promise<ChannelStatus[]> {
    const channels = this.#sessions.get(session) ?? 0;
    return Promise.resolve(Array.from({ length: channels }, idleChannel));
  }

  stop(): Promise<void> {
    this.#sessions.clear();
    return Promise.resolve();
  }
}

/**
 * Finds out whether anybody listens on these ports, by listening for a moment.
 * @throws {PortsInUse}
 */
export async function probePorts(listeners: readonly Endpoint[]): Promise<void> {
  const taken = (await Promise.all(listeners.map(isTaken))).flat();
  if (taken.length > 0) throw new PortsInUse(taken);
}

function isTaken(at: Endpoint): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve([at.port]);
      else reject(new ScistreamError("CONN_ERROR", `cannot listen on ${at}: ${error.code}`));
    });
    server.listen(at.port, at.host, () => server.close(() => resolve([])));
  });
}
