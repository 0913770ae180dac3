/**
 * The Control service over a gateway: messages in, validated values through, messages out.
 * @module
 */
import type { ControlMethods } from "../../proto/messages.ts";
import { Networks } from "../protocol/cidr.ts";
import { Endpoint } from "../protocol/endpoint.ts";
import type { Principal } from "../auth/authenticator.ts";
import { quote, ScistreamError, Status } from "../protocol/errors.ts";
import type { Caller } from "../protocol/server.ts";
import { Uid } from "../protocol/uid.ts";
import { parseNumConn, parseRate, parseRole, type Rate } from "../protocol/values.ts";
import type { Connections, Gateway, SessionReport } from "./gateway.ts";
import { sessionStatus } from "./report.ts";
import type { Which } from "./sessions.ts";
import { type Watching, watchSessions } from "./watch.ts";

/** Addresses that one message may carry. */
const MOST_ADDRESSES = 10_000;

/** A caller, and who it is where that is asked. */
type Known = Caller & { who?: Principal };

/** One function per method, for callers who have been let in. */
export type Service = {
  [M in keyof ControlMethods]: (
    request: ControlMethods[M]["request"],
    caller: Known,
  ) => Promise<ControlMethods[M]["response"]>;
};

/**
 * The service's methods over this gateway.
 * @param type the data server type that status tells
 * @param watching what watches look through, and until when
 */
export function service(gateway: Gateway, type: string, watching: Watching): Service {
  const report = (each: SessionReport) => sessionStatus(each, type, gateway.enforcesRates);

  return {
    async req(message, caller) {
      const request = {
        uid: Uid.parse(message.uid),
        role: parseRole(message.role),
        numConn: parseNumConn(message.num_conn),
        rate: parseRate(message.rate),
        allow: message.allow.length > 0 ? Networks.parse(message.allow, "allow") : undefined,
      };
      return connections(await gateway.req(request, caller.signal, caller.who));
    },

    async hello(message, caller) {
      const uid = Uid.parse(message.uid);
      const role = parseRole(message.role);
      const appListeners = addresses(message.prod_listeners, "prod_listener");
      const hello = { uid, role, appListeners };
      const listeners = await gateway.hello(hello, caller.signal, caller.who);
      return role === "PROD"
        ? { message: "Sending Prod listeners...", listeners: [] }
        : { message: "Sending listeners...", listeners: listeners.map(String) };
    },

    async update(message, { who }) {
      const uid = Uid.parse(message.uid);
      parseRole(message.role);
      const targets = addresses(message.remote_listeners, "remote_listener");
      const rate = parseNewRate(message.rate);
      return connections(await gateway.update({ uid, targets, rate }, who));
    },

    async release(message, { who }) {
      await gateway.release(parseWhich(message), message.force, who);
      return { listeners: [], prod_listeners: [] };
    },

    async status(message, { who }) {
      return report(await gateway.status(parseWhich(message), who));
    },

    async list(_message, { who }) {
      const reports = await gateway.list(who);
      return { sessions: reports.map(report) };
    },

    async watch(message, { who, signal }) {
      const { uid, session } = message;
      const which = uid === "" && session === "" ? undefined : parseWhich(message);
      return await watchSessions({ ...watching, gateway, report }, { which, who, signal });
    },

    whoami(_message, { who }) {
      return Promise.resolve({
        authenticated: who !== undefined,
        name: who?.name ?? "",
        admin: who?.admin ?? false,
        expires_ms: who?.expiresMs ?? 0,
      });
    },
  };
}

/** The uid, or instead of it the public id. */
function parseWhich({ uid, session }: { uid: string; session: string }): Which {
  if (session === "") return Uid.parse(uid);
  if (uid === "" && /^[0-9a-f]{8}$/.test(session)) return session;
  throw new ScistreamError(
    "INVALID_UID",
    `session ${quote(session)} is not 8 hex digits as list shows them, without a uid beside it`,
    { status: Status.INVALID_ARGUMENT },
  );
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
