/**
 * A collector of OpenTelemetry: takes what processes export as OTLP over HTTP, in JSON.
 * @module
 */
import { eventually } from "./harness.ts";

/** A span as it came; times are left out. */
export interface Span {
  /** `scistream`, or what Deno calls its own. */
  scope: string;
  service: string;
  name: string;
  traceId: string;
  spanId: string;
  /** Empty where it has none. */
  parent: string;
  /** 1 internal, 2 server, 3 client. */
  kind: number;
  /** 2 is an error. */
  status: number;
  attributes: Record<string, unknown>;
}

interface Attribute {
  key: string;
  value: { stringValue?: string; intValue?: string; doubleValue?: number; boolValue?: boolean };
}

interface Exported {
  resourceSpans: {
    resource: { attributes: Attribute[] };
    scopeSpans: {
      scope: { name: string };
      spans: {
        name: string;
        traceId: string;
        spanId: string;
        parentSpanId: string;
        kind: number;
        status: { code: number };
        attributes: Attribute[];
      }[];
    }[];
  }[];
}

/** Listens until disposed. */
export class Collector implements AsyncDisposable {
  readonly spans: Span[] = [];
  /** All that came, of all kinds. */
  text = "";
  readonly #server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => this.#take(request),
  );

  /** Environment of a process that exports to it. */
  env(service: string): Record<string, string> {
    return {
      OTEL_DENO: "true",
      OTEL_SERVICE_NAME: service,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.#server.addr.port}`,
      // Milliseconds between two exports of spans.
      OTEL_BSP_SCHEDULE_DELAY: "100",
    };
  }

  /** The span that this is true of, once it has come. */
  async span(what: string, fits: (span: Span) => boolean): Promise<Span> {
    await eventually(`the span ${what}`, () => this.spans.some(fits));
    return this.spans.find(fits) as Span;
  }

  /** Whether a span comes from another, perhaps by way of some between them. */
  isBelow({ parent }: Span, above: Span): boolean {
    if (parent === above.spanId) return true;
    const next = this.spans.find(({ spanId }) => spanId === parent);
    return next !== undefined && this.isBelow(next, above);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #take(request: Request): Promise<Response> {
    const text = await request.text();
    this.text += `${text}\n`;
    if (request.url.endsWith("/v1/traces")) {
      const { resourceSpans }: Exported = JSON.parse(text);
      for (const { resource, scopeSpans } of resourceSpans) {
        const service = String(values(resource.attributes)["service.name"]);
        for (const { scope, spans } of scopeSpans) {
          for (const { parentSpanId: parent, status: { code: status }, ...span } of spans) {
            const { name, traceId, spanId, kind } = span;
            const attributes = values(span.attributes);
            this.spans.push({
              scope: scope.name,
              service,
              name,
              traceId,
              spanId,
              parent,
              kind,
              status,
              attributes,
            });
          }
        }
      }
    }
    return Response.json({});
  }
}

function values(attributes: Attribute[]): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, Object.values(value)[0]]),
  );
}
