/**
 * What a trace tells of a call, at both ends.
 * @module
 */
import type { Attributes } from "../trace.ts";
import type { Method } from "./codec.ts";
import { Uid } from "./uid.ts";

/** The name of a call's span, as OpenTelemetry's conventions for gRPC have it. */
export const spanName = (method: Method) => `scistream.Control/${method}`;

/** What is told of a call; the session by its public id. */
export function callAttributes(method: Method, request: unknown): Attributes {
  const { role } = request as { role?: string };
  return {
    "rpc.system": "grpc",
    "rpc.service": "scistream.Control",
    "rpc.method": method,
    "scistream.session": publicId(request),
    "scistream.role": role === "PROD" || role === "CONS" ? role : undefined,
  };
}

function publicId(request: unknown): string | undefined {
  const { uid, session } = request as { uid?: string; session?: string };
  if (session) return /^[0-9a-f]{8}$/.test(session) ? session : undefined;
  if (!uid) return undefined;
  try {
    return Uid.parse(uid).session;
  } catch {
    return undefined;
  }
}
