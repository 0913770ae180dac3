// Made from scistream.proto by `deno task gen`; do not edit.
// Field names are the wire's. A 64-bit integer is a number: exact up to 2^53.

/** Request and response of each method of the service. */
export interface ControlMethods {
  req: { request: Request; response: Response };
  update: { request: UpdateTargets; response: Response };
  release: { request: Release; response: Response };
  hello: { request: Hello; response: AppResponse };
  status: { request: StatusRequest; response: SessionStatus };
  list: { request: ListRequest; response: ListResponse };
}

/** Message Request. */
export interface Request {
  uid: string;
  role: string;
  num_conn: number;
  rate: number;
}

/** Message UpdateTargets. */
export interface UpdateTargets {
  uid: string;
  remote_listeners: string[];
  role: string;
}

/** Message Release. */
export interface Release {
  uid: string;
  /** beyond: true cuts established connections instead of letting them finish. */
  force: boolean;
}

/** Message Hello. */
export interface Hello {
  uid: string;
  prod_listeners: string[];
  role: string;
}

/** Message Response. */
export interface Response {
  listeners: string[];
  prod_listeners: string[];
}

/** Message AppResponse. */
export interface AppResponse {
  message: string;
  listeners: string[];
}

/** Message StatusRequest. */
export interface StatusRequest {
  uid: string;
}

/** Message ListRequest. */
export type ListRequest = Record<string, never>;

/** Message ListResponse. */
export interface ListResponse {
  sessions: SessionStatus[];
}

/** One session as its gateway sees it. The uid is a secret, so a session is named by `session`: the first 8 hex digits of the SHA-256 of its uid. */
export interface SessionStatus {
  session: string;
  role: string;
  state: string;
  /** Why the session is in this state, a sentence; empty when all is well. */
  reason: string;
  /** Data server type. */
  type: string;
  /** Kilobytes (1,000 bytes) per second as requested; 0 is no limit. */
  rate: number;
  /** Milliseconds since 1970 UTC. */
  created_ms: number;
  channels: Channel[];
}

/** One channel: a listener and where it forwards to. */
export interface Channel {
  listener: string;
  /** Empty until the first update. */
  target: string;
  connections_open: number;
  connections_total: number;
  connections_failed: number;
  /** Bytes from whoever connected to the listener to the target, and back. */
  bytes_to_target: number;
  bytes_from_target: number;
  /** The last thing that went wrong on this channel; empty if nothing has. */
  last_error: string;
}
