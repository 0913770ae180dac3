/**
 * What is particular to a proxy (HAProxy, nginx, stunnel), and what to where it runs: the two
 * halves that make a data server type together.
 * @module
 */
import type { Log } from "../../log.ts";
import type { Endpoint } from "../../protocol/endpoint.ts";
import type { Uid } from "../../protocol/uid.ts";
import type { Role } from "../../protocol/values.ts";
import type { ChannelStatus } from "../data_server.ts";

/** What a channel's status says of whoever came before the first update. */
export const NO_TARGET_YET = "turned away: there is no target yet";

/** A listener and where its connections go; without a target they are turned away. */
export interface Channel {
  listener: Endpoint;
  target?: Endpoint;
}

/** A session's folders, as its proxy sees them. */
export interface Paths {
  /** Configuration; the proxy does not write there. */
  config: string;
  /** What the proxy writes: its pid file, its socket. */
  run: string;
}

/** What a configuration is rendered from. */
export interface Plan {
  role: Role;
  channels: readonly Channel[];
  paths: Paths;
  limits: Limits;
  /** Whether another process of this session may listen on the same ports, to take its place. */
  sharesPorts?: boolean;
}

/** What one session's proxy may use. */
export interface Limits {
  /** Threads or worker processes that forward. */
  threads: number;
  /** Connections at once. */
  connections: number;
  /** Megabytes (2^20 bytes). */
  memory: number;
}

/** A file of a session's folder. */
export interface ConfigFile {
  name: string;
  text: string;
}

/** A proxy program. */
export interface Proxy {
  readonly name: string;
  /** The Debian package that it is in. */
  readonly package: string;
  /** Container image that is taken if none is named (contract section 5). */
  readonly image: string;
  /** Where the image looks for its configuration (contract section 5). */
  readonly configFolder: string;
  /** Whether it forwards UDP on the same ports. */
  readonly udp: boolean;
  /** Whether it encrypts with a secret that comes from the uid. */
  readonly protects?: boolean;
  /** Whether another can listen on the same ports beside it, if both are told to share them. */
  readonly sharesPorts: boolean;
  /** Processes and threads that it needs at most. */
  readonly mostTasks: number;
  /**
   * The configuration that changes with the targets.
   * @throws {ScistreamError} BAD_FORMAT for a session that this proxy cannot serve
   */
  config(plan: Plan): ConfigFile;
  /** Files that do not change. */
  readonly files?: (plan: Plan, uid: Uid) => Promise<ConfigFile[]>;
  /** Program and arguments that run this configuration file in the foreground. */
  command(file: string): string[];
  /** Program and arguments that check the file; without it the proxy checks when it starts. */
  readonly check?: (file: string) => string[];
  /** What makes the proxy finish its established connections, or end, as engines send it. */
  readonly stopSignal: Deno.Signal;
  /** Makes the running proxy take the configuration that has been put in place. */
  reload(running: RunningProxy, plan: Plan): Promise<void>;
  /** No new connections; when the established ones have ended, so does the proxy. */
  drain(running: RunningProxy, plan: Plan): Promise<void>;
  /** Whether this line of its log says that it listens on all its ports. */
  listens(line: string): boolean;
  /** Whether it says that it takes no more connections, since it was asked to wind up. */
  leaves(line: string): boolean;
  /** Numbers of the channels, where the proxy counts and can be asked. `run` is the folder as this process sees it. */
  readonly count?: (run: string, channels: number) => Promise<ChannelStatus[]>;
  /** What these lines of its log say went wrong on a channel, last; empty if nothing. */
  complaint(log: readonly string[], channel: Channel, index: number): string;
}

/** A session's proxy while it runs, wherever that is. */
export interface RunningProxy {
  /** The folder for what the proxy writes, as this process sees it; undefined where it does not. */
  readonly run?: string;
  /** Writes the configuration anew. */
  replace(file: ConfigFile): Promise<void>;
  signal(signal: Deno.Signal): Promise<void>;
  /**
   * Signals, and resolves once `see` is done with the lines that the proxy has logged since. With
   * `againMs`, signals again after each such time: for a proxy that may not have heard.
   */
  signalUntil(
    signal: Deno.Signal,
    see: (lines: readonly string[]) => Seen,
    againMs?: number,
  ): Promise<void>;
}

/** What the log shows: that it is done, that the signal should be sent again, or nothing yet. */
export type Seen = "done" | "again" | "wait";

/** One session's proxy: what to run. */
export interface Job {
  /** The uid's hash. */
  readonly session: string;
  /** The session's public id, 8 hex digits: for names and messages. */
  readonly id: string;
  readonly proxy: Proxy;
  /** The session's folder as this process sees it. */
  readonly folder: string;
  readonly limits: Limits;
}

/** Where proxies run: as processes or in containers. Keeps those that it runs running. */
export interface Runner {
  /** Whether a proxy's ports and sockets are this host's: else only its log and signals reach it. */
  readonly isHere: boolean;
  /**
   * Makes ready, and ends what an earlier control server of this gateway left.
   * @param sessions the folder that sessions' folders are in
   * @param kept whose proxies are not ended; each is adopted or run afterwards
   * @throws {ScistreamError} CONN_ERROR, with what to do
   */
  start(
    proxy: Proxy,
    gateway: Endpoint,
    sessions: string,
    kept: readonly Job[],
  ): Promise<void>;
  /** A session's folders, as a proxy here sees them. */
  paths(job: Job): Paths;
  /**
   * Runs a checking command to its end.
   * @throws {ScistreamError} CONN_ERROR, with the command's complaint
   */
  check(job: Job, command: string[]): Promise<void>;
  /**
   * Starts the proxy, waits until it listens, and restarts it whenever it ends.
   * @throws {ScistreamError} CONN_ERROR, with the proxy's complaint; nothing runs then
   */
  run(job: Job, command: string[]): Promise<void>;
  /**
   * Takes over the proxy that an earlier control server started for this session, and restarts it
   * whenever it ends. Answers whether there is one that runs; if not, nothing of it is left.
   */
  adopt(job: Job, command: string[]): Promise<boolean>;
  /**
   * Ends what runs for sessions that are not there.
   * @param has whether a session is there, or is being opened
   */
  reconcile(has: (session: string) => boolean): Promise<void>;
  /** Ends what runs in the folder of a session that is not there. */
  endIn(folder: string): Promise<void>;
  /** Has the proxy see its session's files as they are now, for when it reads them again. */
  deliver(job: Job): Promise<void>;
  signal(job: Job, signal: Deno.Signal): Promise<void>;
  /** The proxy's last lines. */
  log(job: Job): Promise<string[]>;
  /** Calls back for each line from now on, until aborted; resolves once none can be missed. */
  follow(job: Job, onLine: (line: string) => void, signal: AbortSignal): Promise<void>;
  /**
   * Restarts it no more; `drain` asks it to wind up, and after `drainMs` it is killed. Aborting
   * `hurry` kills it at once.
   */
  end(job: Job, drain: () => Promise<void>, drainMs: number, hurry: AbortSignal): Promise<void>;
  /** Ends what is left. */
  stop(): Promise<void>;
  /** Lets go of all that run, and restarts none of them any more. */
  leave(): Promise<void>;
}

/** What a runner tells. */
export interface RunnerEvents {
  /** The proxy is not running; it is being started again. */
  onDown: (job: Job, reason: string) => void;
  onUp: (job: Job) => void;
  onLog: Log;
}
