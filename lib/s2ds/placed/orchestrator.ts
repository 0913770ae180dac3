/**
 * What runs a session's program on a node that this control server chose: the half of a placed data
 * server type that is particular to an engine (Docker Swarm, Janus).
 * @module
 */
import type { Log } from "../../log.ts";
import type { Endpoint } from "../../protocol/endpoint.ts";
import type { GatewayNode } from "../data_server.ts";
import type { Limits } from "../proxy/proxy.ts";
import type { Program, ProgramFile } from "./program.ts";

/** One session's program: what to run, and where. */
export interface Placed {
  /** The uid's hash. */
  readonly session: string;
  /** The session's public id, 8 hex digits: for names and messages. */
  readonly id: string;
  /** A node of {@linkcode Orchestrator.nodes}. */
  readonly node: string;
  /** As they are bound. */
  readonly listeners: readonly Endpoint[];
  /** Changes with the targets. */
  readonly config: ProgramFile;
  /** Do not change as long as the session lives; undefined where the engine has them already. */
  readonly secrets?: readonly ProgramFile[];
  /** To be kept where {@linkcode Orchestrator.found} finds it. */
  readonly record: string;
}

/** What an orchestrator is started with. */
export interface OrchestratorStart {
  program: Program;
  /** `ip:port` of the control server. */
  gateway: Endpoint;
  /** Of this gateway, of this user alone; for what the orchestrator keeps in files. */
  folder: string;
  limits: Limits;
  /** How long a program's established connections may go on once it is to end. */
  drainMs: number;
  /** Hashes of the sessions that are taken up again. */
  kept: readonly string[];
}

/** Runs programs on nodes, and keeps them running. `session` is the hash of a uid. */
export interface Orchestrator {
  /** Whether what it keeps is there for any control server that reaches the engine. */
  readonly remembers: boolean;
  /**
   * Makes ready; whatever is lost or comes back is told from here on.
   * @throws {ScistreamError} CONN_ERROR, with what to do
   */
  start(told: OrchestratorStart): Promise<void>;
  /** The nodes that take sessions now, as last known. */
  nodes(): readonly GatewayNode[];
  /** The records of what runs for this gateway; asked before `start`, with its folder. */
  found(folder: string): Promise<string[]>;
  /**
   * Runs it until it listens, and from then on keeps it running. One that fails leaves nothing.
   * @throws {PortsInUse}
   * @throws {NodeFault} where another node may do
   * @throws {ScistreamError} CONN_ERROR, with the engine's or the program's complaint
   */
  run(placed: Placed): Promise<void>;
  /**
   * Takes over what an earlier control server ran for this session. Answers whether there is something
   * to take over; if not, nothing of it is left.
   */
  adopt(placed: Placed): Promise<boolean>;
  /**
   * Has what runs replaced: by another configuration, or on another node. Resolves when the new one
   * listens; where it fails, it is as before.
   * @throws {PortsInUse}
   * @throws {NodeFault}
   * @throws {ScistreamError} CONN_ERROR
   */
  roll(placed: Placed): Promise<void>;
  /** Keeps another record of the session. */
  note(session: string, record: string): Promise<void>;
  /**
   * Ends what runs; established connections may go on for as long as it was started with, where an engine
   * can do so. Of a session that is not there, does nothing. Resolves when nothing of it is left.
   */
  end(session: string): Promise<void>;
  /** What is wrong with it now, a sentence; empty if nothing is. Never waits for long. */
  trouble(session: string): Promise<string>;
  /** Its last lines. */
  log(session: string): Promise<string[]>;
  /** Makes what runs what should, and looks for what came and went unseen. */
  reconcile(has: (session: string) => boolean): Promise<void>;
  /** Ends what is left. */
  stop(): Promise<void>;
  /** Lets go of all that run. */
  leave(): Promise<void>;
}

/** What an orchestrator tells. */
export interface OrchestratorEvents {
  /** It is not running; the engine, or the orchestrator, goes on trying. */
  onDown: (session: string, reason: string) => void;
  onUp: (session: string) => void;
  /** Its node is lost. */
  onLost: (session: string, reason: string) => void;
  /** Somebody else has ended it. */
  onGone: (session: string, reason: string) => void;
  onLog: Log;
}
