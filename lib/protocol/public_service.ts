/**
 * Services that anybody may call, without a token: health and reflection. Their calls are counted and
 * bounded as those of Control are.
 * @module
 */
import type * as grpc from "@grpc/grpc-js";
import type { PackageDefinition, ServiceDefinition } from "@grpc/proto-loader";
import type { Buffer } from "node:buffer";
import type { EventEmitter } from "node:events";
import type { Readable } from "node:stream";
import { ScistreamError, Status } from "./errors.ts";

/** What a method knows of its caller. */
export interface PublicCaller {
  /** Aborted when the caller cancels or goes away, and when the server is about to close. */
  signal: AbortSignal;
  /** `ip:port`. */
  peer: string;
}

/** A method of any kind: messages that come, and messages that are answered. */
export type PublicMethod = (
  messages: AsyncIterable<unknown>,
  caller: PublicCaller,
) => AsyncIterable<object>;

/** A service and its methods, by the names of the definition. */
export interface PublicService {
  definition: grpc.ServiceDefinition;
  methods: Readonly<Record<string, PublicMethod>>;
}

/** How many messages come and go: one and one, one and many, many and many. */
export type Kind = "unary" | "watch" | "talk";

/**
 * The definition of a service whose .proto is parsed when the first message comes: that takes some
 * milliseconds, and most control servers never need it.
 * @param kinds of its methods, by name
 */
export function definedLater(
  name: string,
  kinds: Readonly<Record<string, Kind>>,
  load: () => PackageDefinition,
): grpc.ServiceDefinition {
  return Object.fromEntries(
    Object.entries(kinds).map(([method, kind]) => {
      const real = () => (load()[name] as ServiceDefinition)[method] as ServiceDefinition[string];
      return [method, {
        path: `/${name}/${method}`,
        requestStream: kind === "talk",
        responseStream: kind !== "unary",
        requestSerialize: (message: object) => real().requestSerialize(message),
        requestDeserialize: (bytes: Buffer) => real().requestDeserialize(bytes),
        responseSerialize: (message: object) => real().responseSerialize(message),
        responseDeserialize: (bytes: Buffer) => real().responseDeserialize(bytes),
      }];
    }),
  );
}

/** What the server does about each call. */
export interface Gate {
  /** Aborted when the server is about to close. */
  closing: AbortSignal;
  /** Lets a call in, or throws; answers what to do when it has ended, and whether a limit kept it out. */
  admit: (call: { getPeer(): string; metadata: grpc.Metadata }) => (isRefused: boolean) => void;
  /** The one mapping of errors to the wire. */
  toStatus: (error: unknown, method: string) => Partial<grpc.StatusObject>;
}

type UnaryCall = grpc.ServerUnaryCall<unknown, unknown>;
type StreamCall =
  | grpc.ServerWritableStream<unknown, unknown>
  | grpc.ServerDuplexStream<unknown, unknown>;

/** The service as grpc-js takes it. */
export function implement(service: PublicService, gate: Gate): grpc.UntypedServiceImplementation {
  const { definition, methods } = service;
  return Object.fromEntries(
    Object.entries(methods).map(([name, method]) => {
      const { responseStream } = definition[name] as grpc.MethodDefinition<unknown, unknown>;
      return [name, responseStream ? streamed(name, method, gate) : single(name, method, gate)];
    }),
  );
}

function single(name: string, method: PublicMethod, gate: Gate) {
  return async (call: UnaryCall, callback: grpc.sendUnaryData<unknown>) => {
    let answer: object | undefined;
    const status = await answered(name, method, gate, call, (message) => {
      answer = message;
      return Promise.resolve();
    });
    callback(status ?? null, answer);
  };
}

function streamed(name: string, method: PublicMethod, gate: Gate) {
  return async (call: StreamCall) => {
    const status = await answered(name, method, gate, call, async (message, signal) => {
      if (!call.write(message)) await drained(call, signal);
    });
    // For one that the caller has cancelled nobody is left to tell.
    if (call.cancelled) return;
    if (status) call.emit("error", status);
    else call.end();
  };
}

/** Takes a call to its end; answers the status that it fails with, if it does. */
async function answered(
  name: string,
  method: PublicMethod,
  gate: Gate,
  call: UnaryCall | StreamCall,
  write: (message: object, signal: AbortSignal) => Promise<void>,
): Promise<Partial<grpc.StatusObject> | undefined> {
  const gone = new AbortController();
  (call as EventEmitter).on(
    "cancelled",
    () => gone.abort(new ScistreamError("TIMEOUT", "the caller went away")),
  );
  let ended: ((isRefused: boolean) => void) | undefined;
  let status: Partial<grpc.StatusObject> | undefined;
  try {
    ended = gate.admit(call);
    const signal = AbortSignal.any([gone.signal, gate.closing]);
    const caller = { signal, peer: call.getPeer() };
    for await (const answer of method(messagesOf(call, signal), caller)) {
      await write(answer, signal);
    }
  } catch (error) {
    status = gate.toStatus(error, name);
  }
  ended?.(status?.code === Status.RESOURCE_EXHAUSTED);
  return status;
}

/** The messages of a call, one after the other as they are taken; until the signal. */
async function* messagesOf(
  call: UnaryCall | StreamCall,
  signal: AbortSignal,
): AsyncGenerator<unknown> {
  if ("request" in call) return yield call.request;
  // Left open when no more is taken: its answer is still to be written.
  const messages = (call as unknown as Readable).iterator({ destroyOnReturn: false });
  for (;;) {
    const { done, value } = await unless(signal, messages.next());
    if (done) return;
    yield value;
  }
}

function drained(call: StreamCall, signal: AbortSignal): Promise<void> {
  return unless(signal, new Promise((resolve) => call.once("drain", () => resolve())));
}

/** The promise, or the signal's reason thrown. */
export async function unless<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
