/**
 * Proxy configurations from templates.
 * @module
 */
import { Eta } from "eta";
import { quote, ScistreamError } from "../../protocol/errors.ts";

/** Of validated values and our own paths. No space, quote, brace, semicolon, `#`, `$`, `\` or line end: nothing that any proxy takes for syntax. */
const HARMLESS = /^[A-Za-z0-9._:/[\]@+,=~-]+$/;

const eta = new Eta({ autoEscape: true, escapeFunction: harmless });

/**
 * Renders a template. Whatever goes in through `<%= %>` must be harmless in every proxy's language;
 * it has been validated long before, this is the last line of defence.
 * @throws {ScistreamError} BAD_FORMAT
 */
export function render(template: string, data: object): string {
  return eta.renderString(template, data);
}

function harmless(value: unknown): string {
  const text = String(value ?? "");
  if (HARMLESS.test(text)) return text;
  throw new ScistreamError(
    "BAD_FORMAT",
    `${quote(text)} is empty or holds characters that cannot stand in a proxy's configuration`,
  );
}
