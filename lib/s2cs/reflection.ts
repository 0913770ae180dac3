/**
 * gRPC server reflection, v1 and v1alpha: tells grpcurl and its like which services there are, and
 * what their messages look like.
 * @module
 */
import type { PackageDefinition } from "@grpc/proto-loader";
import proto from "../../proto/reflection.proto" with { type: "text" };
import { controlPackage, definitionsOf } from "../protocol/codec.ts";
import { ScistreamError } from "../protocol/errors.ts";
import { definedLater, type PublicService } from "../protocol/public_service.ts";
import { healthPackage } from "./health.ts";

/** Names of services, messages and files are shorter; a name that is not known is sent back. */
const MOST_CHARACTERS = 1000;

// As @grpc/reflection takes and answers messages.
const OPTIONS = { enums: String, bytes: Array, defaults: true, oneofs: true };

/** Both versions of the service. */
export function reflectionServices(): PublicService[] {
  return VERSIONS.map((version) => ({
    definition: definedLater(
      `grpc.reflection.${version}.ServerReflection`,
      { ServerReflectionInfo: "talk" },
      () => reflectionPackage(version),
    ),
    methods: { ServerReflectionInfo: answers },
  }));
}

async function* answers(messages: AsyncIterable<unknown>) {
  for await (const message of messages) {
    if (JSON.stringify(message).length > MOST_CHARACTERS) {
      throw new ScistreamError(
        "BAD_FORMAT",
        `a request of reflection is longer than ${MOST_CHARACTERS} characters`,
      );
    }
    yield (await index()).handleServerReflectionRequest(message as never);
  }
}

const VERSIONS = ["v1", "v1alpha"] as const;
const parsed = new Map<string, PackageDefinition>();

function reflectionPackage(version: string): PackageDefinition {
  const known = parsed.get(version);
  if (known) return known;
  const text = proto.replace("package grpc.reflection.v1;", `package grpc.reflection.${version};`);
  const definitions = definitionsOf(text, OPTIONS);
  parsed.set(version, definitions);
  return definitions;
}

type Index = InstanceType<typeof import("@grpc/reflection").ReflectionV1Implementation>;
let made: Promise<Index> | undefined;

function index(): Promise<Index> {
  return made ??= import("@grpc/reflection").then(({ ReflectionV1Implementation }) =>
    new ReflectionV1Implementation({
      ...controlPackage,
      ...healthPackage(),
      ...reflectionPackage("v1"),
      ...reflectionPackage("v1alpha"),
    })
  );
}
