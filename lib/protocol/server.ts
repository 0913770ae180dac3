/**
 * The Control service from the answering end.
 * @module
 */
import * as grpc from "@grpc/grpc-js";
import { Buffer } from "node:buffer";
import type { ControlMethods } from "../../proto/messages.ts";
import { traced, TRACEPARENT } from "../trace.ts";
import { callAttributes, spanName } from "./call_span.ts";
import { controlDefinition, isStream, type Method, METHODS } from "./codec.ts";
import { addressOf } from "./address.ts";
import {
  type Begin,
  type Call,
  type End,
  measured,
  type Refusal,
  type Send,
  streaming,
  unary,
} from "./answers.ts";
import { type ConnectionRefusal, Connections } from "./connections.ts";
import { Endpoint } from "./endpoint.ts";
import { messageOf, ScistreamError } from "./errors.ts";
import { SERVER_LIMITS, type ServerLimits } from "./limits.ts";
import { implement, type PublicService } from "./public_service.ts";
import type { Secret } from "./secret.ts";
import { boundFields, watchStreams } from "./streams.ts";
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

/**
 * One function per method. What it throws is answered as contract section 4 says. A method that streams
 * answers an iterable, which is iterated once, no faster than the caller takes it, and is returned from
 * when the caller goes away.
 */
export type ControlHandlers = {
  [M in Method]: (
    request: ControlMethods[M]["request"],
    caller: Caller,
  ) => Promise<ControlMethods[M]["response"]>;
};

/** PEM certificate chain and key. */
export interface ServerTls {
  /** The certificate chain. */
  cert: Uint8Array;
  /** The private key. */
  key: Uint8Array;
}

/** Why a server refused somebody before a handler heard of it. */
export type ServerRefusal = ConnectionRefusal | "metadata" | "message";

/** Where and how to listen. */
export interface ServerOptions {
  address: Endpoint;
  /** Without it the server is plain. */
  tls?: ServerTls;
  /** {@linkcode SERVER_LIMITS} if not given. */
  limits?: ServerLimits;
  /** Told of whom the limits kept out. */
  onRefused?: (why: ServerRefusal, address: string) => void;
  /** Told of every error that is a fault of ours, with the log id that the caller was given. */
  onFault: (logId: string, method: string, error: unknown) => void;
  /** Services beside Control, for anybody. */
  publicServices?: readonly PublicService[];
}

/** A listening Control service. */
export interface ControlServer {
  /** Where it listens, with the real port where 0 was asked for. */
  address: Endpoint;
  /** How many connections there are. */
  readonly connections: number;
  /** From now on, connections are met with this certificate; established ones go on. */
  renew(tls: ServerTls): void;
  /** Stops accepting, and ends calls of public services; resolves when all others have been answered. */
  close(): Promise<void>;
  /** Cuts whatever is left. */
  closeNow(): void;
}

// What matters comes back as an error; grpc-js would write its own lines to stderr as well.
grpc.setLogVerbosity(grpc.logVerbosity.NONE);

// A client that vanishes without a FIN is noticed within 80 s, and its pending req released.
const KEEP_ALIVE = { "grpc.keepalive_time_ms": 60_000, "grpc.keepalive_timeout_ms": 20_000 };

/**
 * Binds the handlers to the service and listens.
 * @throws {ScistreamError} CONN_ERROR when the address cannot be listened on
 */
