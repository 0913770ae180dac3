/**
 * Configuration files: TOML whose keys are a command's flags.
 * @module
 */
import { parse } from "@std/toml";
import { messageOf, quote } from "../protocol/errors.ts";
import { flagName, type Flags, UsageError } from "./flags.ts";
import { readServers, type Servers } from "./servers.ts";

/** The flags that a file may set: those of every subcommand, by the subcommand's name. */
export type ConfigShape = Record<string, Flags>;

/** What a file says to one subcommand. */
export interface Config {
  /** Texts by flag key. */
  file: Record<string, string>;
  /** Its `[servers]`. */
  servers: Servers;
}

/**
 * What a file sets for one subcommand. Keys at the top are for every subcommand that has
 * such a flag; a table `[prod-req]` is for that subcommand alone and wins. Where a subcommand talks to
 * control servers, `[servers."HOST:PORT"]` is about one of them.
 * @param name of the file, for messages
 * @throws {UsageError} names the key and the line
 */
export function readConfig(
  name: string,
  source: string,
  shape: ConfigShape,
  subcommand: string,
): Config {
  let document: Record<string, unknown>;
  try {
    document = parse(source);
  } catch (error) {
    // The parser shows the whole line, however long, and a secret may stand in it.
    const why = messageOf(error).replace(/ on line '.*$/, "");
    throw new UsageError(`${name}: ${why}`);
  }
  const wrong = (key: string, table: string | undefined, why: string) =>
    new UsageError(`${name}, line ${lineOf(source, key, table)}: ${why}`);
  const everyFlag = Object.assign({}, ...Object.values(shape)) as Flags;

  const read = (entries: Record<string, unknown>, flags: Flags, table?: string) => {
    const texts: Record<string, string> = {};
    for (const [key, value] of Object.entries(entries)) {
      const flag = Object.keys(flags).find((known) => flagName(known) === key.replaceAll("_", "-"));
      if (flag === undefined || flag === "config") {
        throw wrong(
          key,
          table,
          `unknown key ${quote(key)}; \`--help\` lists the options that are keys`,
        );
      }
      const text = textOf(value);
      if (text === undefined) {
        throw wrong(key, table, `${shown(key)} is not a value or a list of values`);
      }
      try {
        flags[flag]?.parse(text);
      } catch (error) {
        throw wrong(key, table, `${key}: ${messageOf(error)}`);
      }
      texts[flag] = text;
    }
    return texts;
  };

  const top: Record<string, unknown> = {};
  let own: Record<string, string> = {};
  let servers: Servers = new Map();
  for (const [key, value] of Object.entries(document)) {
    if (!isTable(value)) {
      top[key] = value;
      continue;
    }
    if (key === "servers" && "serverCert" in everyFlag) {
      servers = readServers(value, name, wrong);
      continue;
    }
    const flags = Object.hasOwn(shape, key) ? shape[key] : undefined;
    if (!flags) {
      throw wrong(
        key,
        key,
        `unknown table [${shown(key)}]; there are ${Object.keys(shape).join(", ")}`,
      );
    }
    const texts = read(value, flags, key);
    if (key === subcommand) own = texts;
  }
  const texts = { ...read(top, everyFlag), ...own };
  const wanted = shape[subcommand] ?? {};
  const file = Object.fromEntries(Object.entries(texts).filter(([key]) => key in wanted));
  return { file, servers };
}

/** A key for a message: as it is, if it is like one of ours. */
function shown(key: string): string {
  return /^[\w.-]{1,64}$/.test(key) ? key : quote(key);
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof Date);
}

function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (!Array.isArray(value)) return undefined;
  const parts = value.map(textOf);
  return parts.includes(undefined) ? undefined : parts.join(",");
}

/** A table's head. No two parts of it match the same, so that a long row takes no longer. */
const HEAD = /^\s*\[((?:"[^"]*"|'[^']*'|[^\]"'])*)\]\s*(?:#.*)?$/;

/** The line of a key, or of a table's head, counted from 1. The TOML parser tells no lines of good values. */
function lineOf(source: string, key: string, table: string | undefined): number {
  // Not by a pattern made of the key, which may be too long for one.
  const isEntry = (row: string) => {
    const written = row.trimStart().replace(/^["']/, "");
    return written.startsWith(key) && /^["']?\s*=/.test(written.slice(key.length));
  };
  let inside = table === undefined;
  let head = 1;
  const rows = source.split("\n");
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? "";
    const opened = HEAD.exec(row);
    if (opened) {
      inside = plain(opened[1] ?? "") === plain(table ?? "");
      if (inside) head = i + 1;
    } else if (inside && isEntry(row)) return i + 1;
  }
  return head;
}

/** A table's name without quotes. */
function plain(name: string): string {
  return name.replace(/["'\s]/g, "");
}
