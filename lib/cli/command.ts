/**
 * What a command is: a record of flags, arguments and a function.
 * @module
 */
import type { Argument, CommandLine, Flags } from "./flags.ts";
import type { HelpTopic } from "./help.ts";
import type { Power } from "./powers.ts";

/** Exit codes. A supervisor restarts on 1 and 3; 2 will not get better by itself. */
export const Exit = {
  OK: 0,
  /** Refused by a server, or failed. */
  FAILED: 1,
  /** The command line, the environment, a file: fix it first. */
  USAGE: 2,
  /** A control server could not be reached. */
  UNREACHABLE: 3,
  /** Ctrl-C or SIGTERM. */
  INTERRUPTED: 130,
} as const;

/** What a running command may touch of the outside. */
export interface Io {
  /** A line of results. */
  out(line: string): void;
  /** A line of diagnostics. */
  err(line: string): void;
  /** Text on stderr as it is, for a line that is drawn again and again. */
  draw(text: string): void;
  /** Text on stdout as it is. Throws Deno.errors.BrokenPipe when nobody reads it any more. */
  paint(text: string): void;
  /** The terminal that stdout is; undefined where it is none. */
  terminal(): { columns: number; rows: number } | undefined;
  /** A variable of the environment. */
  env(name: string): string | undefined;
  /** The next line of stdin, or undefined if there is none. */
  readLine(): Promise<string | undefined>;
  /** Likewise, but what is typed is not shown; that begins before the prompt asks for it. */
  readHidden(prompt: string): Promise<string | undefined>;
  /** Whether somebody can be asked: a terminal is at stdin and at stderr. */
  interactive: boolean;
  /** Whether somebody looks at stderr. */
  watched: boolean;
  /** From now on SIGHUP does this, and does not end the process. */
  onHangUp(act: () => void): void;
  /** Aborted by the first Ctrl-C or SIGTERM: wind up. */
  interrupted: AbortSignal;
  /** Aborted by the second: at once. */
  forced: AbortSignal;
  /**
   * From now on signals are not ours: an application that runs in our place gets them. Throws if one
   * has come before.
   */
  release(): void;
}

/** A command's record. */
export interface Command<F extends Flags = Flags> extends Omit<HelpTopic, "commands" | "path"> {
  /** Its own word: `prod-req`. */
  name: string;
  flags: F;
  args: readonly Argument[];
  /** What it may do; the rest is given up before it runs. */
  needs: readonly Power[];
  /** Does it; answers the exit code. */
  run(line: CommandLine<F>, io: Io): Promise<number>;
}

/** Helps the compiler to see the flags' types in `run`. */
export function command<const F extends Flags>(record: Command<F>): Command {
  return record as unknown as Command;
}

/** One word of the command line that leads to several commands. */
export interface Group {
  name: string;
  summary: string;
  commands: readonly Command[];
  /** It is installed as a program of its own too: `s2uc` is `scistream s2uc`. */
  program?: true;
  /** What it keeps in the state folder. */
  files?: readonly Argument[];
  /** Run when no command is named, as `s2cs` alone means `s2cs start`. */
  standard?: string;
  /** The group whose configuration file it reads, as that group's standard command does; its own if not given. */
  configOf?: "s2cs";
}
