/**
 * A page of the documentation as its test sees it: blocks of code, and the comments before them
 * that say how each is run (docs/developer-guide.md, "Pages that run").
 * @module
 */
import { marked, type Token, type Tokens } from "marked";

/** How a block is run. */
export interface Run {
  kind: "run";
  /** The host of tests/topology.ts; `user` if not named. */
  on?: string;
  /** It goes on in the background once it has printed this, or somebody on its host listens on this port. */
  until?: string | number;
  /** Once it has printed this, somebody presses Ctrl-C. */
  ctrlC?: string;
  /** The exit code that it must end with; 0 if not named. */
  exits?: number;
  /** It runs in this project's folder, and not in the host's. */
  inCheckout?: boolean;
  /** What is written otherwise than on the page. */
  replaced: [string, string][];
}

/** What a comment says of the block after it. */
export type Marker =
  | Run
  /** Why it is not run. */
  | { kind: "not run"; reason: string }
  /** A test that reads this page and runs the block in its own way. */
  | { kind: "run by"; test: string }
  /** The block is what a file holds. */
  | { kind: "file"; name: string; on?: string }
  /** The block is what a command in the background prints. */
  | { kind: "printed by"; command: string };

/** A block of code, or one that only the test sees. */
export interface Block {
  text: string;
  /** The first word behind the fence; empty for an indented block. */
  lang: string;
  marker?: Marker;
}

const COMMENT =
  /^<!--\s*(run|not run|run by|file|printed by)(?::[ \t]*([^\n]*?))?(?:\n([^]*?))?\s*-->\s*$/;

/** The blocks of a page, in order. */
export function blocksOf(source: string): Block[] {
  const blocks: Block[] = [];
  let marker: Marker | undefined;
  for (const token of inOrder(marked.lexer(source))) {
    if (token.type === "space") continue;
    const comment = token.type === "html" ? COMMENT.exec(token.raw.trim()) : null;
    if (marker && token.type !== "code") {
      throw new Error(`a comment stands before no block: ${JSON.stringify(marker)}`);
    }
    if (comment) {
      const [, kind = "", rest = "", hidden] = comment;
      marker = readMarker(kind, rest);
      // A comment of several lines is a block that only the test sees.
      if (hidden === undefined) continue;
      blocks.push({ text: hidden, lang: "", marker });
    } else if (token.type === "code") {
      const { text, lang } = token as Tokens.Code;
      blocks.push({ text, lang: lang?.split(" ")[0] ?? "", ...marker && { marker } });
    }
    marker = undefined;
  }
  if (marker) throw new Error("a comment at the end of the page stands before no block");
  return blocks;
}

/** Every token that is a block, those in lists and quotations too. */
function inOrder(tokens: readonly Token[]): Token[] {
  return tokens.flatMap((token) => {
    if (token.type === "list") {
      return (token as Tokens.List).items.flatMap((item) => inOrder(item.tokens));
    }
    if (token.type === "blockquote") return inOrder((token as Tokens.Blockquote).tokens);
    return [token];
  });
}

function readMarker(kind: string, rest: string): Marker {
  const what = rest.trim();
  if (kind !== "run" && what === "") throw new Error(`<!-- ${kind} --> says nothing`);
  if (kind === "not run") return { kind, reason: what };
  if (kind === "run by") return { kind, test: what };
  if (kind === "printed by") return { kind, command: what };
  if (kind === "file") {
    const [, name = "", on] = /^(\S+?)(?:, on (\w+))?$/.exec(what) ?? [];
    if (name === "") throw new Error(`<!-- file: ${what} --> is not NAME or NAME, on HOST`);
    return { kind, name, ...on !== undefined && { on } };
  }
  const run: Run = { kind: "run", replaced: [] };
  for (const part of what === "" ? [] : what.split(/, (?=(?:on|in|until|Ctrl-C|exits|with) )/)) {
    const [, on, until, port, ctrlC, exits, from, to] =
      /^(?:on (\w+)|until "(.+)"|until (\d+) listens|Ctrl-C at "(.+)"|exits (\d+)|with (.+) = (.+)|in the checkout)$/
        .exec(part) ??
        fail(`<!-- run: ${what} -->: what is ${JSON.stringify(part)}?`);
    if (on) run.on = on;
    else if (until) run.until = until;
    else if (port) run.until = Number(port);
    else if (ctrlC) run.ctrlC = ctrlC;
    else if (exits) run.exits = Number(exits);
    else if (from) run.replaced.push([from, to ?? ""]);
    else run.inCheckout = true;
  }
  return run;
}

function fail(message: string): never {
  throw new Error(message);
}

/** What a block is to whoever runs the page. TOML and JSON are only looked at. */
export type Use = "command" | "output" | "file" | "none";

/**
 * What is done with a block.
 * @param before the block before it
 * @throws {Error} if nothing is, and no comment says why
 */
export function useOf({ marker, lang, text }: Block, before?: Block): Use {
  if (marker?.kind === "not run" || marker?.kind === "run by") return "none";
  if (marker?.kind === "file") return "file";
  if (marker?.kind === "printed by") return "output";
  if (["", "sh", "bash"].includes(lang)) return "command";
  if (marker === undefined && (lang === "toml" || lang === "json")) return "none";
  if (marker === undefined && lang === "text" && before && useOf(before) === "command") {
    return "output";
  }
  throw new Error(`this block is not run, and no comment before it says why:\n${text}`);
}

/**
 * Whether this was printed. `…` on the page stands for anything in its line, and a line of nothing
 * else for any lines; how many spaces there are does not matter.
 */
export function wasPrinted(expected: string, printed: string): boolean {
  const even = (text: string) => text.trimEnd().replace(/[ \t\r]+/g, " ").replace(/ *$/gm, "");
  const lines = even(expected).split("\n").map((line) =>
    line.trim() === "…" ? "(?:.*\n)*" : `${line.split("…").map(literally).join(".*")}\n`
  );
  return new RegExp(`^${lines.join("")}$`).test(`${even(printed)}\n`);
}

/** A regular expression that is this text. */
export function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
