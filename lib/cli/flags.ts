/**
 * One flag table per command: it gives parsing, help, environment names, configuration keys,
 * completions and manual pages.
 * Pure functions; nothing here reads the process.
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { messageOf, quote } from "../protocol/errors.ts";
import type { Servers } from "./servers.ts";

/** What the user typed, set in the environment or wrote in a file is wrong: one line, exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** One flag: how it is written, what it means, and how its text becomes a value. */
export interface Flag<T> {
  readonly help: string;
  /** Placeholder of the value in help; booleans have none. */
  readonly value?: string;
  /** What its text may be, where that is one of a few words. */
  readonly choices?: readonly string[];
  /** The default as a user would write it; undefined where unset is a meaning of its own. */
  readonly default?: string;
  /** A single letter. */
  readonly short?: string;
  /** May be given several times; values also come with commas. */
  readonly repeated?: boolean;
  /** Set in the environment under this name and not under SCISTREAM_<FLAG>. */
  readonly env?: string;
  readonly parse: (text: string) => T;
}

/** A table of flags; `numConn` is written `--num-conn`. */
export type Flags = Record<string, Flag<unknown>>;

/** What a table of flags parses to. */
export type Options<F extends Flags> = { [K in keyof F]: F[K] extends Flag<infer T> ? T : never };

/** A positional argument. */
export interface Argument {
  /** As help shows it, in capitals. */
  readonly name: string;
  readonly help: string;
  /** What it may be, where that is one of a few words; its command judges. */
  readonly choices?: readonly string[];
  /** Taken when the argument is not given; without one it must be. */
  readonly default?: string;
}

/** What a command line comes to. */
export interface CommandLine<F extends Flags> {
  options: Options<F>;
  /** By name; every argument of the table is there. */
  args: Record<string, string>;
  /** What stands after `--`. */
  rest: string[];
  /** Flags that were given on the command line or in the environment, and not in a file that says it for all. */
  said: ReadonlySet<string>;
  /** What the configuration file says of single control servers. */
  servers: Servers;
  /** The options as text, wherever they come from; those that are not set are not there. */
  texts: Readonly<Record<string, string>>;
  /** The configuration file, if one was read. */
  file?: string;
  /** The same command line with the configuration file as it is now. */
  reread?: () => Promise<CommandLine<F>>;
}

interface Extra {
  value?: string;
  choices?: readonly string[];
  default?: string;
  short?: string;
  env?: string;
}

interface Bounds {
  least: number;
  most: number;
}

/** A flag with a text value. Without a default it is undefined when it is not given. */
export function text(help: string, extra: Extra & { default: string }): Flag<string>;
export function text(help: string, extra?: Extra): Flag<string | undefined>;
export function text(help: string, extra: Extra = {}): Flag<string | undefined> {
  return { value: "TEXT", ...extra, help, parse: (text) => text };
}

/** A flag whose text becomes something else. */
export function parsed<T>(
  help: string,
  parse: (text: string) => T,
  extra: Extra & { default: string },
): Flag<T>;
export function parsed<T>(
  help: string,
  parse: (text: string) => T,
  extra?: Extra,
): Flag<T | undefined>;
export function parsed<T>(help: string, parse: (text: string) => T, extra: Extra = {}): Flag<T> {
  return { value: "TEXT", ...extra, help, parse };
}

/** A flag whose text is one of a few words. */
export function choice<const T extends string>(
  help: string,
  choices: readonly T[],
  extra: Omit<Extra, "choices"> & { default: T },
): Flag<T> {
  return {
    value: choices.join("|"),
    ...extra,
    choices,
    help,
    parse: (text) => choose(text, choices),
  };
}

/**
 * A text that must be one of a few words.
 * @throws {UsageError} names them
 */
