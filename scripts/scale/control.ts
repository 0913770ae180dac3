/**
 * A control server without its socket: the gateway, its sessions' places and its placed data server, put
 * together as lib/s2cs/server.ts does.
 * @module
 */
import { Endpoint } from "../../lib/protocol/endpoint.ts";
import { PortRange } from "../../lib/protocol/values.ts";
import { Gateway } from "../../lib/s2cs/gateway.ts";
import { fromText, toOpenText } from "../../lib/s2cs/record.ts";
import { EngineStore } from "../../lib/s2cs/store.ts";
import { haproxy } from "../../lib/s2ds/haproxy.ts";
import type { Orchestrator, OrchestratorEvents } from "../../lib/s2ds/placed/orchestrator.ts";
import { PlacedSessions } from "../../lib/s2ds/placed/placed.ts";
import { proxyProgram } from "../../lib/s2ds/placed/proxy_program.ts";
import type { Log } from "../../lib/log.ts";
import { processorTime } from "./processor.ts";
import { Broken, Watched } from "./watched.ts";
import { PORTS } from "./world.ts";

/** No session is to expire while others are looked at. */
const DAY_MS = 86_400_000;
const HOME = { folder: "/nowhere", gateway: new Endpoint("10.0.0.1", 5000) };
/** Bounds that are counted, and never reached. */
const MANY = 1e6;
const MUCH = 1e12;
/** What a session's program may use. */
export const LIMITS = { threads: 1, connections: 1000, memory: 128 };

/** Processor time of each part of taking over; milliseconds. */
export interface TakeOver {
  found: number;
  restore: number;
  start: number;
}

/** A control server that was started. */
export class Control {
  readonly placement: Watched;
  readonly gateway: Gateway;
  readonly took: TakeOver = { found: 0, restore: 0, start: 0 };
  readonly #dataServer: PlacedSessions;
  readonly #store: EngineStore;
  /** Sessions that are being moved. */
  #moving = 0;
  /** Resolved whenever one has been, or could not be. */
  #moved = Promise.withResolvers<void>();

  private constructor(make: (events: OrchestratorEvents) => Orchestrator, log: Log) {
    const dataServer = new PlacedSessions(
      "Haproxy",
      proxyProgram(haproxy),
      make,
      { limits: LIMITS, drainTimeoutMs: 0 },
      {
        onLog: log,
        onFault: (session, reason) => this.gateway.fault(session, reason),
        onDown: (session, reason) => this.gateway.down(session, reason),
        onUp: (session) => this.gateway.up(session),
        onNote: (session, note) => this.gateway.note(session, note),
        onLost: (session, reason) => {
          this.#moving++;
          void this.gateway.lost(session, reason).then(() => {
            this.#moving--;
            this.#moved.resolve();
            this.#moved = Promise.withResolvers();
          });
        },
        onGone: (session, reason) => this.gateway.gone(session, reason),
      },
    );
    this.#dataServer = dataServer;
    this.#store = new EngineStore((session) =>
      dataServer.note(session.uid.hash, toOpenText(session))
    );
    this.placement = new Watched({
      range: PortRange.parse(PORTS),
      nodes: () => dataServer.nodes(),
      reserves: true,
    });
    this.gateway = new Gateway({
      store: this.#store,
      placement: this.placement,
      dataServer,
      toRecord: toOpenText,
      helloTimeoutMs: DAY_MS,
      earlyTimeoutMs: DAY_MS,
      earlyHellos: 100,
      drainTimeoutMs: 0,
      maxSessions: MANY,
      maxConn: 100,
      ratePolicy: "reserve",
      capacity: MUCH,
      quotas: { sessions: MANY, channels: MANY, rate: 0 },
      warnings: () => [],
      log,
    });
  }

  /** Starts one, which takes up whatever an earlier one left. */
  static async start(
    make: (events: OrchestratorEvents) => Orchestrator,
    log: Log,
  ): Promise<Control> {
    const control = new Control(make, log);
    await control.#takeOver();
    return control;
  }

  async #takeOver(): Promise<void> {
    let busy = processorTime();
    const since = () => {
      const ms = busy();
      busy = processorTime();
      return ms;
    };
    for (const record of await this.#dataServer.found(HOME)) this.#store.put(fromText(record));
    this.took.found = since();
    const resumed = this.gateway.restore();
    this.took.restore = since();
    await this.#dataServer.start(HOME, resumed);
    this.took.start = since();
  }

  /** Looks after everything once, as it does every half a minute. */
  async reconcile(): Promise<void> {
    await this.#dataServer.reconcile();
  }

  /** Resolves once no session is on this node, which is lost. */
  async emptied(node: string): Promise<void> {
    for (let sessions; (sessions = this.placement.sessionsOn(node)) > 0;) {
      await this.#moved.promise;
      if (this.#moving === 0 && sessions === this.placement.sessionsOn(node)) {
        throw new Broken(`${sessions} sessions stay on ${node}, which is lost`);
      }
    }
  }

  /** Leaves its sessions to the next one. */
  async leave(): Promise<void> {
    await this.gateway.close(0, true);
    await this.#dataServer.leave();
  }
}
