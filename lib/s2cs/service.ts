/**
 * The Control service over a gateway: messages in, validated values through, messages out.
 * @module
 */
import type { SessionStatus } from "../../proto/messages.ts";
import { Networks } from "../protocol/cidr.ts";
import { Endpoint } from "../protocol/endpoint.ts";
import { ScistreamError } from "../protocol/errors.ts";
import type { ControlHandlers } from "../protocol/server.ts";
import { Uid } from "../protocol/uid.ts";
import { parseNumConn, parseRate, parseRole, type Rate } from "../protocol/values.ts";
import type { Connections, Gateway, SessionReport } from "./gateway.ts";

/** Addresses that one message may carry. */
const MOST_ADDRESSES = 10_000;

/** The service's methods over this gateway. `type` is the data server type that status tells. */
export function controlService(gateway: Gateway, type: string): ControlHandlers {
  function report({ session, channels }: SessionReport): SessionStatus {
    return {
      session: session.uid.session,
      role: session.role,
      state: session.state,
      reason: session.reason,
      type,
      rate: session.rate,
      created_ms: session.createdMs,
      warnings: [...session.warnings],
      rate_enforced: gateway.enforcesRates && session.rate > 0,
      channels: channels.map((channel, i) => ({
        listener: String(session.listeners[i]),
        target: String(session.targets[i] ?? ""),
        connections_open: channel.connectionsOpen,
        connections_total: channel.connectionsTotal,
        connections_failed: channel.connectionsFailed,
        bytes_to_target: channel.bytesToTarget,
        bytes_from_target: channel.bytesFromTarget,
        last_error: channel.lastError,
        uncounted: !channel.counted,
        connections_refused: channel.connectionsRefused,
        speed_to_target: Math.round(channel.speedToTarget),
        speed_from_target: Math.round(channel.speedFromTarget),
        datagrams_dropped: channel.datagramsDropped,
        peers: channel.peers,
        last_error_ms: channel.lastErrorMs,
      })),
    };
  }

  return {
    async req(message, caller) {
      const request = {
        uid: Uid.parse(message.uid),
        role: parseRole(message.role),
        numConn: parseNumConn(message.num_conn),
        rate: parseRate(message.rate),
        allow: message.allow.length > 0 ? Networks.parse(message.allow, "allow") : undefined,
      };
      return connections(await gateway.req(request, caller.signal));
    },

    async hello(message, caller) {
      const uid = Uid.parse(message.uid);
      const role = parseRole(message.role);
      const appListeners = addresses(message.prod_listeners, "prod_listener");
      const listeners = await gateway.hello({ uid, role, appListeners }, caller.signal);
      return role === "PROD"
        ? { message: "Sending Prod listeners...", listeners: [] }
        : { message: "Sending listeners...", listeners: listeners.map(String) };
    },

    async update(message) {
      const uid = Uid.parse(message.uid);
      parseRole(message.role);
      const targets = addresses(message.remote_listeners, "remote_listener");
      const rate = parseNewRate(message.rate);
      return connections(await gateway.update({ uid, targets, rate }));
    },

    async release(message) {
      await gateway.release(Uid.parse(message.uid), message.force);
      return { listeners: [], prod_listeners: [] };
    },

    async status(message) {
      return report(await gateway.status(Uid.parse(message.uid)));
    },

    async list() {
      const reports = await gateway.list();
      return { sessions: reports.map(report) };
    },
  };
}

function addresses(texts: readonly string[], what: string): Endpoint[] {
  if (texts.length > MOST_ADDRESSES) {
    throw new ScistreamError(
      "BAD_FORMAT",
      `${texts.length} ${what}s; send at most ${MOST_ADDRESSES}`,
    );
  }
  return texts.map((text) => Endpoint.parse(text, what));
}

function connections({ listeners, prodListeners }: Connections) {
  return { listeners: listeners.map(String), prod_listeners: prodListeners.map(String) };
}

/** The rate of an update: 0 leaves it as it is, -1 asks for no limit. */
function parseNewRate(value: number): Rate | undefined {
  if (value === 0) return undefined;
  return value === -1 ? 0 : parseRate(value);
}
