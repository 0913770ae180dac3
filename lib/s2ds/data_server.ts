/**
 * What every data server type offers to the control server. Data servers know nothing of gRPC or
 * of a session's life: a session is a key here, with listeners and targets.
 * @module
 */
import type { Log } from "../log.ts";
import type { Networks } from "../protocol/cidr.ts";
import type { Endpoint } from "../protocol/endpoint.ts";
import { ScistreamError } from "../protocol/errors.ts";
import type { Uid } from "../protocol/uid.ts";
import type { Rate, Role } from "../protocol/values.ts";
import type { Traffic } from "./totals.ts";

/** One channel's numbers since its session was opened, or since its data server last died. */
export interface ChannelStatus {
  /** False where this data server type does not count: the numbers then say nothing. */
  counted: boolean;
  connectionsOpen: number;
  connectionsTotal: number;
  /** Let in, but never reached the target. */
  connectionsFailed: number;
  /** Not let in: from an address that is not allowed, or not proven to be the other gateway. */
  connectionsRefused: number;
  /** Addresses that are connected now; a few of them where there are many. */
  peers: string[];
  /** Bytes from whoever connected to the listener to the target. */
  bytesToTarget: number;
  bytesFromTarget: number;
  /** Bytes per second over the last second. */
  speedToTarget: number;
  speedFromTarget: number;
  /** UDP datagrams that came and were not passed on. */
  datagramsDropped: number;
  /** The last thing that went wrong, a sentence; empty if nothing has. */
  lastError: string;
  /** When that was, in milliseconds since 1970 UTC; 0 if it was not. */
  lastErrorMs: number;
}

/** Numbers of a channel that nothing has happened on. */
export function idleChannel(): ChannelStatus {
  return {
    counted: true,
    connectionsOpen: 0,
    connectionsTotal: 0,
    connectionsFailed: 0,
    connectionsRefused: 0,
    peers: [],
    bytesToTarget: 0,
    bytesFromTarget: 0,
    speedToTarget: 0,
    speedFromTarget: 0,
    datagramsDropped: 0,
    lastError: "",
    lastErrorMs: 0,
  };
}

/** Ports that somebody else listens on; nothing was opened. The caller picks others. */
export class PortsInUse extends Error {
  override readonly name = "PortsInUse";
  constructor(readonly ports: readonly number[]) {
    super(`in use by another program: ${ports.join(", ")}`);
  }
}

/** A node cannot take a session; nothing was opened. The caller picks another node, if there is one. */
export class NodeFault extends ScistreamError {
  /** @param sentence names the node, and says what is wrong with it */
  constructor(readonly node: string, sentence: string, options?: { cause?: unknown }) {
    super("CONN_ERROR", sentence, options);
  }
}

/** An address of a node's listeners: as peers are told it, and as it is bound. */
export interface ListenerHost {
  /** To peers. */
  told: string;
  /** On the node. */
  bound: string;
}

/** A machine that listeners can be on. */
export interface GatewayNode extends Record<Role, ListenerHost> {
  /** Its engine's name for it, which stays; empty for the machine of the control server itself. */
  readonly name: string;
  /** Kilobytes per second that the rates of its sessions together may reach; 0 is no bound. */
  readonly capacity: Rate;
}

/** What a data server is to hold for a session. */
export interface Opening {
  /** Its hash is the session's key, which is safe in file names; the uid itself is a secret that both gateways share. */
  uid: Uid;
  role: Role;
  /** The node that the listeners are on: a {@linkcode GatewayNode}'s name. */
  node: string;
  /** One a channel. */
  listeners: readonly Endpoint[];
  /** Where connections may come from: addresses that all of these have. */
  allow: readonly Networks[];
  /** Kilobytes per second that it is held to, each direction; 0 is no limit. */
  limit: Rate;
  /**
   * Kept beside the session, for whoever has lost what else was known of it; a secret is in it, but for
   * a data server that remembers.
   */
  record: string;
}

/** A session that an earlier control server opened. */
export interface Resumed {
  opening: Opening;
  /** One a channel; none if it had none yet. */
  targets: readonly Endpoint[];
  /** It was ending: its established connections may go on for so long, and it takes no new ones. */
  drainMs?: number;
}

