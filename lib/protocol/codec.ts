/**
 * Message types to bytes and back: proto/scistream.proto through proto-loader.
 * @module
 */
import { fromJSON } from "@grpc/proto-loader";
import type { ServiceDefinition } from "@grpc/proto-loader";
import protobuf from "protobufjs";
import proto from "../../proto/scistream.proto" with { type: "text" };
import type { ControlMethods } from "../../proto/messages.ts";

/** A method of the Control service. */
export type Method = keyof ControlMethods;

const OPTIONS = { keepCase: true, defaults: true, arrays: true, longs: Number };

/** The Control service as grpc-js takes it, for both ends. */
export const controlDefinition: ServiceDefinition = fromJSON(
  protobuf.parse(proto, { keepCase: true }).root.toJSON(),
  OPTIONS,
)["scistream.Control"] as ServiceDefinition;

/** The names of the service's methods. */
export const METHODS: readonly Method[] = Object.keys(controlDefinition) as Method[];
