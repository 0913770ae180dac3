/**
 * Requests to an identity provider: one pool of connections, bounded in time and size, never
 * redirected.
 * @module
 */
import * as oauth from "oauth4webapi";
import { messageOf } from "../protocol/errors.ts";

/** Longer than a provider across the world takes, shorter than a user waits in doubt. */
export const PROVIDER_MS = 5_000;

/** Metadata, keys and tokens are a few kilobytes. */
const MOST_BYTES = 1 << 20;

/** How requests to one provider are made. */
export interface HttpSettings {
  /** PEM certificates that the provider's may end at, beside the well-known authorities. */
  ca?: string;
  /** Milliseconds until a request is given up. */
  timeoutMs?: number;
  /** A provider on this machine may be plain HTTP. */
  plain?: boolean;
}

/** A request as oauth4webapi and this folder make it. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** The connections to one provider. */
export class Http implements Disposable {
  readonly #client: Deno.HttpClient;
  readonly #timeoutMs: number;
  readonly #plain: boolean;

  /** Connects at the first request. */
  constructor({ ca, timeoutMs = PROVIDER_MS, plain = false }: HttpSettings = {}) {
    this.#client = Deno.createHttpClient({ caCerts: ca === undefined ? [] : [ca] });
    this.#timeoutMs = timeoutMs;
    this.#plain = plain;
  }

  /** The whole answer, or an error; a redirect is an answer like any other. */
  readonly fetch: Fetch = async (url, init) => {
    const late = AbortSignal.timeout(this.#timeoutMs);
    const signal = init.signal ? AbortSignal.any([init.signal, late]) : late;
    const response = await fetch(
      url,
      {
        ...init,
        signal,
        redirect: "manual",
        client: this.#client,
      } as RequestInit & { client: Deno.HttpClient },
    );
    const body = await read(response);
    // A Response that is made here may not have a body where HTTP allows none.
    const none = [101, 204, 205, 304].includes(response.status);
    return new Response(none ? null : body, {
      status: response.status,
      headers: response.headers,
    });
  };

  /** For every call of oauth4webapi. */
  get options(): { [oauth.customFetch]: Fetch; [oauth.allowInsecureRequests]: boolean } {
    return { [oauth.customFetch]: this.fetch, [oauth.allowInsecureRequests]: this.#plain };
  }

  /** Closes the pool. */
  [Symbol.dispose](): void {
    this.#client.close();
  }
}

async function read(response: Response): Promise<Blob> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MOST_BYTES) throw new Error(`answered more than ${MOST_BYTES} bytes`);
    chunks.push(chunk);
  }
  return new Blob(chunks);
}

/**
 * What a provider did instead of what was asked, a sentence without any secret: neither what was
 * sent nor what came back is in it, but for OAuth's own error codes (RFC 6749 section 5.2).
 */
export function whatProviderDid(error: unknown): string {
  if (error instanceof oauth.ResponseBodyError) {
    return `it answered ${error.status} ${printable(error.error)}`;
  }
  if (error instanceof oauth.AuthorizationResponseError) {
    return `it answered ${printable(error.error)}`;
  }
  if (error instanceof oauth.WWWAuthenticateChallengeError) {
    return `it answered ${error.status} with a challenge`;
  }
  if (error instanceof oauth.OperationProcessingError) {
    const { cause } = error;
    if (cause instanceof Response) return `it answered HTTP ${cause.status}`;
    return `its answer is not what it should be: ${messageOf(error)}`;
  }
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return "it did not answer in time";
  }
  // What fetch throws says only that it failed; why is in its cause, with the address.
  const failed = error instanceof TypeError;
  const text = messageOf(failed && error.cause ? error.cause : error);
  if (/Connection refused/i.test(text)) return "the connection was refused";
  if (/dns|resolve|lookup/i.test(text)) return "its host name has no address";
  if (/certificate|UnknownIssuer/i.test(text)) return "its certificate is not trusted";
  if (failed) return "the connection failed";
  return text;
}

/** Short, and without anything that a terminal would obey. */
function printable(text: string): string {
  return text.replace(/[^ -~]/g, "?").slice(0, 64);
}
