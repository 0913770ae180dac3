/**
 * Traces of OpenTelemetry. Deno exports them by itself (OTEL_DENO=true), has spans of its own for HTTP,
 * and sends `traceparent` along with every call; here is what it cannot know: calls of gRPC, and the
 * steps of a session. Without `startTracing` nothing is loaded and nothing done.
 * @module
 */
import { VERSION } from "./version.ts";

/** What a span tells; never a uid or a token. */
export type Attributes = Record<string, string | number | boolean | undefined>;

/** How a span stands to its parent. */
export interface SpanOptions {
  /** What a call is to this end; without it a step of this process. */
  kind?: "client" | "server";
  attributes?: Attributes;
  /**
   * `traceparent` of W3C, as a caller sent it: the span is a part of that trace, or begins one where it
   * is none. Without it the parent is the span that is under way here.
   */
  parent?: string;
}

/** Metadata key, and in capitals the environment variable, of what a span is a part of (W3C Trace Context). */
export const TRACEPARENT = "traceparent";

/** Whether Deno exports traces, and whatever goes to the console as logs. */
export function isTraced(env: (name: string) => string | undefined): boolean {
  return /^(true|1)$/.test(env("OTEL_DENO") ?? "");
}

let api: typeof import("@opentelemetry/api") | undefined;

/** From now on there are spans. */
export async function startTracing(): Promise<void> {
  api = await import("@opentelemetry/api");
}

/** Does something within a span. */
export function traced<T>(
  name: string,
  options: SpanOptions,
  work: () => Promise<T>,
): Promise<T> {
  return api ? inSpan(api, name, options, work) : work();
}

function inSpan<T>(
  { trace, context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode }: NonNullable<typeof api>,
  name: string,
  { kind, attributes, parent }: SpanOptions,
  work: () => Promise<T>,
): Promise<T> {
  // Nothing but this: of what else a caller may send (tracestate, baggage) nothing is taken.
  const within = parent === undefined
    ? context.active()
    : propagation.extract(ROOT_CONTEXT, { [TRACEPARENT]: parent });
  const kinds = { client: SpanKind.CLIENT, server: SpanKind.SERVER };
  const options = { kind: kind ? kinds[kind] : SpanKind.INTERNAL, attributes };
  return trace.getTracer("scistream", VERSION).startActiveSpan(
    name,
    options,
    within,
    async (span) => {
      try {
        return await work();
      } catch (error) {
        // Its name only: what a sentence quotes is nobody's to collect.
        span.setAttribute("error.type", typeOf(error));
        span.setStatus({ code: SpanStatusCode.ERROR });
        throw error;
      } finally {
        span.end();
      }
    },
  );
}

function typeOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return String(code ?? name ?? "unknown");
}
