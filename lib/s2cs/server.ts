/**
 * A whole control server: gRPC in front, a gateway behind it, a data server under that.
 * @module
 */
import { isIPv6 } from "node:net";
import type { Authenticator } from "../auth/authenticator.ts";
import type { Log } from "../log.ts";
import type { Networks } from "../protocol/cidr.ts";
import { Endpoint } from "../protocol/endpoint.ts";
import { messageOf, ScistreamError } from "../protocol/errors.ts";
import { METHODS } from "../protocol/codec.ts";
import {
  type Caller,
  type ControlHandlers,
  type ControlServer,
  serveControl,
} from "../protocol/server.ts";
import type { PortRange, Rate, RatePolicy, Role } from "../protocol/values.ts";
import type { DataServer } from "../s2ds/data_server.ts";
import { createDataServer, type DataServerSettings } from "../s2ds/types.ts";
import { AuditLog } from "./audit.ts";
import { guarded } from "./front.ts";
import { Gateway, type GatewayOptions } from "./gateway.ts";
import { PortPool } from "./ports.ts";
import type { Quotas } from "./owner.ts";
import { service } from "./service.ts";
import { SqliteStore } from "./sqlite_store.ts";
import type { SessionStore } from "./store.ts";

/** Settings of a control server; times in milliseconds. */
export interface S2csOptions extends DataServerSettings {
  /** Where it listens; port 0 takes a free one. */
  address: Endpoint;
  /** Address of this gateway that the other gateway reaches; producers' listeners are told and bound there. */
  wanIp?: string;
  /** Ports for data listeners. */
  portRange: PortRange;
  /** Data server type, as `parseType` answers it. */
  type: string;
  /** PEM; without them the server is plain. */
  tls?: { cert: Uint8Array; key: Uint8Array };
  /** Lets callers in; everyone who reaches the address is served without one. */
  auth?: Authenticator;
  /** What one caller may have, where callers are authenticated. */
  quotas: Quotas;
  /** How long a req waits for its hello, and a session after that for its update. */
  helloTimeoutMs: number;
  /** How long a released session's connections may go on. */
  drainTimeoutMs: number;
  /** What the rates of requests mean. */
  ratePolicy: RatePolicy;
  /** Kilobytes per second that all rates together may reach; 0 is no bound. */
  capacity: Rate;
  /** Where data connections may come from. */
  allow?: Networks;
  /**
   * File for who asked for what, as JSON lines; empty for one in the state folder, `none` for none.
   */
  auditLog: string;
  /** Leaves sessions running when it stops, for the next control server of this gateway. */
  keepSessions: boolean;
  /** Sessions at once. */
  maxSessions: number;
  /** Channels of one session. */
  maxConn: number;
  /** Folder for the sockets and logs of this user's gateways. */
  stateDir: string;
  /** Takes what happens. */
  log: Log;
}

/** A running control server. */
export interface S2cs {
  /** Where it listens, with the real port. */
  address: Endpoint;
  /**
   * Takes no more calls, lets established connections finish for the drain timeout, releases
   * everything and ends. A call with `force` hurries one that drains. Where sessions are kept, those
   * that stream go on by themselves.
   */
  stop(force?: boolean): Promise<void>;
}

/**
 * How long an early hello waits where callers are authenticated. Its token comes from the request that
 * it belongs to, so the two are seldom far apart; and whoever has the wrong uid or somebody else's
 * waits for as long, because the answer must not tell which.
 */
const EARLY_MS = 10_000;

/**
 * Starts a control server.
 * @throws {ScistreamError} CONN_ERROR when it cannot listen or its data server does not start
 */
export async function startS2cs(options: S2csOptions): Promise<S2cs> {
  const { log, type } = options;
  const dataServer = createDataServer(type, options, {
    onLog: log,
    onFault: (session, reason) => gateway.fault(session, reason),
    onDown: (session, reason) => gateway.down(session, reason),
    onUp: (session) => gateway.up(session),
    onNote: (session, note) => gateway.note(session, note),
  });
  assertAble(dataServer, options);
  // The port is taken before the gateway's folder is touched: who holds it owns that. Calls that come
  // meanwhile wait until what an earlier control server left has been taken up.
  const handlers = Promise.withResolvers<ControlHandlers>();
  handlers.promise.catch(() => {});
  const server = await serveControl(later(handlers.promise), {
    address: options.address,
    tls: options.tls,
    onFault: (id, method, error) => log("error", `[${id}] ${method}: ${describe(error)}`),
  });
  const folder = gatewayFolder(options.stateDir, server.address);
  let store: SqliteStore | undefined;
  let audit: AuditLog | undefined;
  let gateway: Gateway;
  try {
    await makePrivate(folder);
    audit = openAudit(options, server.address);
    store = SqliteStore.open(`${folder}/sessions.db`, (sentence) => log("error", sentence));
    gateway = new Gateway(gatewayOptions(options, dataServer, store, audit));
    await dataServer.start({ folder, gateway: server.address }, gateway.restore());
    handlers.resolve(guarded(service(gateway, type), { auth: options.auth, audit }));
  } catch (error) {
    handlers.reject(error);
    server.closeNow();
    store?.[Symbol.dispose]();
    audit?.[Symbol.dispose]();
    throw error;
  }
  return { address: server.address, stop: stopper() };

  function stopper(): S2cs["stop"] {
    let stopping: Promise<void> | undefined;
    return (force = false) => {
      const released = gateway.close(force ? 0 : options.drainTimeoutMs, options.keepSessions);
      stopping ??= (async () => {
        await released;
        await closed(server);
        const { size } = gateway;
        if (size === 0) await dataServer.stop();
        else await dataServer.leave();
        options.auth?.[Symbol.dispose]();
        store?.[Symbol.dispose]();
        audit?.[Symbol.dispose]();
        if (size === 0) await Deno.remove(folder, { recursive: true });
        else {log(
            "info",
            `${size} sessions go on, for the next control server of ${server.address}`,
          );}
      })();
      return stopping;
    };
  }
}

