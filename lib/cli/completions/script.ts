/**
 * Completion scripts for shells. They hold everything that they offer, so that no program is started
 * while somebody types.
 * @module
 */
import { Eta } from "eta";
import bash from "../../../templates/completions_bash.eta" with { type: "text" };
import fish from "../../../templates/completions_fish.eta" with { type: "text" };
import zsh from "../../../templates/completions_zsh.eta" with { type: "text" };
import type { Group } from "../command.ts";
import { type Kind, type Option, type Place, placesOf } from "./places.ts";

/** Shells that there are scripts for. */
export const SHELLS = ["bash", "zsh", "fish"] as const;
/** One of them. */
export type Shell = typeof SHELLS[number];

const TEMPLATES: Record<Shell, string> = { bash, zsh, fish };

/** The script for a shell; it completes `scistream` and the groups that are programs of their own. */
export function completionScript(shell: Shell, groups: readonly Group[]): string {
  const programs = groups.filter((group) => group.program).map((group) => group.name);
  const eta = new Eta({ autoEscape: false });
  return eta.renderString(TEMPLATES[shell], {
    programs,
    places: placesOf(groups),
    ...{ kindWord, zshOption, zshArgument, fishOption, takesValue },
    quoted: shell === "fish" ? fishQuoted : quoted,
  });
}

/** For bash and zsh: nothing in single quotes means anything but the quote that ends them. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** For fish, where a backslash means something in single quotes too. */
function fishQuoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, "\\$&")}'`;
}

/** Spellings of the options that take a value. */
function takesValue({ options }: Place): string[] {
  return options.flatMap(({ names, value }) => value ? names : []);
}

/** A kind as one word: `@file`, `@folder`, `tls,plain`, or nothing. */
function kindWord(kind: Kind): string {
  if (typeof kind === "string") return kind === "free" ? "" : `@${kind}`;
  return kind.join(",");
}

/** What `_arguments` of zsh does for a kind: a message, and what it offers. */
function zshAction(name: string, kind: Kind): string {
  const actions = { file: "_files", folder: "_files -/", free: " " };
  const action = typeof kind === "string" ? actions[kind] : `(${kind.join(" ")})`;
  return `${name.replaceAll(/[\\:]/g, "\\$&")}:${action}`;
}

/** An option for `_arguments`: each spelling is told of the others, so that it leaves them out. */
function zshOption({ names, help, value, repeated }: Option): string[] {
  const others = repeated ? "*" : names.length > 1 ? `(${names.join(" ")})` : "";
  const said = help.replaceAll(/[\\\[\]]/g, "\\$&");
  const after = value ? `:${zshAction(value.name, value.kind)}` : "";
  return names.map((name) => {
    const sign = value && name.startsWith("--") ? "=" : "";
    return `${others}${name}${sign}[${said}]${after}`;
  });
}

/** An argument for `_arguments`. */
function zshArgument({ name, kind }: Place["args"][number], i: number): string {
  // A mere message would also stand where an option is begun, and zsh then inserts none.
  if (kind === "free") return `${i + 1}:${name}:_guard "^-*" ${name}`;
  return `${i + 1}:${zshAction(name, kind)}`;
}

/** An option for `complete` of fish. */
function fishOption({ names, help, value }: Option): string {
  const words = names.map((name) =>
    name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name[1]}`
  );
  if (value?.kind === "file") words.push("-r -F");
  else if (value?.kind === "folder") words.push("-x -a '(__fish_complete_directories)'");
  else if (value) words.push("-x");
  if (Array.isArray(value?.kind)) words.push(`-a ${fishQuoted(value.kind.join(" "))}`);
  return `${words.join(" ")} -d ${fishQuoted(help)}`;
}
