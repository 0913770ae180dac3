/**
 * gRPC health checking (grpc.health.v1): whether calls are answered, for load balancers and probes.
 * gRPC's own package for it reads its .proto from a file whenever it is loaded.
 * @module
 */
import type { PackageDefinition } from "@grpc/proto-loader";
import proto from "../../proto/health.proto" with { type: "text" };
import { definitionsOf } from "../protocol/codec.ts";
import { quote, ScistreamError, Status } from "../protocol/errors.ts";
import {
  definedLater,
  type PublicCaller,
  type PublicService,
  unless,
} from "../protocol/public_service.ts";

/** What is told of; empty for the whole server. */
const SERVICES = ["", "scistream.Control"];

let parsed: PackageDefinition | undefined;

/** What proto/health.proto defines. */
export function healthPackage(): PackageDefinition {
  return parsed ??= definitionsOf(proto, { enums: String, defaults: true });
}

/** Whether the control server answers calls: not while it recovers, and not while it winds up. */
export class Health {
  #why: string | undefined = "recovering what an earlier control server left";
  #change = Promise.withResolvers<void>();

  /** Why no calls are taken now, a few words; undefined when they are. */
  get notReady(): string | undefined {
    return this.#why;
  }

  /** Tells whoever watches. */
  set notReady(why: string | undefined) {
    this.#why = why;
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  /** The service. */
  service(): PublicService {
    return {
      definition: definedLater(
        "grpc.health.v1.Health",
        { Check: "unary", Watch: "watch", List: "unary" },
        healthPackage,
      ),
      methods: {
        Check: (messages) => this.#check(messages),
        Watch: (messages, caller) => this.#watch(messages, caller),
        List: () => this.#list(),
      },
    };
  }

  get #status(): string {
    return this.#why === undefined ? "SERVING" : "NOT_SERVING";
  }

  async *#check(messages: AsyncIterable<unknown>) {
    const service = await serviceOf(messages);
    if (!SERVICES.includes(service)) {
      throw new ScistreamError("BAD_FORMAT", `there is no service ${quote(service)} here`, {
        status: Status.NOT_FOUND,
      });
    }
    yield { status: this.#status };
  }

  async *#watch(messages: AsyncIterable<unknown>, { signal }: PublicCaller) {
    const service = await serviceOf(messages);
    for (let told = "";;) {
      const change = this.#change.promise;
      const status = SERVICES.includes(service) ? this.#status : "SERVICE_UNKNOWN";
      if (status !== told) yield { status };
      told = status;
      await unless(signal, change);
    }
  }

  async *#list() {
    const statuses = SERVICES.map((service) => [service, { status: this.#status }]);
    yield await Promise.resolve({ statuses: Object.fromEntries(statuses) });
  }
}

async function serviceOf(messages: AsyncIterable<unknown>): Promise<string> {
  for await (const message of messages) return (message as { service: string }).service;
  return "";
}
