/**
 * How a call is answered, once or many times, as grpc-js wants it.
 * @module
 */
import type * as grpc from "@grpc/grpc-js";
import type { ServiceDefinition } from "@grpc/proto-loader";
import { pause } from "../pause.ts";
import type { Connections } from "./connections.ts";

/** A call, of which one that streams has all but more. */
export type Call = grpc.ServerUnaryCall<unknown, unknown>;
/** How a call is refused. */
export type Refusal = Partial<grpc.StatusObject>;
/** Sends one answer; resolves when there may be another, or nobody is there for it. */
export type Send = (answer: object, signal: AbortSignal) => Promise<void>;
/** Ends a call, with an error or without. */
export type End = (error: Refusal | null) => void;
/** Takes a call. */
export type Begin = (call: Call, send: Send, end: End) => void;

/** Bytes that a connection may be behind with what streams on it. */
const MOST_QUEUED = 256 << 10;
/** How often one that is further behind is looked at. */
const LOOK_MS = 100;

/** A method that is answered once. */
export function unary(begin: Begin): grpc.handleUnaryCall<unknown, unknown> {
  return (call, callback) => {
    let answer: unknown;
    const send = (each: unknown) => {
      answer = each;
      return Promise.resolve();
    };
    begin(call, send, (error) => error ? callback(error) : callback(null, answer));
  };
}

/**
 * One that is answered many times. Deno 2.9.3 takes whatever is written to an HTTP/2 stream into its
 * memory and calls back at once, also where the caller takes none of it: so what has left the
 * connection is compared with what went in.
 */
export function streaming(
  begin: Begin,
  connections: Connections,
): grpc.handleServerStreamingCall<unknown, unknown> {
  return (call) => {
    const send = async (answer: object, signal: AbortSignal) => {
      if (signal.aborted) return;
      const written = Promise.withResolvers<void>();
      const done = () => written.resolve();
      signal.addEventListener("abort", done, { once: true });
      call.write(answer, done);
      await written.promise;
      signal.removeEventListener("abort", done);
      let queued = connections.streams(call.getPeer(), sizes.get(answer) ?? 0);
      while (queued > MOST_QUEUED) {
        await pause(LOOK_MS, signal).catch(() => {});
        if (signal.aborted) return;
        queued = connections.streams(call.getPeer(), 0);
      }
    };
    begin(call, send, (error) => error ? call.emit("error", error) : call.end());
  };
}

/** Bytes of answers that have been written. */
const sizes = new WeakMap<object, number>();

/** The service, with what streams measured as it is written. */
export function measured(service: ServiceDefinition): grpc.ServiceDefinition {
  return Object.fromEntries(
    Object.entries(service).map(([name, method]) => [name, {
      ...method,
      responseSerialize(answer: object) {
        const bytes = method.responseSerialize(answer);
        if (method.responseStream) sizes.set(answer, bytes.length);
        return bytes;
      },
    }]),
  ) as grpc.ServiceDefinition;
}
