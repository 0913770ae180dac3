/**
 * The Control service from the calling end.
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import tls from "node:tls";
import type { ControlMethods } from "../../proto/messages.ts";
import { traced } from "../trace.ts";
import { callAttributes, spanName } from "./call_span.ts";
import {
  type Answer,
  controlDefinition,
  type Method,
  type StreamMethod,
  type UnaryMethod,
} from "./codec.ts";
import { Endpoint } from "./endpoint.ts";
import { ERROR_CODES, type ErrorCode, isErrorCode, ScistreamError, Status } from "./errors.ts";
import { AUTHORIZATION, ERROR_CODE_KEY, INVALID_TOKEN } from "./token.ts";

// What matters comes back as an error; grpc-js would write its own lines to stderr as well.
grpc.setLogVerbosity(grpc.logVerbosity.NONE);

/** How to reach a control server. */
export interface ClientOptions {
  /** The control server, an address or `host:port`. */
  address: Endpoint | string;
  /** PEM certificates that the server's must be or end at; without them the connection is plain. */
  roots?: Uint8Array;
  /**
   * Bare access token, or what answers one for each call; without one, INVALID_TOKEN is sent as the
   * reference does.
   */
  token?: string | (() => Promise<string>);
}

/** Bounds of one call. */
export interface CallOptions {
  /** Cancels the call, which then throws the signal's reason. */
  signal?: AbortSignal;
  /** Milliseconds; without one the call may wait for as long as the server lets it. */
  deadlineMs?: number;
}

// Deno refuses an IP address as TLS server name, and SciStream's certificates carry IP SANs: any
// DNS name stands in, and the certificate is checked against the real host instead.
const STAND_IN_NAME = "scistream.invalid";

// A connection that ends while a call is being written is UNAVAILABLE in grpc-js where the system says
// ECONNRESET, and INTERNAL where it says EPIPE, as it does for a control server that was just killed.
const BROKEN = /triggered by internal client error: \w+ E[A-Z]+$/;

/** A connection to one control server. Close it when done. */
export class ControlClient implements Disposable {
  readonly #client: grpc.Client;
  readonly #token: ClientOptions["token"];
  /** The control server. */
  readonly address: Endpoint;

