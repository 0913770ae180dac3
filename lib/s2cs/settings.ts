/**
 * What a control server is told: what may change while it runs, and what may not.
 * @module
 */
import type { Authenticator } from "../auth/authenticator.ts";
import type { Log } from "../log.ts";
import type { Networks } from "../protocol/cidr.ts";
import type { Endpoint } from "../protocol/endpoint.ts";
import { SERVER_LIMITS, type ServerLimits } from "../protocol/limits.ts";
import type { ServerTls } from "../protocol/server.ts";
import type { PortRange, Rate, RatePolicy } from "../protocol/values.ts";
import type { DataServerSettings } from "../s2ds/types.ts";
import { descriptorLimit } from "../s2ds/forwarder/descriptors.ts";
import { CALL_LIMITS, type CallLimits } from "./call_limits.ts";
import type { Quotas } from "./owner.ts";

/** What it takes from callers. */
export interface CallerLimits extends ServerLimits, CallLimits {
  /** Hellos that wait for their request, of all callers. */
  earlyHellos: number;
}

/** What is safe, and enough for a gateway. */
export const LIMITS: Readonly<CallerLimits> = {
  ...SERVER_LIMITS,
  ...CALL_LIMITS,
  earlyHellos: 1000,
};

/** Settings that may change while it runs; times in milliseconds. */
export interface Changeable {
  /** Without it the server is plain; a plain server stays plain. */
  tls?: ServerTls;
  /** Lets callers in; everyone who reaches the address is served without one. */
  auth?: Authenticator;
  /** What one caller may have, where callers are authenticated. */
  quotas: Quotas;
  /** {@linkcode LIMITS} if not given. */
  callerLimits?: CallerLimits;
  /** How long a req waits for its hello, and a session after that for its update. */
  helloTimeoutMs: number;
  /** How long a released session's connections may go on. */
  drainTimeoutMs: number;
  /** Kilobytes per second that all rates together may reach; 0 is no bound. */
  capacity: Rate;
  /** Where data connections may come from; what changes is for sessions that are opened then. */
  allow?: Networks;
  /** Leaves sessions running when it stops, for the next control server of this gateway. */
  keepSessions: boolean;
  /** Sessions at once. */
  maxSessions: number;
  /** Channels of one session. */
  maxConn: number;
}

/** Settings of a control server. */
export interface S2csOptions extends Changeable, DataServerSettings {
  /** Where it listens; port 0 takes a free one. */
  address: Endpoint;
  /** Address of this gateway that the other gateway reaches; producers' listeners are told and bound there. */
  wanIp?: string;
  /** Address that consumers' listeners are told and bound at, if not its own. */
  lanIp?: string;
  /** Ports for data listeners. */
  portRange: PortRange;
  /** Data server type, as `parseType` answers it. */
  type: string;
  /** What the rates of requests mean. */
  ratePolicy: RatePolicy;
  /** Where dashboard and metrics are served; beyond loopback only with TLS and authentication. */
  http?: Endpoint;
  /** Whether gRPC server reflection is served. */
  reflection: boolean;
  /**
   * File for who asked for what, as JSON lines; empty for one in the state folder, `none` for none.
   */
  auditLog: string;
  /** Milliseconds between two looks at whether what runs is what should. */
  reconcileMs: number;
  /** Folder for the sockets and logs of this user's gateways. */
  stateDir: string;
  /** Takes what happens. */
  log: Log;
}

/** Connections leave this many descriptors for everything else. */
const SPARE_DESCRIPTORS = 40;

/** Connections of the side port at once, where descriptors allow as many. */
const SIDE_SOCKETS = 256;

/** What the descriptors that the system gives this process allow. */
export interface SystemBounds {
  /** Limits, kept within that. */
  limitsOf: (limits?: CallerLimits) => CallerLimits;
  /** Connections of the side port at once. */
  sideSockets: number;
}

/** Asks the system. */
export async function boundBySystem(log: Log, hasSidePort: boolean): Promise<SystemBounds> {
  const descriptors = await descriptorLimit() ?? Infinity;
  const sideSockets = Math.min(SIDE_SOCKETS, Math.max(2, Math.floor(descriptors / 8)));
  const spare = SPARE_DESCRIPTORS + (hasSidePort ? sideSockets : 0);
  const sockets = Math.max(8, descriptors - spare);
  // Of them some are for those that are accepted only to be refused.
  const most = Math.floor(sockets * 3 / 4);
  const limitsOf = (limits: CallerLimits = LIMITS) => {
    const connections = Math.min(limits.connections, most);
    if (connections < limits.connections) {
      log(
        "warn",
        `${most} connections are taken and not ${limits.connections}: the limit of open files (ulimit -n) allows no more`,
      );
    }
    return { ...limits, connections, sockets: Math.min(sockets, 2 * connections) };
  };
  return { limitsOf, sideSockets };
}