export function choose<T extends string>(text: string, choices: readonly T[]): T {
  const chosen = choices.find((each) => each === text);
  if (chosen !== undefined) return chosen;
  throw new UsageError(
    choices.length === 2
      ? `${quote(text)} is neither ${choices[0]} nor ${choices[1]}`
      : `${quote(text)} is none of ${choices.join(", ")}`,
  );
}

/** A flag that may be given several times, or once with commas. */
export function list<T>(
  help: string,
  parse: (text: string) => T,
  extra: Extra & { default: string },
): Flag<T[]> {
  return {
    value: "TEXT,…",
    ...extra,
    help,
    repeated: true,
    parse: (text) => text === "" ? [] : text.split(",").map((part) => parse(part.trim())),
  };
}

/** A whole number within bounds. */
export function integer(help: string, extra: Extra & Bounds & { default: string }): Flag<number>;
export function integer(help: string, extra: Extra & Bounds): Flag<number | undefined>;
export function integer(help: string, extra: Extra & Bounds): Flag<number | undefined> {
  return {
    value: "N",
    ...extra,
    help,
    parse(text) {
      const value = /^-?[0-9]{1,15}$/.test(text) ? Number(text) : NaN;
      if (value >= extra.least && value <= extra.most) return value;
      throw new UsageError(
        `${quote(text)} is not a whole number from ${extra.least} to ${extra.most}`,
      );
    },
  };
}

/** A time in seconds, whole or not, as milliseconds. */
export function seconds(help: string, extra: Extra & { default: string }): Flag<number> {
  return {
    value: "SECONDS",
    ...extra,
    help,
    parse(text) {
      const value = /^[0-9]{1,6}(\.[0-9]{1,3})?$/.test(text) ? Number(text) : NaN;
      if (value >= 0) return value * 1000;
      throw new UsageError(`${quote(text)} is not a number of seconds from 0 to 999999`);
    },
  };
}

/** True or false; `--name` alone is true, `--no-name` false. */
export function bool(help: string, extra: Extra = {}): Flag<boolean> {
  return {
    default: "False",
    ...extra,
    help,
    parse(text) {
      if (/^(true|yes|on|1)$/i.test(text)) return true;
      if (/^(false|no|off|0)$/i.test(text)) return false;
      throw new UsageError(`${quote(text)} is neither True nor False`);
    },
  };
}

/** `numConn` as it is written: `num-conn`. */
export function flagName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The environment variable of a flag. */
export function envName(key: string, flag: Flag<unknown>): string {
  return flag.env ?? `SCISTREAM_${flagName(key).replaceAll("-", "_").toUpperCase()}`;
}

/** Where values come from beside the command line; each level is overridden by the next. */
export interface Sources {
  /** Texts by flag key, from the configuration file. */
  file?: Record<string, string>;
  /** Its `[servers]`. */
  servers?: Servers;
  env?: (name: string) => string | undefined;
}

/**
 * Parses a command line: default < file < environment < flag.
 * @throws {UsageError} one line that names the flag and the value
 */
export function parseCommandLine<F extends Flags>(
  argv: readonly string[],
  flags: F,
  args: readonly Argument[],
  sources: Sources = {},
): CommandLine<F> {
  const given = splitCommandLine(argv, flags);
  const options: Record<string, unknown> = {};
  const texts: Record<string, string> = {};
  const said = new Set<string>();
  for (const [key, flag] of Object.entries(flags)) {
    const variable = envName(key, flag);
    const fromEnv = sources.env?.(variable);
    const [source, text] = given.flags[key] !== undefined
      ? [`--${flagName(key)}`, given.flags[key]]
      : fromEnv !== undefined
      ? [`environment variable ${variable}`, fromEnv]
      : sources.file?.[key] !== undefined
      ? [`${flagName(key)} in the configuration file`, sources.file[key]]
      : [`default of --${flagName(key)}`, flag.default];
    if (text === undefined) continue;
    texts[key] = text;
    if (given.flags[key] !== undefined || fromEnv !== undefined) said.add(key);
    try {
      options[key] = flag.parse(text);
    } catch (error) {
      throw new UsageError(`${source}: ${messageOf(error)}`, { cause: error });
    }
  }
  return {
    options: options as Options<F>,
    args: positional(given.words, args),
    rest: given.rest,
    said,
    servers: sources.servers ?? new Map(),
    texts,
  };
}

