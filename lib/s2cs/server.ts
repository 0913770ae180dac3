/**
 * A whole control server: gRPC in front, a gateway behind it, a data server under that.
 * @module
 */
import { isIPv6 } from "node:net";
import { reach } from "../fault_points.ts";
import { inModule, type Log } from "../log.ts";
import { Endpoint } from "../protocol/endpoint.ts";
import { messageOf, ScistreamError } from "../protocol/errors.ts";
import { expiryOf } from "../protocol/pem.ts";
import { METHODS } from "../protocol/codec.ts";
import {
  type Caller,
  type ControlHandlers,
  type ControlServer,
  serveControl,
} from "../protocol/server.ts";
import type { DataServer, GatewayNode, Home } from "../s2ds/data_server.ts";
import { createDataServer } from "../s2ds/types.ts";
import { every } from "./every.ts";
import type { AuditLog } from "./audit.ts";
import { boundBySystem } from "./settings.ts";
import { CallGuard } from "./call_limits.ts";
import { earlierDataServer, takeOver } from "./earlier_type.ts";
import { Counters } from "./counters.ts";
import { countedBy, type Front, guarded } from "./front.ts";
import { Gateway, type GatewayOptions } from "./gateway.ts";
import { Health } from "./health.ts";
import type { Http, HttpOptions } from "./http/serve.ts";
import { homeOf, makeHome, openAudit, removeHome } from "./home.ts";
import type { Measured } from "./metrics.ts";
import { Observer } from "./observer.ts";
import { Placement } from "./placement.ts";
import { publicServices } from "./public_services.ts";
import { fromText, toOpenText, toText } from "./record.ts";
import { Refusals } from "./refusals.ts";
import { service } from "./service.ts";
import { type CallerLimits, type Changeable, LIMITS, type S2csOptions } from "./settings.ts";
import { SqliteStore } from "./sqlite_store.ts";
import { EngineStore, type SessionStore } from "./store.ts";

/** A running control server. */
export interface S2cs {
  /** Where it listens, with the real port. */
  address: Endpoint;
  /**
   * From now on it goes by these settings: calls that come, sessions that are opened. Nothing that is
   * under way is dropped.
   */
  reload(changed: Changeable): void;
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
    onLog: inModule(log, "s2ds"),
    onFault: (session, reason) => gateway.fault(session, reason),
    onDown: (session, reason) => gateway.down(session, reason),
    onUp: (session) => gateway.up(session),
    onNote: (session, note) => gateway.note(session, note),
    onRestart: () => counters.restarts.add(""),
    onLost: (session, reason) => void gateway.lost(session, reason),
    onGone: (session, reason) => gateway.gone(session, reason),
  });
  assertAble(dataServer, options);
  const counters = new Counters();
  const refusals = new Refusals(inModule(log, "protocol"), (limit) => counters.refusals.add(limit));
  const limits = { ...LIMITS };
  const { limitsOf, sideSockets } = await boundBySystem(log, options.http !== undefined);
  Object.assign(limits, limitsOf(options.callerLimits));
  const guard = new CallGuard(limits, refusals);
  // The port is taken before the gateway's folder is touched: who holds it owns that. Calls that come
  // meanwhile wait until what an earlier control server left has been taken up.
  const handlers = Promise.withResolvers<ControlHandlers>();
  handlers.promise.catch(() => {});
  const health = new Health();
  const server = await serveControl(later(handlers.promise), {
    address: options.address,
    tls: options.tls,
    limits,
    onRefused: (why, address) => refusals.note(why, address),
    onFault: (id, method, error) =>
      log("error", `[${id}] ${method}: ${describe(error)}`, "protocol"),
    publicServices: publicServices(health, options.reflection, refusals),
  });
  const home = homeOf(options.stateDir, server.address);
  await using started = new AsyncDisposableStack();
  started.defer(() => server.closeNow());
  let gateway: Gateway;
  let front: Front;
  let http: Http | undefined;
  let tls = options.tls;
  const closing = new AbortController();
  try {
    makeHome(options.stateDir, home);
    const failed = (what: string) => () => counters.writeErrors.add(what);
    const audit = openAudit(options, server.address, failed("audit"));
    if (audit) started.use(audit);
    const earlier = earlierDataServer(home, options);
    const store = dataServer.abilities.remembers
      ? await inEngine(dataServer, home, log)
      : await inFile(started, home, earlier ?? dataServer, log, failed("store"));
    const settings = gatewayOptions(options, limits, {
      dataServer,
      store,
      audit,
      counters,
      refusals,
    });
    gateway = new Gateway(settings);
    const observer = new Observer(() => gateway.list());
    front = {
      auth: options.auth,
      audit,
      guard,
      log: inModule(log, "protocol"),
      ...countedBy(counters),
    };
    const measured: Measured = {
      counters,
      limits,
      type,
      sessions: (state, role) => gateway.count(state, role),
      connections: () => server.connections,
      pendingCalls: () => guard.pending,
      earlyHellos: () => gateway.earlyHellos,
      ports: settings.placement,
      nodes: dataServer.nodes && (() => {
        const sessions = gateway.countByNode();
        return settings.placement.loads().map((load) => ({
          ...load,
          sessions: sessions.get(load.name) ?? 0,
        }));
      }),
      traffic: () => dataServer.traffic(),
      certificateEndsMs: () => tls && expiryOf(tls.cert),
    };
    if (options.http) {
      http = await openHttp({
        ...{ address: options.http, sockets: sideSockets, tls: options.tls, folder: home.folder },
        ...{ control: server.address, notReady: () => health.notReady },
        ...{ type, measured, gateway, observer, front },
      });
      started.use(http);
    }
    const resumed = gateway.restore();
    reach("recovery.read");
    await takeOver(home, options, earlier);
    await dataServer.start(home, resumed);
    reach("recovery.done");
    const watching = { observer, closing: closing.signal };
    handlers.resolve(guarded(service(gateway, type, watching), front));
    health.notReady = undefined;
  } catch (error) {
    handlers.reject(error);
    throw error;
  }
  const held = started.move();
  const reconciling = every(options.reconcileMs, () => dataServer.reconcile(), log);
  let keepSessions = options.keepSessions;
  let drainTimeoutMs = options.drainTimeoutMs;
  let stopping: Promise<void> | undefined;
  return {
    address: server.address,
    reload(changed) {
      keepSessions = changed.keepSessions;
      drainTimeoutMs = changed.drainTimeoutMs;
      Object.assign(limits, limitsOf(changed.callerLimits));
      gateway.configure({ ...changed, ...earlyBounds(changed, limits) });
      if (changed.tls) {
        tls = changed.tls;
        server.renew(tls);
        http?.renew(tls);
      }
      front.audit?.reopen();
      if (front.auth !== changed.auth) front.auth?.[Symbol.dispose]();
      front.auth = changed.auth;
    },
    stop(force = false) {
      closing.abort();
      health.notReady = "shutting down";
      const released = gateway.close(force ? 0 : drainTimeoutMs, keepSessions);
      stopping ??= (async () => {
        const reconciled = reconciling.stop();
        await released;
        await reconciled;
        await closed(server);
        await http?.[Symbol.asyncDispose]();
        const { size } = gateway;
        if (size === 0) await dataServer.stop();
        else await dataServer.leave();
        front.auth?.[Symbol.dispose]();
        await held.disposeAsync();
        if (size === 0) return await removeHome(home, log);
        const next = `the next control server of ${server.address}`;
        log("info", `${size} sessions go on, for ${next}`);
      })();
      return stopping;
    },
  };
}

