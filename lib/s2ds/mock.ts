import type { Endpoint } from "../protocol/endpoint.ts";
import { messageOf, ScistreamError } from "../protocol/errors.ts";
import { type ChannelStatus, type DataServer, idleChannel, PortsInUse } from "./data_server.ts";

/** Forwards nothing, for integrating against the API (contract section 5). */
export class Mock implements DataServer {
  readonly type = "Mock";
  readonly #sessions = new Map<string, number>();

  start(): Promise<void> {
    return Promise.resolve();
  }

  open(session: string, listeners: readonly Endpoint[]): Promise<void> {
    return Promise.resolve(listeners).then(probePorts).then(() => {
      this.#sessions.set(session, listeners.length);
    });
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
 * Finds out whether anybody listens on these ports, by listening for a moment. (Deno.listen, because
 * closing a node:net server takes 2 ms.)
 * @throws {PortsInUse}
 */
export function probePorts(listeners: readonly Endpoint[]): void {
  const taken = listeners.filter(isTaken).map((at) => at.port);
  if (taken.length > 0) throw new PortsInUse(taken);
}

function isTaken(at: Endpoint): boolean {
  try {
    Deno.listen({ hostname: at.host, port: at.port }).close();
    return false;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return true;
    throw new ScistreamError("CONN_ERROR", `cannot listen on ${at}: ${messageOf(error)}`);
  }
}
