/**
 * Help pages, rendered from the flag tables.
 * @module
 */
import { Eta } from "eta";
import template from "../../templates/help.eta" with { type: "text" };
import type { Argument, Flags } from "./flags.ts";
import { envName, flagName } from "./flags.ts";

/** What a help page tells of one command. */
export interface HelpTopic {
  /** `s2uc prod-req`. */
  path: string;
  summary: string;
  /** Paragraphs, already wrapped. */
  details?: string;
  flags?: Flags;
  args?: readonly Argument[];
  /** Placeholder and meaning of what follows `--`. */
  rest?: Argument;
  examples?: readonly string[];
  /** For a group: its commands. */
  commands?: readonly { name: string; summary: string }[];
}

/** The page as plain text of at most 100 columns. */
export function renderHelp(topic: HelpTopic): string {
  const flags = Object.entries(topic.flags ?? {}).map(([key, flag]) => ({
    spelling: (flag.short ? `-${flag.short}, ` : "") + `--${flagName(key)}` +
      (flag.value ? ` ${flag.value}` : ""),
    help: wrap(flag.help + (flag.default ? ` (default ${flag.default})` : ""), 92),
    env: envName(key, flag),
  }));
  const usage = ["scistream", topic.path, usageOf(topic)].filter(Boolean).join(" ");
  const args = [...topic.args ?? [], ...topic.rest ? [topic.rest] : []];
  const eta = new Eta({ autoEscape: false });
  return eta.renderString(template, {
    ...topic,
    usage,
    flags,
    args: columns(args),
    commands: columns(topic.commands),
  });
}

/** What follows a command's words: `[OPTIONS] UID [IP]`. */
export function usageOf({ commands, flags = {}, args = [], rest }: HelpTopic): string {
  return [
    commands ? "COMMAND" : "",
    Object.keys(flags).length > 0 ? "[OPTIONS]" : "",
    ...args.map((arg) => arg.default === undefined ? arg.name : `[${arg.name}]`),
    rest ? `-- ${rest.name}` : "",
  ].filter(Boolean).join(" ");
}

/** Rows as two columns. */
function columns(
  rows: readonly { name: string; help?: string; summary?: string; default?: string }[] = [],
) {
  const width = Math.max(0, ...rows.map((row) => row.name.length)) + 2;
  return rows.map((row) => {
    const standard = row.default ? ` (default ${row.default})` : "";
    return row.name.padEnd(width) + (row.help ?? row.summary) + standard;
  });
}

function wrap(text: string, width: number): string[] {
  const out: string[] = [];
  for (const word of text.split(" ")) {
    const last = out.at(-1);
    if (last !== undefined && last.length + word.length < width) {
      out[out.length - 1] = `${last} ${word}`;
    } else out.push(word);
  }
  return out;
}
