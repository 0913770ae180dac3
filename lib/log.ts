/**
 * Log lines. The library never writes to the console itself: whoever starts it gives a sink.
 * @module
 */

/** From the least to the most important. */
export const LEVELS = ["debug", "info", "warn", "error"] as const;
/** How important a line is. */
export type Level = typeof LEVELS[number];

/** Takes a message; the sentence holds no secret. */
export type Log = (level: Level, message: string) => void;

/**
 * A log that writes lines `2026-11-20T15:54:00.000Z WARN  message` of at least `least` to `write`.
 */
export function textLog(least: Level, write: (line: string) => void): Log {
  return (level, message) => {
    if (LEVELS.indexOf(level) < LEVELS.indexOf(least)) return;
    // One line is one event, whatever a message quotes.
    const text = message.replaceAll(/[\r\n]+/g, " ");
    write(`${new Date().toISOString()} ${level.toUpperCase().padEnd(5)} ${text}`);
  };
}

/** A log that keeps nothing. */
export const noLog: Log = (): void => {};
