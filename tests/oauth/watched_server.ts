/**
 * An HTTP server on loopback that tests look into, answer for, take down and bring back.
 * @module
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request that the provider got. */
export interface OAuthCall {
  method: string;
  path: string;
  /** Behind the question mark. */
  query: string;
  /** Whole once the request has been answered. */
  body: string;
}

/** Instead of the provider's own answer. */
export type Misbehaviour = "hang" | {
  status: number;
  headers?: Record<string, string>;
  body?: string;
};

/** Always on the same port, once it has listened. */
export abstract class WatchedServer implements AsyncDisposable {
  /** Every request, in order. */
  readonly calls: OAuthCall[] = [];
  /** Looked at before anything else happens to a request. */
  intercept?: (request: { method: string; path: string }) => undefined | Misbehaviour;
  #port = 0;
  #http?: Server;

  /** The issuer, and the beginning of every address. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** How many requests a path got; `:id` stands for any one part. */
  count(path: string): number {
    const pattern = new URLPattern({ pathname: path });
    return this.calls.filter((call) => pattern.test({ pathname: call.path })).length;
  }

  /** Down at once, whatever is under way; it knows everything still. */
  async stop(): Promise<void> {
    const http = this.#http;
    if (!http) return;
    this.#http = undefined;
    const closed = new Promise((resolve) => http.close(resolve));
    http.closeAllConnections();
    await closed;
  }

  /** Up again, or anew, on the same port. */
  async restart(): Promise<void> {
    await this.stop();
    await this.listen();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Answers what was not intercepted. */
  protected abstract answer(request: IncomingMessage, response: ServerResponse): Promise<void>;

  /** Takes a port of its own the first time. */
  protected async listen(): Promise<void> {
    const http = createServer((request, response) => void this.#serve(request, response));
    await new Promise<void>((resolve, reject) => {
      http.once("error", reject);
      http.listen(this.#port, "127.0.0.1", resolve);
    });
    this.#port = (http.address() as AddressInfo).port;
    this.#http = http;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url = "" } = request;
    const { pathname: path, search } = new URL(url, this.url);
    const call = { method, path, query: search.slice(1), body: "" };
    this.calls.push(call);
    record(request, (text) => call.body += text);
    const instead = this.intercept?.({ method, path });
    if (!instead) return await this.answer(request, response);
    try {
      // For `calls`.
      for await (const _ of request);
    } catch {
      return; // The client has gone.
    }
    if (instead !== "hang") response.writeHead(instead.status, instead.headers).end(instead.body);
  }
}

/** Hands on what whoever reads the request reads; oidc-provider wants to do so itself. */
function record(request: IncomingMessage, take: (text: string) => void): void {
  const decoder = new TextDecoder();
  const read = request.read.bind(request);
  request.read = (size?: number) => {
    const chunk = read(size);
    if (chunk !== null) take(decoder.decode(chunk, { stream: true }));
    return chunk;
  };
}