function positional(words: string[], args: readonly Argument[]): Record<string, string> {
  const result: Record<string, string> = {};
  args.forEach((arg, i) => {
    const value = words[i] ?? arg.default;
    if (value === undefined) throw new UsageError(`missing argument ${arg.name}: ${arg.help}`);
    result[arg.name] = value;
  });
  const extra = words[args.length];
  if (extra !== undefined) throw new UsageError(`unexpected argument ${quote(extra)}`);
  return result;
}

/** The flags, the words between them and what follows `--`, all still text. */
export function splitCommandLine(
  argv: readonly string[],
  flags: Flags,
): { flags: Record<string, string>; words: string[]; rest: string[] } {
  const keys = Object.keys(flags);
  const parsed = parseArgs(joinValues(argv, flags), {
    string: [...keys.map(flagName), "_"],
    collect: keys.filter((key) => flags[key]?.repeated).map(flagName),
    "--": true,
  });
  const result: Record<string, string> = {};
  for (const key of keys) {
    const value = parsed[flagName(key)];
    if (Array.isArray(value)) {
      if (value.length > 0) result[key] = value.join(",");
    } else if (typeof value === "string") result[key] = value;
  }
  return { flags: result, words: parsed._.map(String), rest: parsed["--"] ?? [] };
}

/** Every spelling that contract section 6 allows as `--flag=value`, so that nothing is ambiguous. */
function joinValues(argv: readonly string[], flags: Flags): string[] {
  const out: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const token = argv[i] as string;
    if (token === "--") return [...out, ...argv.slice(i)];
    const written = /^--?([A-Za-z][^=]*)(?:=(.*))?$/s.exec(token);
    if (!written) {
      if (token.startsWith("-") && token !== "-") {
        throw new UsageError(`unknown option ${quote(token)}`);
      }
      out.push(token);
      continue;
    }
    const { key, negated } = findFlag(token, written[1] as string, flags);
    const flag = flags[key] as Flag<unknown>;
    let value = written[2];
    if (flag.value === undefined) {
      if (value === undefined && /^(true|false)$/i.test(argv[i + 1] ?? "")) value = argv[++i];
      value ??= "True";
      if (negated) value = flag.parse(value) ? "False" : "True";
    } else if (value === undefined) {
      const following = argv[i + 1];
      if (following === undefined || /^--?[A-Za-z]|^--$/.test(following)) {
        throw new UsageError(
          `option --${flagName(key)} needs a value: --${flagName(key)} ${flag.value}`,
        );
      }
      value = following;
      i++;
    }
    out.push(`--${flagName(key)}=${value}`);
  }
  return out;
}

function findFlag(token: string, written: string, flags: Flags): { key: string; negated: boolean } {
  const name = written.replaceAll("_", "-");
  const keys = Object.keys(flags);
  if (!token.startsWith("--")) {
    const short = keys.find((key) => flags[key]?.short === written);
    if (short) return { key: short, negated: false };
  } else {
    const key = keys.find((key) => flagName(key) === name);
    if (key) return { key, negated: false };
    const positive = keys.find((key) => `no-${flagName(key)}` === name);
    if (positive && flags[positive]?.value === undefined) return { key: positive, negated: true };
  }
  const close = keys.map(flagName).find((known) => distance(known, name) <= 2);
  throw new UsageError(
    `unknown option ${quote(token.split("=", 1)[0] ?? token)}${
      close ? `; did you mean --${close}?` : ""
    }`,
  );
}

/** Edit distance, for suggestions. */
export function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2) return 3;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const last = row;
    row = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, swap));
    }
  }
  return row[b.length] ?? 3;
}
