/**
 * A small HTTP server with bounds: connections, time and size of what is asked.
 * @module
 */
import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { Buffer } from "node:buffer";
import { Endpoint } from "../../protocol/endpoint.ts";
import { messageOf, ScistreamError } from "../../protocol/errors.ts";
import type { ServerTls } from "../../protocol/server.ts";

/** How long a request's header, and the whole of it, may take to come. */
const HEADER_MS = 10_000;
const REQUEST_MS = 20_000;
/** Bytes of a request's header. */
const HEADER_BYTES = 32 << 10;
/** Bytes of a request's body: a token, and little beside it. */
const BODY_BYTES = 32 << 10;

/** A request. */
export interface Asked {
  method: string;
  path: string;
  query: URLSearchParams;
  /** One field, empty if it did not come. */
  header(name: string): string;
  /** `ip:port`. */
  peer: string;
  /** The whole body; undefined where it is too long. */
  body(): Promise<string | undefined>;
}

/** What is answered. */
export interface Answer {
  status: number;
  headers?: Record<string, string>;
  /** Whole, or in parts that are asked for one by one, as the reader takes them. */
  body?: string | ((signal: AbortSignal) => AsyncIterable<string>);
}

/** Listens. */
export interface Listening extends AsyncDisposable {
  address: Endpoint;
  /** From now on, connections are met with this certificate. */
  renew(tls: ServerTls): void;
}

/**
 * @param sockets connections at once; more are closed
 * @param tls without it the server is plain
 * @throws {ScistreamError} CONN_ERROR when the address cannot be listened on
 */
export async function listen(
  { address, sockets, tls }: { address: Endpoint; sockets: number; tls?: ServerTls },
  answer: (asked: Asked) => Promise<Answer>,
): Promise<Listening> {
  const options = {
    headersTimeout: HEADER_MS,
    requestTimeout: REQUEST_MS,
    connectionsCheckingInterval: 1_000,
    maxHeaderSize: HEADER_BYTES,
  };
  const over = new AbortController();
  const serve = (request: http.IncomingMessage, response: http.ServerResponse) => {
    respond(request, response, answer, over.signal).catch(() => response.destroy());
  };
  const server = tls
    ? https.createServer({ ...options, ...pem(tls), handshakeTimeout: HEADER_MS }, serve)
    : http.createServer(options, serve);
  server.maxConnections = sockets;
  // What cannot be read as a request, or a handshake that fails, is between it and its caller.
  server.on("clientError", (_error, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(address.port, address.host, resolve);
  }).catch((error) => {
    throw new ScistreamError("CONN_ERROR", `cannot listen on ${address}: ${messageOf(error)}`, {
      cause: error,
    });
  });
  return {
    address: new Endpoint(address.host, (server.address() as AddressInfo).port),
    renew(next) {
      if (server instanceof https.Server) server.setSecureContext(pem(next));
    },
    async [Symbol.asyncDispose]() {
      over.abort();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function respond(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  answer: (asked: Asked) => Promise<Answer>,
  over: AbortSignal,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://it");
  const { remoteAddress = "", remotePort } = request.socket;
  const { status, headers, body = "" } = await answer({
    method: request.method ?? "",
    path: pathname,
    query: searchParams,
    header: (name) => [request.headers[name] ?? ""].flat().join(", "),
    peer: `${remoteAddress}:${remotePort}`,
    body: () => read(request),
  });
  response.writeHead(status, headers);
  if (request.method === "HEAD" || typeof body === "string") {
    response.end(typeof body === "string" && request.method !== "HEAD" ? body : "");
    return;
  }
  const gone = new AbortController();
  response.on("close", () => gone.abort());
  if (response.destroyed) gone.abort();
  for await (const part of body(AbortSignal.any([over, gone.signal]))) {
    if (!response.write(part)) await drained(response);
  }
  response.end();
}

/** Until it takes more, or nobody reads any more. */
function drained(response: http.ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    response.once("drain", resolve);
    response.once("close", resolve);
    if (response.destroyed) resolve();
  });
}

async function read(request: http.IncomingMessage): Promise<string | undefined> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > BODY_BYTES) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

function pem({ cert, key }: ServerTls) {
  return { cert: Buffer.from(cert), key: Buffer.from(key) };
}