  /**
   * Connects at the first call.
   * @throws {ScistreamError} BAD_FORMAT when the address is none
   */
  constructor(options: ClientOptions) {
    const { address } = options;
    this.address = typeof address === "string"
      ? Endpoint.parse(address, "control server")
      : address;
    this.#token = options.token;
    const { host } = this.address;
    const credentials = options.roots
      ? grpc.credentials.createSsl(Buffer.from(options.roots), null, null, {
        checkServerIdentity: (_name: string, cert: tls.PeerCertificate) =>
          tls.checkServerIdentity(host, cert),
      })
      : grpc.credentials.createInsecure();
    this.#client = new grpc.Client(String(this.address), credentials, {
      "grpc.ssl_target_name_override": STAND_IN_NAME,
      "grpc.default_authority": String(this.address),
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_http_proxy": 0,
    });
  }

  /** The access token that a call carries now; INVALID_TOKEN if there is none. */
  async token(): Promise<string> {
    const token = typeof this.#token === "function" ? await this.#token() : this.#token;
    return token || INVALID_TOKEN;
  }

  /**
   * Calls a method of the service.
   * @throws {ScistreamError} as the server answered, or CONN_ERROR when it could not be reached
   */
  call<M extends UnaryMethod>(
    method: M,
    request: Partial<ControlMethods[M]["request"]>,
    options: CallOptions = {},
  ): Promise<Answer<M>> {
    const { host, port } = this.address;
    const span = {
      kind: "client" as const,
      attributes: {
        ...callAttributes(method, request),
        "server.address": host,
        "server.port": port,
      },
    };
    return traced(spanName(method), span, () => this.#call(method, request, options));
  }

  async #call<M extends UnaryMethod>(
    method: M,
    request: Partial<ControlMethods[M]["request"]>,
    options: CallOptions,
  ): Promise<Answer<M>> {
    const { path, requestSerialize, responseDeserialize, metadata, bounds } = await this
      .#prepare(method, options);
    return await new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest<object, Answer<M>>(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        bounds,
        (error, response) => {
          options.signal?.removeEventListener("abort", cancel);
          if (response) resolve(response);
          else if (options.signal?.aborted) reject(options.signal.reason);
          else reject(this.#explain(method, error as grpc.ServiceError));
        },
      );
      const cancel = () => call.cancel();
      options.signal?.addEventListener("abort", cancel, { once: true });
    });
  }

  /**
   * Calls a method that is answered many times. Whoever is slow to take the answers holds the server
   * back; whoever takes no more ends the call.
   * @throws {ScistreamError} as the server answered, or CONN_ERROR when it could not be reached
   */
  async *stream<M extends StreamMethod>(
    method: M,
    request: Partial<ControlMethods[M]["request"]>,
    options: CallOptions = {},
  ): AsyncGenerator<Answer<M>, void> {
    const { path, requestSerialize, responseDeserialize, metadata, bounds } = await this
      .#prepare(method, options);
    const call = this.#client.makeServerStreamRequest<object, Answer<M>>(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      bounds,
    );
    const cancel = () => call.cancel();
    options.signal?.addEventListener("abort", cancel, { once: true });
    try {
      yield* call as AsyncIterable<Answer<M>>;
    } catch (error) {
      if (options.signal?.aborted) throw options.signal.reason;
      throw this.#explain(method, error as grpc.ServiceError);
    } finally {
      options.signal?.removeEventListener("abort", cancel);
      call.cancel();
    }
  }

  /** What grpc-js wants to know of a call. */
  async #prepare<M extends Method>(method: M, { signal, deadlineMs }: CallOptions) {
    const definition = controlDefinition[method];
    if (!definition) throw new TypeError(`no method ${method}`);
    signal?.throwIfAborted();
    const metadata = new grpc.Metadata();
    metadata.set(AUTHORIZATION, await this.token());
    signal?.throwIfAborted();
    return {
      ...definition,
      responseDeserialize: definition.responseDeserialize as (bytes: Buffer) => Answer<M>,
      metadata,
      bounds: deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs },
    };
  }

  /** Ends the connection; calls under way fail. */
  close(): void {
    this.#client.close();
  }

  /** As {@linkcode close} does. */
  [Symbol.dispose](): void {
    this.close();
  }

  #explain(method: Method, error: grpc.ServiceError): ScistreamError {
    const { details, metadata, code: status } = error;
    const named = /^\[([A-Z_]+)\] (.*)$/s.exec(details);
    const code = metadata?.get(ERROR_CODE_KEY)[0]?.toString() ?? named?.[1] ?? "";
    if (isErrorCode(code)) {
      return new ScistreamError(code, named?.[2] ?? details, { status, cause: error });
    }
    if (status === Status.UNIMPLEMENTED) {
      return new ScistreamError(
        "NOT_IMPLEMENTED",
        `the control server at ${this.address} does not offer ${method}: only SciStream's own does, the Python reference has no such call`,
        { cause: error },
      );
    }
    if (status === Status.UNAVAILABLE || BROKEN.test(details)) {
      return new ScistreamError(
        "CONN_ERROR",
        `could not reach the control server at ${this.address}: ${this.#whyUnreachable(details)}`,
        { cause: error },
      );
    }
    return new ScistreamError(
      codeOfStatus(status),
      `${method} at ${this.address} failed: ${details.split("\n", 1)[0]}`,
      { status, cause: error },
    );
  }

  #whyUnreachable(details: string): string {
    const text = details.split("\n", 1)[0] ?? "";
    if (/ECONNREFUSED|Connection refused/i.test(text)) {
      return "the connection was refused; is s2cs running there, on that port?";
    }
    if (/altname|does not match|Hostname\/IP/i.test(text)) {
      return `its certificate is not for ${this.address.host}; make one with \`scistream cert --ip ${this.address.host}\``;
    }
    if (/certificate|UnknownIssuer|self.signed|unable to verify/i.test(text)) {
      return `its certificate is not the one in --server-cert (${text}); copy server.crt from that gateway`;
    }
    if (/ENOTFOUND|Name resolution/i.test(text)) return `the host name has no address`;
    if (
      /ECONNRESET|EPIPE|socket hang up|Connection dropped|EPROTO|InvalidContentType|corrupt/i.test(
        text,
      )
    ) {
      return `it hung up (${text}); is one end using TLS and the other --ssl=False?`;
    }
    return text;
  }
}

/** The code for a status that came without one, as from the Python reference. */
function codeOfStatus(status: number): ErrorCode {
  for (const [code, statuses] of Object.entries(ERROR_CODES)) {
    if ((statuses as readonly number[]).includes(status)) return code as ErrorCode;
  }
  return "SERVER_ERR";
}
