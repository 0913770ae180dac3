/**
 * The side port of a control server: its metrics, for a monitoring system.
 * @module
 */
import type { Endpoint } from "../protocol/endpoint.ts";
import { messageOf, ScistreamError } from "../protocol/errors.ts";
import { type Measured, registryOf } from "./metrics.ts";

/** A listening side port. */
export interface Http extends AsyncDisposable {
  address: Endpoint;
}

/**
 * Serves `/metrics` in Prometheus' text form.
 * @throws {ScistreamError} CONN_ERROR when the address cannot be listened on
 */
export function serveHttp(address: Endpoint, measured: Measured): Http {
  const registry = registryOf(measured);
  try {
    const server = Deno.serve({
      hostname: address.host,
      port: address.port,
      onListen: () => {},
    }, async (request) => {
      const { pathname } = new URL(request.url);
      if (pathname !== "/metrics") return new Response("not found\n", { status: 404 });
      if (request.method !== "GET") return new Response("only GET\n", { status: 405 });
      return new Response(await registry.metrics(), {
        headers: { "content-type": registry.contentType },
      });
    });
    return { address, [Symbol.asyncDispose]: () => server.shutdown() };
  } catch (error) {
    throw new ScistreamError("CONN_ERROR", `cannot listen on ${address}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
