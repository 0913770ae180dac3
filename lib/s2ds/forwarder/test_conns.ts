/**
 * What the forwarder's tests do with connections.
 * @module
 */
import { createHash } from "node:crypto";
import { Endpoint } from "../../protocol/endpoint.ts";

export const HOST = "127.0.0.1";

/** An address that nobody listens on. */
export function free(): Endpoint {
  const listener = Deno.listen({ hostname: HOST, port: 0 });
  listener.close();
  return new Endpoint(HOST, listener.addr.port);
}

export const connect = (to: Endpoint) => Deno.connect({ hostname: to.host, port: to.port });

export async function readAll(conn: Deno.Conn): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const chunk = new Uint8Array(64 << 10);
  for (let n; (n = await conn.read(chunk)) !== null;) parts.push(chunk.slice(0, n));
  return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
}

export async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
}

export const sha = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