/** Answers need moments; whoever connected and says nothing would be waited for without end. */
const CLOSE_MS = 2_000;

async function closed(server: ControlServer): Promise<void> {
  let late: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise<void>((resolve) => late = setTimeout(resolve, CLOSE_MS));
  await Promise.race([server.close(), patience]);
  clearTimeout(late);
  server.closeNow();
}

function gatewayOptions(
  options: S2csOptions,
  dataServer: DataServer,
  store: SessionStore,
  audit: AuditLog | undefined,
): GatewayOptions {
  const { helloTimeoutMs, auth } = options;
  return {
    ...options,
    store,
    dataServer,
    ports: new PortPool(options.portRange),
    hosts: hosts(options),
    earlyTimeoutMs: auth ? Math.min(helloTimeoutMs, EARLY_MS) : helloTimeoutMs,
    warnings: ({ weakness }) =>
      dataServer.abilities.protects && weakness
        ? [`weak secret: ${weakness}; whoever guesses it can join the stream; use a random uid`]
        : [],
    onEvent: (event, { uid, owner, state, reason }) =>
      audit?.write({
        time: new Date().toISOString(),
        call: event,
        session: uid.session,
        caller: owner?.name ?? "",
        caller_id: owner?.id ?? "",
        peer: "",
        outcome: state,
        reason,
      }),
  };
}

/** @throws {ScistreamError} BAD_FORMAT when it cannot be written */
function openAudit(
  { auditLog, stateDir, log }: S2csOptions,
  address: Endpoint,
): AuditLog | undefined {
  if (auditLog === "none") return undefined;
  const path = auditLog || `${stateDir}/audit-${fileName(address)}.jsonl`;
  try {
    return new AuditLog(path, { warn: (sentence) => log("error", sentence) });
  } catch (error) {
    throw new ScistreamError(
      "BAD_FORMAT",
      `cannot write the audit log ${path}: ${
        messageOf(error)
      }; choose another --audit-log, or none`,
    );
  }
}

/** Handlers that wait for those that will do it. */
function later(service: Promise<ControlHandlers>): ControlHandlers {
  const handlers = METHODS.map((method) => [
    method,
    async (request: never, caller: Caller) => await (await service)[method](request, caller),
  ]);
  return Object.fromEntries(handlers);
}

/** @throws {ScistreamError} BAD_FORMAT for settings that this data server type cannot honour */
function assertAble({ type, abilities }: DataServer, options: S2csOptions): void {
  const unable = (what: string) =>
    new ScistreamError("BAD_FORMAT", `${what}, which data server type ${type} cannot; use S2DS`);
  if (options.ratePolicy === "enforce" && !abilities.limit) {
    throw unable("--rate-policy enforce holds sessions to their rates");
  }
  if (options.allow && !abilities.allow) {
    throw unable("--allow lets in connections from some networks only");
  }
}

/** What listeners of each role are told as, and bound to. */
function hosts(options: S2csOptions): (role: Role) => { told: string; bound: string } {
  const { address, wanIp } = options;
  const any = isIPv6(address.host) ? "::" : "0.0.0.0";
  return (role) => {
    // A producer's listeners are for the other gateway, which comes from the WAN; without --wan-ip
    // nobody knows which address that is. A consumer's are for the LAN that s2cs itself listens on.
    if (role === "CONS") return { told: address.host, bound: address.host };
    return { told: wanIp ?? address.host, bound: wanIp ?? any };
  };
}

/** A folder that only this user can enter. */
async function makePrivate(folder: string): Promise<void> {
  try {
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    await Deno.chmod(folder, 0o700);
  } catch (error) {
    throw new ScistreamError(
      "BAD_FORMAT",
      `cannot make the folder ${folder}: ${messageOf(error)}; choose another --state-dir`,
    );
  }
}

function gatewayFolder(stateDir: string, address: Endpoint): string {
  return `${stateDir}/gateway-${fileName(address)}`;
}

function fileName({ host, port }: Endpoint): string {
  return `${host.replaceAll(":", "_")}-${port}`;
}

function describe(error: unknown): string {
  return error instanceof Error ? error.stack ?? messageOf(error) : messageOf(error);
}
