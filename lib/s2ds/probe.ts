/**
 * Whether ports are free, for data servers that listen only later or elsewhere.
 * @module
 */
import type { Endpoint } from "../protocol/endpoint.ts";
import { messageOf, ScistreamError } from "../protocol/errors.ts";
import { PortsInUse } from "./data_server.ts";

/**
 * Finds out whether anybody listens on these ports, by listening for a moment. (Deno.listen, because
 * closing a node:net server takes 2 ms.)
 * @param udp looks at the same ports of UDP too
 * @throws {PortsInUse}
 */
export function probePorts(listeners: readonly Endpoint[], udp = false): void {
  const taken = listeners.filter((at) => isTaken(at, udp)).map((at) => at.port);
  if (taken.length > 0) throw new PortsInUse(taken);
}

function isTaken(at: Endpoint, udp: boolean): boolean {
  const address = { hostname: at.host, port: at.port };
  try {
    Deno.listen(address).close();
    if (udp) Deno.listenDatagram({ ...address, transport: "udp" }).close();
    return false;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return true;
    throw new ScistreamError("CONN_ERROR", `cannot listen on ${at}: ${messageOf(error)}`);
  }
}
