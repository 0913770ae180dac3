/**
 * One request to Janus, on a connection of its own, bounded in time and size.
 * @module
 */
import http from "node:http";
import https from "node:https";
import { isIP } from "node:net";
import tls from "node:tls";
import { quote, ScistreamError } from "../protocol/errors.ts";
import type { Secret } from "../protocol/secret.ts";
import { connectionError, JanusError, lateError, loginError } from "./errors.ts";

/** What every path of the controller begins with. */
export const PREFIX = "/api/janus/controller";
/** Longest answer that is taken. Records of nodes hold all that Docker says of them. */
const MAX_BODY_BYTES = 16 << 20;

/** Where Janus is, and as whom. */
export interface JanusAccess {
  /** As {@linkcode janusUrl} gives it. */
  url: URL;
  /** As Janus knows it. */
  user: string;
  /** Of that user. */
  password: Secret;
  /** PEM of what its certificate is to end at, instead of the well-known authorities. */
  ca?: string;
  /** Takes any certificate. */
  insecure?: boolean;
}

/** A request. */
export interface Ask {
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** After the prefix, in segments. */
  path: readonly (string | number)[];
  query?: Readonly<Record<string, string>>;
  /** A body of JSON. */
  json?: unknown;
  /** Milliseconds until the answer has ended. */
  ms: number;
  /** Cuts it; whoever waits gets its reason. */
  signal?: AbortSignal;
}

/** An answer, whole. */
export interface Answer {
  status: number;
  bytes: Uint8Array;
}

/**
 * Where `--janus-url` says that the controller is; the prefix is added where it is missing.
 * @throws {ScistreamError} BAD_FORMAT
 */
export function janusUrl(text: string): URL {
  const wrong = (why: string) =>
    new ScistreamError(
      "BAD_FORMAT",
      `--janus-url ${quote(text)} ${why}; give one such as https://janus.example.org:5000`,
    );
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol)) throw wrong("is not a URL of http or https");
  if (url.username || url.password) {
    // Not quoted: there may be a password in it.
    throw new ScistreamError(
      "BAD_FORMAT",
      "--janus-url must not hold user or password; give --janus-user and --janus-password-file",
    );
  }
  if (url.search || url.hash) throw wrong("must end with its path");
  const path = url.pathname.replace(/\/+$/, "");
  url.pathname = path.endsWith(PREFIX) ? path : path + PREFIX;
  return url;
}

/** Makes requests of one controller as one user. */
export class Transport {
  readonly #access: JanusAccess;

  /** Nothing is connected before the first request. */
  constructor(access: JanusAccess) {
    this.#access = access;
  }

  /**
   * Sends a request and takes the whole answer; `what` says which, in errors.
   * @throws {JanusError} `unreachable`, `untrusted`, `login`, or `janus` for an answer without end
   */
  async ask(what: string, ask: Ask): Promise<Answer> {
    const { url, user } = this.#access;
    ask.signal?.throwIfAborted();
    const answer = await this.#exchange(what, ask);
    if (answer.status === 401) throw loginError(url, user);
    if (answer.status >= 300 && answer.status < 400) {
      throw new JanusError(
        "janus",
        `what answers at ${url.origin} wants to be asked elsewhere (HTTP status ${answer.status}); ` +
          "give that address with --janus-url",
        { httpStatus: answer.status },
      );
    }
    return answer;
  }

  #exchange(what: string, ask: Ask): Promise<Answer> {
    const { url } = this.#access;
    const target = new URL(url);
    target.pathname += ask.path.map((each) => `/${encodeURIComponent(each)}`).join("");
    for (const [key, value] of Object.entries(ask.query ?? {})) {
      target.searchParams.set(key, value);
    }
    const body = ask.json === undefined ? undefined : JSON.stringify(ask.json);
    return new Promise((resolve, reject) => {
      const options = { method: ask.method, headers: this.#headers(body) };
      const take = (response: http.IncomingMessage) => {
        const pieces: Uint8Array[] = [];
        let size = 0;
        response.on("data", (piece: Uint8Array) => {
          size += piece.length;
          if (size <= MAX_BODY_BYTES) return pieces.push(piece);
          end(
            new JanusError("janus", `Janus' answer is over ${MAX_BODY_BYTES} bytes (${what})`, {
              mayBeDone: true,
            }),
          );
        });
        response.on("error", fail);
        response.on("aborted", () => fail(new Error("the answer is not whole")));
        response.on("end", () => {
          if (response.complete === false) return fail(new Error("the answer is not whole"));
          settle();
          resolve({ status: response.statusCode ?? 0, bytes: Buffer.concat(pieces) });
        });
      };
      const request = target.protocol === "https:"
        ? https.request(target, { ...options, createConnection: () => this.#secured(target) }, take)
        // A connection that has idled may be dead, and a POST cannot be sent twice.
        : http.request(target, { ...options, agent: false }, take);
      const settle = () => {
        clearTimeout(timer);
        ask.signal?.removeEventListener("abort", onAbort);
      };
      const end = (error: unknown) => {
        settle();
        reject(error);
        request.destroy();
      };
      const fail = (error: unknown) => end(connectionError(url, what, error));
      const onAbort = () => end(ask.signal?.reason);
      const timer = setTimeout(() => end(lateError(url, what, ask.ms)), ask.ms);
      ask.signal?.addEventListener("abort", onAbort, { once: true });
      request.on("error", fail);
      request.end(body);
    });
  }

  /**
   * Not of https' own agent: with NODE_EXTRA_CA_CERTS that of Deno 2.9.3 reads all the system's
   * certificates, for which s2cs has no permission.
   */
  #secured({ hostname, port }: URL): tls.TLSSocket {
    const { ca, insecure } = this.#access;
    const host = hostname.replace(/^\[|\]$/g, "");
    return tls.connect({
      host,
      port: Number(port || 443),
      servername: isIP(host) ? undefined : host,
      ca,
      rejectUnauthorized: !insecure,
    });
  }

  #headers(body: string | undefined): Record<string, string> {
    const { user, password } = this.#access;
    const pair = Buffer.from(`${user}:${password.reveal()}`).toString("base64");
    return {
      Accept: "application/json",
      Authorization: `Basic ${pair}`,
      ...body === undefined ? {} : {
        "Content-Type": "application/json",
        "Content-Length": String(Buffer.byteLength(body)),
      },
    };
  }
}
