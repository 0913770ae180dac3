/**
 * What is run for a session on a node where no control server is: its files, its command, and what
 * its log says.
 * @module
 */
import type { Networks } from "../../protocol/cidr.ts";
import type { Uid } from "../../protocol/uid.ts";
import type { Rate, Role } from "../../protocol/values.ts";
import type { Abilities, ChannelStatus } from "../data_server.ts";
import type { Channel, Limits, Proxy } from "../proxy/proxy.ts";

/** A file of the container. */
export interface ProgramFile {
  /** Absolute. */
  path: string;
  text: string;
}

/** What a program's files are made from. */
export interface ProgramPlan {
  role: Role;
  channels: readonly Channel[];
  allow: readonly Networks[];
  /** Kilobytes per second; 0 is no limit. */
  limit: Rate;
  limits: Limits;
}

/** A program in a container of its own. */
export interface Program {
  readonly name: string;
  /** Taken if none is named. */
  readonly image: string;
  readonly abilities: Omit<Abilities, "remembers">;
  /** Processes and threads that it needs at most. */
  readonly mostTasks: number;
  /** Whether another can listen on the same ports before this one stops. */
  readonly sharesPorts: boolean;
  /** Of the image, who is not root. */
  readonly user: number;
  /** Environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Makes it finish its established connections, and end. */
  readonly stopSignal: Deno.Signal;
  /**
   * The file that changes with the targets.
   * @throws {ScistreamError} BAD_FORMAT for a session that this program cannot serve
   */
  config(plan: ProgramPlan): ProgramFile;
  /** Files that do not change, with what follows from the uid. */
  secrets(uid: Uid, plan: ProgramPlan): Promise<ProgramFile[]>;
  /** Program and arguments that run it in the foreground. */
  command(config: ProgramFile): string[];
  /** Whether it listens on its ports, by what it has logged since its start. */
  listens(log: readonly string[]): boolean;
  /** Whether it takes no more connections, by what it has logged since its start. */
  leaves(log: readonly string[]): boolean;
  /** Numbers of the channels by its log, where it tells them. */
  count?(log: readonly string[], channels: number): ChannelStatus[] | undefined;
  /** What its log says went wrong on a channel, last; empty if nothing. */
  complaint(log: readonly string[], channel: Channel, index: number): string;
}

/** Where a program writes: a folder of the container, in memory. */
export const RUN = "/run/scistream";

export type { Channel, Limits, Proxy };