/** What a data server type can do beside forwarding. */
export interface Abilities {
  /** Holds a session to its rate. */
  limit: boolean;
  /** Lets in connections from some networks only. */
  allow: boolean;
  /** Encrypts between gateways, with a secret that comes from the uid. */
  protects: boolean;
  /**
   * Its engine is the record of all sessions, for any control server that reaches it: nothing is kept
   * beside it. What it keeps can be read there, so no uid is in it.
   */
  remembers?: boolean;
}

/**
 * A data server type, as `s2cs --type` names it: forwards the channels of any number of sessions.
 * `session` is the hash of a uid.
 */
export interface DataServer {
  readonly type: string;
  readonly abilities: Abilities;
  /** The nodes that take sessions now; of one that has none of its own, listeners are on this machine. */
  nodes?(): readonly GatewayNode[];
  /**
   * Makes the data server ready for sessions. Whatever an earlier control server left is ended, but
   * for sessions that are resumed: they are held afterwards as they were, or told as a fault.
   */
  start(home: Home, resumed: readonly Resumed[]): Promise<void>;
  /** The records of what an earlier control server left here and that still runs; asked before `start`. */
  found(home: Home): Promise<string[]>;
  /**
   * Makes what runs what should: ends what no session has, and tries again what could not be brought
   * back.
   */
  reconcile(): Promise<void>;
  /**
   * Holds one listener per channel, all or none. Until the first `target`, whoever connects waits
   * or is turned away.
   * @throws {PortsInUse}
   * @throws {NodeFault}
   */
  open(opening: Opening): Promise<void>;
  /** Sets where each channel's connections go from now on; established ones stay as they are. */
  target(session: string, targets: readonly Endpoint[], record: string): Promise<void>;
  /**
   * Holds the session's listeners on another node from now on, because its own is lost, and forwards to
   * these targets; to none if it had none yet. Where it fails, the session is as it was.
   * @throws {PortsInUse}
   * @throws {NodeFault}
   */
  move?(opening: Opening, targets: readonly Endpoint[]): Promise<void>;
  /** Keeps another record of the session, soon: for one that remembers. */
  note?(session: string, record: string): void;
  /** Holds the session to another rate from now on; 0 is no limit. */
  limit(session: string, limit: Rate): Promise<void>;
  /**
   * Stops listening, lets established connections finish for at most `drainMs`, cuts the rest and
   * frees everything. Of a session that is not there, does nothing. A second call with a smaller
   * `drainMs` hurries the first.
   */
  close(session: string, drainMs: number): Promise<void>;
  /** One entry per channel, in order; empty for a session that is not there. */
  status(session: string): Promise<ChannelStatus[]>;
  /**
   * What all sessions have carried, those that have ended too; the counts never fall while this control
   * server runs. As last known where a process does not answer. Undefined for a type that does not count.
   */
  traffic(): Promise<Traffic | undefined>;
  /** Ends it, with whatever it still forwards. */
  stop(): Promise<void>;
  /** Lets go of it: what it holds goes on by itself, until it is resumed. */
  leave(): Promise<void>;
}

/** Whose data server it is. */
export interface Home {
  /** Of this gateway, of this user alone; for what the data server keeps in files. */
  folder: string;
  /** Where its control server listens: tells its containers from those of others. */
  gateway: Endpoint;
}

/** What a data server tells its owner unasked. */
export interface DataServerEvents {
  /** This session's channels are down and could not be brought back. */
  onFault: (session: string, reason: string) => void;
  /** This session's channels are down; the data server goes on trying to bring them back. */
  onDown: (session: string, reason: string) => void;
  /** They are back. */
  onUp: (session: string) => void;
  /** Something about this session that its gateway's log should tell. */
  onNote: (session: string, note: string) => void;
  onLog: Log;
  /** A process of it ended that should not have; another is started. */
  onRestart?: () => void;
  /** The node of this session is lost; it can be moved. Told again as long as it is so. */
  onLost?: (session: string, reason: string) => void;
  /** Another control server, or somebody at the engine, has ended this session. */
  onGone?: (session: string, reason: string) => void;
}
