/**
 * A line for a terminal: what a server says must not move the cursor, or worse.
 * @module
 */

/** Control characters but tab and newline, which are ours. */
const CONTROLS = /(?![\t\n])[\p{Cc}\u2028\u2029]/gu;

/** The text with control characters as question marks. */
export function printable(text: string): string {
  return text.replace(CONTROLS, "?");
}
