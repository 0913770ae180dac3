/**
 * The Control service from the answering end.
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import type { ControlMethods } from "../../proto/messages.ts";
import { controlDefinition, type Method, METHODS } from "./codec.ts";
import { Endpoint } from "./endpoint.ts";
import { messageOf, ScistreamError } from "./errors.ts";
import type { Secret } from "./secret.ts";
import { AUTHORIZATION, bareToken, ERROR_CODE_KEY } from "./token.ts";

/** What a handler knows of its caller. */
export interface Caller {
  /** Aborted when the caller cancels, goes away or its deadline passes. */
  signal: AbortSignal;
  /** `ip:port`. */
  peer: string;
  /** The bare access token; empty if none came. */
  token: Secret;
}

/** One function per method. What it throws is answered as contract section 4 says. */
export type ControlHandlers = {
  [M in Method]: (
    request: ControlMethods[M]["request"],
    caller: Caller,
  ) => Promise<ControlMethods[M]["response"]>;
};

/** Where and how to listen. */
export interface ServerOptions {
  address: Endpoint;
  /** PEM certificate chain and key; without them the server is plain. */
  tls?: { cert: Uint8Array; key: Uint8Array };
  /** Told of every error that is a fault of ours, with the log id that the caller was given. */
  onFault: (logId: string, method: Method, error: unknown) => void;
}

/** A listening Control service. */
export interface ControlServer {
  /** Where it listens, with the real port where 0 was asked for. */
  address: Endpoint;
  /** Stops accepting; resolves when calls under way have been answered. */
  close(): Promise<void>;
  /** Cuts whatever is left. */
  closeNow(): void;
}

// What matters comes back as an error; grpc-js would write its own lines to stderr as well.
grpc.setLogVerbosity(grpc.logVerbosity.NONE);

const LIMITS = {
  // A uid of 1 MB must still reach its check and be told what is wrong with it.
  "grpc.max_receive_message_length": 4 << 20,
  // A client that vanishes without a FIN is noticed within 80 s, and its pending req released.
  "grpc.keepalive_time_ms": 60_000,
  "grpc.keepalive_timeout_ms": 20_000,
  "grpc.so_reuseport": 0,
};

/**
 * Binds the handlers to the service and listens.
 * @throws {ScistreamError} CONN_ERROR when the address cannot be listened on
 */
export async function serveControl(
  handlers: ControlHandlers,
  options: ServerOptions,
): Promise<ControlServer> {
  const server = new grpc.Server(LIMITS);
  const implementation: grpc.UntypedServiceImplementation = {};
  for (const method of METHODS) implementation[method] = bind(method, handlers, options.onFault);
  server.addService(controlDefinition as grpc.ServiceDefinition, implementation);

  const credentials = options.tls
    // Our own certificate as roots: grpc-js sends the roots along in the handshake, and its
    // default is every CA that the environment names.
    ? grpc.ServerCredentials.createSsl(Buffer.from(options.tls.cert), [{
      cert_chain: Buffer.from(options.tls.cert),
      private_key: Buffer.from(options.tls.key),
    }])
    : grpc.ServerCredentials.createInsecure();
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(options.address.toString(), credentials, (error, port) => {
      if (!error) return resolve(port);
      reject(
        new ScistreamError("CONN_ERROR", `cannot listen on ${options.address}: ${whyNot(error)}`, {
          cause: error,
        }),
      );
    });
  });
  return {
    address: new Endpoint(options.address.host, port),
    close: () => new Promise((resolve) => server.tryShutdown(() => resolve())),
    closeNow: () => server.forceShutdown(),
  };
}

/** Why an address cannot be listened on; grpc-js wraps the reason in words of its own. */
function whyNot(error: Error): string {
  const code = /\bE[A-Z]{3,}\b/.exec(error.message)?.[0];
  if (code === "EADDRINUSE") return "the port is in use; is another s2cs running?";
  // Deno calls an address that is not here EINVAL.
  if (code === "EADDRNOTAVAIL" || code === "EINVAL") return "this machine has no such address";
  if (code === "EACCES") return "not allowed; ports below 1024 need the right to bind them";
  if (/Name resolution failed/.test(error.message)) return "the host name has no address";
  return messageOf(error);
}

function bind(
  method: Method,
  handlers: ControlHandlers,
  onFault: ServerOptions["onFault"],
): grpc.handleUnaryCall<unknown, unknown> {
  const handler = handlers[method] as (request: unknown, caller: Caller) => Promise<unknown>;
  return (call, callback) => {
    const gone = new AbortController();
    call.on("cancelled", () => gone.abort(new ScistreamError("TIMEOUT", "the caller went away")));
    const caller: Caller = {
      signal: gone.signal,
      peer: call.getPeer(),
      token: bareToken(call.metadata.get(AUTHORIZATION)[0]?.toString() ?? ""),
    };
    handler(call.request, caller).then(
      (response) => callback(null, response),
      (error) => callback(toStatus(error, (logId) => onFault(logId, method, error))),
    );
  };
}

/** The one mapping of errors to the wire. What is not a ScistreamError tells nothing but a log id. */
function toStatus(error: unknown, onFault: (logId: string) => void): Partial<grpc.StatusObject> {
  let known: ScistreamError;
  if (error instanceof ScistreamError) {
    known = error;
  } else {
    const logId = crypto.randomUUID().slice(0, 8);
    onFault(logId);
    known = new ScistreamError(
      "SERVER_ERR",
      `the control server failed inside; its log says more under ${logId}`,
    );
  }
  const metadata = new grpc.Metadata();
  metadata.set(ERROR_CODE_KEY, known.code);
  return { code: known.status, details: known.details, metadata };
}
