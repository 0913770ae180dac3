/**
 * Log lines. The library never writes to the console itself: whoever starts it gives a sink.
 * @module
 */

/** From the least to the most important. */
export const LEVELS = ["debug", "info", "warn", "error"] as const;
/** How important a line is. */
export type Level = typeof LEVELS[number];

/** Where lines come from: the rooms of a control server. */
export const MODULES = ["s2cs", "protocol", "auth", "s2ds", "docker"] as const;
/** One of them. */
export type Module = typeof MODULES[number];

/** Takes a message, and where it comes from (`s2cs` if not given); the sentence holds no secret. */
export type Log = (level: Level, message: string, module?: Module) => void;

/** The log of a part: its lines come from this module, unless they say another. */
export function inModule(log: Log, module: Module): Log {
  return (level, message, from) => log(level, message, from ?? module);
}

/** From which level on lines are kept. */
export interface Levels {
  /** Of modules that have none of their own. */
  least: Level;
  /** By module. */
  modules: Partial<Record<Module, Level>>;
}

/** How a line looks: `2026-11-20T15:54:00.000Z WARN  message`, or a JSON object. */
export type LogFormat = "text" | "json";

/** A line in JSON. */
export interface LogEntry {
  /** ISO 8601, UTC. */
  time: string;
  /** How important it is. */
  level: Level;
  /** Where it comes from. */
  module: Module;
  /** A sentence. */
  message: string;
  /** The public id of the session that the message names, if it does. */
  session?: string;
}

/** A session as messages name it: a uid prints itself so. */
const SESSION = /\bsession ([0-9a-f]{8})\b/;

/**
 * A log that writes lines to `write`.
 * @param levels may change
 */
export function lineLog(
  levels: Levels,
  format: LogFormat,
  write: (line: string) => void,
): Log {
  return (level, message, module = "s2cs") => {
    const least = levels.modules[module] ?? levels.least;
    if (LEVELS.indexOf(level) < LEVELS.indexOf(least)) return;
    const time = new Date().toISOString();
    if (format === "json") {
      const session = SESSION.exec(message)?.[1];
      const entry: LogEntry = { time, level, module, message, ...session && { session } };
      return write(JSON.stringify(entry));
    }
    // One line is one event, whatever a message quotes; and a terminal may show the file.
    const text = message.replaceAll(/[\r\n]+/g, " ").replaceAll(/\p{Cc}/gu, "?");
    write(`${time} ${level.toUpperCase().padEnd(5)} ${text}`);
  };
}

/** A log that keeps nothing. */
export const noLog: Log = (): void => {};
