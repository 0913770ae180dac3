// Made from scistream.proto by `deno task gen`; do not edit.
// Field names are the wire's. A 64-bit integer is a number: exact up to 2^53.

/** Request and response of each method of the service; one that streams answers many. */
export interface ControlMethods {
  /** `req` */
  req: { request: Request; response: Response };
  /** `update` */
  update: { request: UpdateTargets; response: Response };
  /** `release` */
  release: { request: Release; response: Response };
  /** `hello` */
  hello: { request: Hello; response: AppResponse };
  /** `status` */
  status: { request: StatusRequest; response: SessionStatus };
  /** `list` */
  list: { request: ListRequest; response: ListResponse };
  /** `watch` */
  watch: { request: WatchRequest; response: AsyncIterable<WatchUpdate> };
  /** `whoami` */
  whoami: { request: WhoamiRequest; response: WhoamiResponse };
}

/** Asks for a session; answered when its application has said hello. */
export interface Request {
  /** The session's name and secret: 8 to 64 characters of [0-9A-Za-z_-]. */
  uid: string;
  /** PROD or CONS. */
  role: string;
  /** How many channels, which is how many listeners. */
  num_conn: number;
  /** Kilobytes (1,000 bytes) per second; 0 asks for no limit. */
  rate: number;
  /** beyond: networks that data connections may come from, as in 192.168.20.0/24; empty for all. */
  allow: string[];
}

/** Sets a session's targets, or its rate. */
export interface UpdateTargets {
  /** The session. */
  uid: string;
  /** Where to forward to, ip:port; channel i goes to entry i mod n. */
  remote_listeners: string[];
  /** PROD or CONS. */
  role: string;
  /** beyond: the rate from now on, in kilobytes (1,000 bytes) per second; 0 leaves it as it is, -1 asks for no limit. With a rate, remote_listeners may be empty: the targets stay. */
  rate: number;
}

/** Ends a session. */
export interface Release {
  /** The session. */
  uid: string;
  /** beyond: true cuts established connections instead of letting them finish. */
  force: boolean;
  /** beyond: the session's public id, instead of its uid; for callers who are authenticated. */
  session: string;
}

/** An application's greeting. */
export interface Hello {
  /** The session. */
  uid: string;
  /** Where a producer's application listens, ip:port. */
  prod_listeners: string[];
  /** PROD or CONS; it can differ from the request's. */
  role: string;
}

/** What req, update and release are answered with. */
export interface Response {
  /** Where the session's channels accept connections, ip:port. */
  listeners: string[];
  /** The application's addresses (req), or the targets in channel order (update). */
  prod_listeners: string[];
}

/** What hello is answered with. */
export interface AppResponse {
  /** A sentence that reference clients print. */
  message: string;
  /** A consumer's session: where the application connects. */
  listeners: string[];
}

/** Asks for one session's status. */
export interface StatusRequest {
  /** The session. */
  uid: string;
  /** Its public id, instead of its uid; for callers who are authenticated. */
  session: string;
}

/** Asks for all sessions; where callers are authenticated, for the caller's own, and an administrator's are all. */
export type ListRequest = Record<string, never>;

/** Sessions, oldest first. */
export interface ListResponse {
  /** The sessions. */
  sessions: SessionStatus[];
}

/** Asks for how sessions look now, and from then on once a second. Without a uid and a session these are all that list tells of. */
export interface WatchRequest {
  /** The session. */
  uid: string;
  /** Its public id, instead of its uid; for callers who are authenticated. */
  session: string;
}

/** How the sessions looked at one moment. A watch of one session ends with it, after an update that has its last state: released, expired or failed. */
export interface WatchUpdate {
  /** Milliseconds since 1970 UTC, by the control server's clock. */
  at_ms: number;
  /** The sessions, oldest first. */
  sessions: SessionStatus[];
}

/** One session as its gateway sees it. The uid is a secret, so a session is named by `session`: the first 8 hex digits of the SHA-256 of its uid. */
export interface SessionStatus {
  /** Its public id. */
  session: string;
  /** PROD or CONS. */
  role: string;
  /** reserved, waiting, ready, streaming, draining or failed; released or expired in the last update of a watch. */
  state: string;
  /** Why the session is in this state, a sentence; empty when all is well. */
  reason: string;
  /** Data server type. */
  type: string;
  /** Kilobytes (1,000 bytes) per second as requested; 0 is no limit. */
  rate: number;
  /** Milliseconds since 1970 UTC. */
  created_ms: number;
  /** In channel order. */
  channels: Channel[];
  /** What its user should know, a sentence each. */
  warnings: string[];
  /** Whether the gateway holds the session to its rate. */
  rate_enforced: boolean;
  /** Who made it; empty where callers are not authenticated. */
  owner: string;
  /** The node that its listeners are on; empty where a gateway is one machine. */
  node: string;
  /** When it was moved to this node because its own was lost, in milliseconds since 1970 UTC; 0 if never. */
  moved_ms: number;
}

/** One channel: a listener and where it forwards to. */
export interface Channel {
  /** Where it accepts connections, ip:port. */
  listener: string;
  /** Empty until the first update. */
  target: string;
  /** Now. */
  connections_open: number;
  /** Accepted since the session was opened. */
  connections_total: number;
  /** Of these, how many never reached the target. */
  connections_failed: number;
  /** Bytes from whoever connected to the listener to the target. */
  bytes_to_target: number;
  /** Bytes from the target. */
  bytes_from_target: number;
  /** The last thing that went wrong on this channel; empty if nothing has. */
  last_error: string;
  /** True where this data server type does not count: fields 3 to 7 then say nothing. */
  uncounted: boolean;
  /** Not let in: from an address that is not allowed, or not proven to be the other gateway. */
  connections_refused: number;
  /** Bytes per second to the target over the last second. */
  speed_to_target: number;
  /** Bytes per second from the target over the last second. */
  speed_from_target: number;
  /** UDP datagrams that were not passed on. */
  datagrams_dropped: number;
  /** Addresses that are connected now, a few of them. */
  peers: string[];
  /** When the last error was, in milliseconds since 1970 UTC; 0 if there was none. */
  last_error_ms: number;
}

/** Asks whom the control server takes the caller for. */
export type WhoamiRequest = Record<string, never>;

/** The caller, as the control server knows it. */
export interface WhoamiResponse {
  /** Whether callers are authenticated here; nothing else is told where they are not. */
  authenticated: boolean;
  /** The provider's name for the user, as in alice@anl.gov. */
  name: string;
  /** May list and release everybody's sessions. */
  admin: boolean;
  /** When the token ends, in milliseconds since 1970 UTC. */
  expires_ms: number;
}
