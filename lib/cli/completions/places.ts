/**
 * What may stand where on a command line: the flag tables as completion needs them.
 * @module
 */
import type { Command, Group } from "../command.ts";
import { type Flag, flagName } from "../flags.ts";

/** What is offered for a value: one of a few words, a path, or nothing, where only the user knows. */
export type Kind = readonly string[] | "file" | "folder" | "free";

/** One option of a place. */
export interface Option {
  /** Its spellings: `--type`, `-t`. */
  names: readonly string[];
  help: string;
  /** Placeholder and kind of its value; booleans have none. */
  value?: { name: string; kind: Kind };
  repeated: boolean;
}

/** A place on a command line, reached by the words before it. */
export interface Place {
  /** Those that come after `scistream`: `["s2uc", "prod-req"]`. */
  words: readonly string[];
  /** Whether a command is named here, so that more than one word may follow. */
  open: boolean;
  /** Words that lead further. */
  next: readonly { name: string; summary: string }[];
  options: readonly Option[];
  args: readonly { name: string; kind: Kind }[];
  /** Whether a program of the user's follows `--`. */
  rest: boolean;
}

const HELP: Option = { names: ["--help", "-h"], help: "tell what this is", repeated: false };
const VERSION: Option = { names: ["--version"], help: "print the version", repeated: false };

/** Every place; those with more words come before those that they begin with. */
export function placesOf(groups: readonly Group[]): Place[] {
  const help = { name: "help", summary: "Tell what a command is, and its options" };
  const version = { name: "version", summary: "Print the version" };
  const places = [
    place([], [...groups, help, version]),
    place([help.name], groups),
  ];
  for (const group of groups) {
    const others = group.commands.filter((each) => each.name !== group.standard);
    const standard = group.commands.find((each) => each.name === group.standard);
    for (const each of others) places.push(commandPlace([group.name, each.name], each));
    places.push(
      standard
        ? { ...commandPlace([group.name], standard), next: others }
        : place([group.name], others),
    );
    if (others.length > 0) places.push(place([help.name, group.name], others));
  }
  return places;
}

function place(words: readonly string[], next: Place["next"]): Place {
  const options = words[0] === "help" ? [] : [HELP, VERSION];
  return { words, open: false, next, options, args: [], rest: false };
}

function commandPlace(words: readonly string[], { flags, args, rest }: Command): Place {
  return {
    words,
    open: true,
    next: [],
    options: [...Object.entries(flags).flatMap(([key, flag]) => optionsOf(key, flag)), HELP],
    args: args.map((arg) => ({ name: arg.name, kind: kindOf(arg.name, arg.choices) })),
    rest: rest !== undefined,
  };
}

/** A flag, and what switches it off where it is on by itself. */
function optionsOf(key: string, flag: Flag<unknown>): Option[] {
  const name = flagName(key);
  const option: Option = {
    names: [`--${name}`, ...flag.short ? [`-${flag.short}`] : []],
    help: flag.help,
    value: flag.value === undefined
      ? undefined
      : { name: flag.value, kind: kindOf(flag.value, flag.choices) },
    repeated: flag.repeated ?? false,
  };
  const isOn = flag.value === undefined && flag.default === "True";
  return isOn
    ? [option, { names: [`--no-${name}`], help: `the opposite of --${name}`, repeated: false }]
    : [option];
}

/** By the choices, or the placeholder. */
function kindOf(placeholder: string, choices?: readonly string[]): Kind {
  if (choices) return choices;
  if (placeholder === "FILE" || placeholder === "PATH") return "file";
  return placeholder === "DIR" ? "folder" : "free";
}
