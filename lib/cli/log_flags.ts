/**
 * Flags of a server's log, and the log that they ask for.
 * @module
 */
import {
  type Level,
  LEVELS,
  type Levels,
  lineLog,
  type Log,
  type LogFormat,
  type Module,
  MODULES,
} from "../log.ts";
import { distrustFile, whoAmI } from "../private_folder.ts";
import { messageOf, quote } from "../protocol/errors.ts";
import { RotatedFile } from "../rotated_file.ts";
import { bool, integer, type Options, parsed, text, UsageError } from "./flags.ts";

/** All of them. */
export const logFlags = {
  verbose: bool("log every call: debug for all modules", { short: "v" }),
  logLevel: parsed(
    `from which level on lines are logged (${LEVELS.join(", ")}), also for a module alone (${
      MODULES.join(", ")
    }), as in info,s2ds=debug`,
    parseLevels,
    { value: "LEVELS", default: "info" },
  ),
  logFormat: parsed("how lines look: text, or a JSON object each", parseFormat, {
    value: "text|json",
    default: "text",
  }),
  logFile: text("file for the log; stderr if not given", { value: "FILE" }),
  logFileSize: integer("megabytes of the log file; a full one is put aside", {
    value: "MB",
    default: "100",
    least: 1,
    most: 100_000,
  }),
  logFiles: integer("full log files that are kept, FILE.1 being the latest", {
    default: "5",
    least: 0,
    most: 1000,
  }),
};

/** A log that is open. */
export interface OpenLog extends Disposable {
  log: Log;
  /** From now on lines are kept from these levels on. */
  configure(levels: Levels): void;
  /** The file may have been moved away: the next line goes to a new one. */
  reopen(): void;
}

/** From which levels on lines are kept. */
export function levelsOf({ verbose, logLevel }: { verbose: boolean; logLevel: Levels }): Levels {
  return verbose ? { least: "debug", modules: {} } : logLevel;
}

/**
 * Opens the log.
 * @param err takes lines where there is no file, or it cannot be written
 * @throws {UsageError} when the file cannot be written, or is in somebody else's hands
 */
export function openLog(options: Options<typeof logFlags>, err: (line: string) => void): OpenLog {
  const { logFile, logFormat } = options;
  const levels = { ...levelsOf(options) };
  const onErr = lineLog(levels, logFormat, err);
  const file = logFile === undefined ? undefined : openFile(logFile, {
    fileBytes: options.logFileSize * 1_000_000,
    olderFiles: options.logFiles,
    warn: (sentence) => onErr("error", `${sentence}; the log goes to stderr until it can be`),
  });
  return {
    log: lineLog(levels, logFormat, (line) => file?.write(line) || err(line)),
    configure: (changed) => Object.assign(levels, changed),
    reopen: () => file?.reopen(),
    [Symbol.dispose]: () => file?.[Symbol.dispose](),
  };
}

function openFile(path: string, options: ConstructorParameters<typeof RotatedFile>[1]) {
  try {
    const folder = path.slice(0, path.lastIndexOf("/") + 1) || ".";
    const wrong = distrustFile(path, whoAmI(folder));
    if (wrong) throw new Error(wrong);
    return new RotatedFile(path, options);
  } catch (error) {
    throw new UsageError(
      `cannot write the log file ${path}: ${messageOf(error)}; choose another --log-file`,
    );
  }
}

function parseLevels(text: string): Levels {
  const levels: Levels = { least: "info", modules: {} };
  for (const part of text.split(",")) {
    const [first = "", second, ...more] = part.split("=").map((word) => word.trim());
    if (second === undefined) levels.least = parseLevel(first);
    else if (more.length > 0) throw new UsageError(`${quote(part)} is not MODULE=LEVEL`);
    else levels.modules[parseModule(first)] = parseLevel(second);
  }
  return levels;
}

function parseLevel(text: string): Level {
  const level = LEVELS.find((each) => each === text);
  if (level) return level;
  throw new UsageError(`${quote(text)} is no level; there are ${LEVELS.join(", ")}`);
}

function parseModule(text: string): Module {
  const module = MODULES.find((each) => each === text);
  if (module) return module;
  throw new UsageError(`${quote(text)} is no module; there are ${MODULES.join(", ")}`);
}

function parseFormat(text: string): LogFormat {
  if (text === "text" || text === "json") return text;
  throw new UsageError(`${quote(text)} is neither text nor json`);
}
