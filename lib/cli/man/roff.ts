/**
 * Text for roff, the language of manual pages.
 * @module
 */

/** What means something to roff, or is printed as something else, and how it is written. */
const WRITTEN: Record<string, string> = {
  "\\": "\\e",
  "-": "\\-",
  "'": "\\(aq",
  "`": "\\(ga",
  "^": "\\(ha",
  "~": "\\(ti",
  '"': "\\(dq",
  "…": "...",
};

/** A text as it is to be read, in one line or several; none of them is a request. */
export function roff(text: string): string {
  return text
    .replaceAll(/[\\\-'`^~"…]/g, (letter) => WRITTEN[letter] as string)
    .replaceAll(/\P{ASCII}/gu, unicode)
    .replaceAll(/^\./gm, "\\&.")
    // The name of a variable is not to be hyphenated.
    .replaceAll(/\b[A-Z]+_[A-Z_]+/g, "\\%$&");
}

function unicode(letter: string): string {
  const code = (letter.codePointAt(0) as number).toString(16).toUpperCase();
  return `\\[u${code.padStart(4, "0")}]`;
}

/** Paragraphs, wrapped or not; those that are indented are kept as they are. */
export function paragraphs(text: string): string {
  return text.split("\n\n").map((each) =>
    each.startsWith(" ") ? example(each.replaceAll(/^ {4}/gm, "").split("\n")) : roff(each)
  ).join("\n.PP\n");
}

/** Lines as they are. */
export function example(lines: readonly string[]): string {
  // An empty line would be a request of its own.
  return [".RS 4", ".EX", ...lines.map((line) => roff(line) || "\\&"), ".EE", ".RE"].join("\n");
}