export async function serveControl(
  handlers: ControlHandlers,
  options: ServerOptions,
): Promise<ControlServer> {
  const limits = options.limits ?? { ...SERVER_LIMITS };
  const server = new grpc.Server({
    ...KEEP_ALIVE,
    "grpc.max_receive_message_length": limits.messageBytes,
    "grpc.max_concurrent_streams": limits.streams,
  });
  const inject = (tls?: ServerTls) => {
    const injector = server.createConnectionInjector(credentials(tls));
    watchStreams(server, {
      onSession: (peer, counts) => connections.speaks(peer, counts),
      // Fields beyond what a call may have are junk, whatever few bytes they came in.
      onStream: (peer, bytes) => connections.opened(peer, bytes > limits.metadataBytes ? bytes : 0),
      onLongMessage: (peer) => onRefused("message", addressOf(peer)),
    });
    return injector;
  };
  boundFields(server);
  const onRefused = options.onRefused ?? (() => {});
  const connections = new Connections(limits, {
    onConnection: (socket) => injector.injectConnection(socket),
    onRefused,
  });
  let injector = inject(options.tls);
  const admit = (call: { getPeer(): string; metadata: grpc.Metadata }) => {
    const peer = call.getPeer();
    const ended = connections.began(peer);
    const bytes = sizeOf(call.metadata);
    if (bytes <= limits.metadataBytes) return ended;
    ended(true);
    onRefused("metadata", addressOf(peer));
    throw tooMuchMetadata(bytes, limits.metadataBytes);
  };
  const implementation: grpc.UntypedServiceImplementation = {};
  for (const method of METHODS) {
    const handle = handled(method, handlers, options.onFault);
    const begin = (call: Call, send: Send, end: End) => {
      let ended: (isRefused: boolean) => void;
      try {
        ended = admit(call);
      } catch (error) {
        return end(toStatus(error, () => {}));
      }
      handle(call, send, (error) => {
        ended(isRateLimit(error));
        end(error);
      });
    };
    implementation[method] = isStream(method) ? streaming(begin, connections) : unary(begin);
  }
  server.addService(measured(controlDefinition), implementation);
  const closing = new AbortController();
  for (const service of options.publicServices ?? []) {
    const gate = {
      closing: closing.signal,
      admit,
      toStatus: (error: unknown, method: string) =>
        toStatus(error, (logId) => options.onFault(logId, method, error)),
    };
    server.addService(service.definition, implement(service, gate));
  }
  let address: Endpoint;
  try {
    address = await connections.listen(options.address);
  } catch (error) {
    throw new ScistreamError(
      "CONN_ERROR",
      `cannot listen on ${options.address}: ${whyNot(error as Error)}`,
      { cause: error },
    );
  }
  return {
    address,
    get connections() {
      return connections.size;
    },
    renew(tls) {
      injector = inject(tls);
    },
    close() {
      connections.close();
      closing.abort(new ScistreamError("UNAVAILABLE", "the control server is stopping"));
      return new Promise((resolve) => server.tryShutdown(() => resolve()));
    },
    closeNow() {
      connections.close();
      server.forceShutdown();
      connections.cut();
    },
  };
}

function credentials(tls: ServerTls | undefined): grpc.ServerCredentials {
  if (!tls) return grpc.ServerCredentials.createInsecure();
  const [cert, key] = [Buffer.from(tls.cert), Buffer.from(tls.key)];
  // Our own certificate as roots: grpc-js sends the roots along in the handshake, and its default is
  // every CA that the environment names.
  return grpc.ServerCredentials.createSsl(cert, [{ cert_chain: cert, private_key: key }]);
}

/** As HTTP/2 counts a header list (RFC 9113 section 6.5.2). */
function sizeOf(metadata: grpc.Metadata): number {
  const fields = Object.entries(metadata.toHttp2Headers());
  return fields.reduce((sum, [name, values]) => {
    const all = [values].flat();
    return sum +
      all.reduce((size: number, value) => size + name.length + String(value).length + 32, 0);
  }, 0);
}

function isRateLimit(error: Refusal | null): boolean {
  return error?.metadata?.get(ERROR_CODE_KEY)[0] === "RATE_LIMIT";
}

function tooMuchMetadata(bytes: number, most: number): ScistreamError {
  return new ScistreamError(
    "RATE_LIMIT",
    `${bytes} bytes of metadata came with the call, and this control server takes ${most}`,
  );
}

/** Why an address cannot be listened on; grpc-js wraps the reason in words of its own. */
function whyNot(error: Error): string {
  const code = /\bE[A-Z]{3,}\b/.exec(error.message)?.[0];
  if (code === "EADDRINUSE") return "the port is in use; is another s2cs running?";
  // Deno calls an address that is not here EINVAL.
  if (code === "EADDRNOTAVAIL" || code === "EINVAL") return "this machine has no such address";
  if (code === "EACCES") return "not allowed; ports below 1024 need the right to bind them";
  if (/ENOTFOUND|EAI_|failed to lookup|Name resolution/i.test(error.message)) {
    return "the host name has no address";
  }
  return messageOf(error);
}

function handled(
  method: Method,
  handlers: ControlHandlers,
  onFault: ServerOptions["onFault"],
): Begin {
  const handler = handlers[method] as (request: unknown, caller: Caller) => Promise<unknown>;
  return (call, send, end) => {
    const gone = new AbortController();
    call.on("cancelled", () => gone.abort(new ScistreamError("TIMEOUT", "the caller went away")));
    const caller: Caller = {
      signal: gone.signal,
      peer: call.getPeer(),
      token: bareToken(call.metadata.get(AUTHORIZATION)[0]?.toString() ?? ""),
    };
    const answer = async () => {
      const response = await handler(call.request, caller);
      if (!isStream(method)) return await send(response as object, gone.signal);
      for await (const each of response as AsyncIterable<object>) {
        await send(each, gone.signal);
        if (gone.signal.aborted) break;
      }
    };
    const span = {
      kind: "server" as const,
      attributes: callAttributes(method, call.request),
      parent: call.metadata.get(TRACEPARENT)[0]?.toString() ?? "",
    };
    traced(spanName(method), span, answer).then(
      () => end(null),
      (error) => end(toStatus(error, (logId) => onFault(logId, method, error))),
    );
  };
}

/** The one mapping of errors to the wire. What is not a ScistreamError tells nothing but a log id. */
function toStatus(error: unknown, onFault: (logId: string) => void): Refusal {
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
