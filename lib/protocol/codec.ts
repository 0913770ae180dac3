/**
 * Message types to bytes and back: proto/scistream.proto through proto-loader.
 * @module
 */
import { fromJSON } from "@grpc/proto-loader";
import type { Options, PackageDefinition, ServiceDefinition } from "@grpc/proto-loader";
import protobuf from "protobufjs";
import proto from "../../proto/scistream.proto" with { type: "text" };
import type { ControlMethods } from "../../proto/messages.ts";

/** A method of the Control service. */
export type Method = keyof ControlMethods;
/** One that is answered many times. */
export type StreamMethod = {
  [M in Method]: ControlMethods[M]["response"] extends AsyncIterable<unknown> ? M : never;
}[Method];
/** One that is answered once. */
export type UnaryMethod = Exclude<Method, StreamMethod>;
/** One message of a method's answer. */
export type Answer<M extends Method> = ControlMethods[M]["response"] extends
  AsyncIterable<infer Each> ? Each
  : ControlMethods[M]["response"];

const OPTIONS = { keepCase: true, defaults: true, arrays: true, longs: Number };

/** What the text of a .proto file defines, by full name. */
export function definitionsOf(text: string, options: Options): PackageDefinition {
  return fromJSON(protobuf.parse(text, { keepCase: options.keepCase }).root.toJSON(), options);
}

/** What proto/scistream.proto defines. */
export const controlPackage: PackageDefinition = definitionsOf(proto, OPTIONS);

/** The Control service as grpc-js takes it, for both ends. */
export const controlDefinition: ServiceDefinition = Object.fromEntries(
  Object.entries(controlPackage["scistream.Control"] as ServiceDefinition).map((
    [name, method],
  ) => [name, {
    ...method,
    requestSerialize: (message: object) => method.requestSerialize(withoutDefaults(message)),
    responseSerialize: (message: object) => method.responseSerialize(withoutDefaults(message)),
  }]),
);

/**
 * A message without the fields that have their default. proto3 does not send them; protobufjs does,
 * and a peer of the reference would get our own fields as unknown ones.
 */
function withoutDefaults(message: object): object {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(message)) {
    if (value === "" || value === 0 || value === false) continue;
    result[name] = Array.isArray(value)
      ? value.map((each) => typeof each === "object" ? withoutDefaults(each) : each)
      : value;
  }
  return result;
}

/** The names of the service's methods. */
export const METHODS: readonly Method[] = Object.keys(controlDefinition) as Method[];

/** Whether a method is answered many times. */
export function isStream(method: Method): method is StreamMethod {
  return controlDefinition[method]?.responseStream ?? false;
}