/** The sessions of a data server whose engine keeps them. */
async function inEngine(dataServer: DataServer, home: Home, log: Log): Promise<EngineStore> {
  const store = new EngineStore((session) =>
    dataServer.note?.(session.uid.hash, toOpenText(session))
  );
  rebuild(store, await dataServer.found(home), log);
  return store;
}

/** The sessions of all others, in a file; they are asked where that does not know. */
async function inFile(
  started: AsyncDisposableStack,
  home: Home,
  dataServer: DataServer,
  log: Log,
  onError: () => void,
): Promise<SqliteStore> {
  const path = `${home.folder}/sessions.db`;
  const store = started.use(SqliteStore.open(path, (sentence) => log("error", sentence), onError));
  if (store.isComplete) return store;
  rebuild(store, await dataServer.found(home), log);
  store.completed();
  return store;
}

/** Puts what data servers kept into a store whose own records were lost, or never were. */
function rebuild(store: SessionStore, records: string[], log: Log): void {
  for (const record of records) {
    try {
      const session = fromText(record);
      // Kept by the control server that was killed while it did this.
      if (store.get(session.uid)) continue;
      store.put(session);
      reach("recovery.rebuilding");
      log("warn", `${session.uid}: found where it runs, and taken from there`);
    } catch (error) {
      log("error", `a data server runs for a session that nobody can read: ${messageOf(error)}`);
    }
  }
}

async function openHttp(options: HttpOptions): Promise<Http> {
  // Its library takes 20 MB.
  const { serveHttp } = await import("./http/serve.ts");
  return await serveHttp(options);
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

/** How long hellos may be early, and how many. */
function earlyBounds({ auth, helloTimeoutMs }: Changeable, { earlyHellos }: CallerLimits) {
  return {
    earlyHellos,
    earlyTimeoutMs: auth ? Math.min(helloTimeoutMs, EARLY_MS) : helloTimeoutMs,
  };
}

function gatewayOptions(
  options: S2csOptions,
  limits: CallerLimits,
  { dataServer, store, audit, counters, refusals }: {
    dataServer: DataServer;
    store: SessionStore;
    audit?: AuditLog;
    counters: Counters;
    refusals: Refusals;
  },
): GatewayOptions {
  return {
    ...options,
    ...earlyBounds(options, limits),
    store,
    dataServer,
    placement: placement(options, dataServer),
    toRecord: dataServer.abilities.remembers ? toOpenText : toText,
    onTooManyHellos: (uid) => refusals.note("early-hellos", `a hello for ${uid}`),
    onRecovered: (outcome) => counters.recovered.add(outcome),
    onSetup: (step, ms) => counters.setup.observe(step, ms / 1000),
    onEnded: (outcome) => counters.ended.add(outcome),
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

/** The data server's nodes; where it has none of its own, this machine. */
function placement(options: S2csOptions, dataServer: DataServer): Placement {
  const here = [thisMachine(options)];
  return new Placement({
    range: options.portRange,
    nodes: () => dataServer.nodes?.() ?? here,
    reserves: options.ratePolicy !== "ignore",
  });
}

/** What listeners of each role are told as, and bound to. */
function thisMachine({ address, wanIp, lanIp = address.host }: S2csOptions): GatewayNode {
  const any = isIPv6(address.host) ? "::" : "0.0.0.0";
  return {
    name: "",
    // A producer's listeners are for the other gateway, which comes from the WAN; without --wan-ip
    // nobody knows which address that is. A consumer's are for the LAN that s2cs itself listens on, or
    // for that of the engine's host.
    PROD: { told: wanIp ?? lanIp, bound: wanIp ?? any },
    CONS: { told: lanIp, bound: lanIp },
    // The capacity is that of the gateway.
    capacity: 0,
  };
}

function describe(error: unknown): string {
  return error instanceof Error ? error.stack ?? messageOf(error) : messageOf(error);
}
