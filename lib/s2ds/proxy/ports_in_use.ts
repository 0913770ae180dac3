/**
 * What a proxy's log says of ports that somebody else has.
 * @module
 */
import type { Endpoint } from "../../protocol/endpoint.ts";
import { ScistreamError } from "../../protocol/errors.ts";

/** A proxy that ended before it listened, with what it said. */
export class DidNotStart extends ScistreamError {
  /** @param lines the proxy's last */
  constructor(sentence: string, readonly lines: readonly string[]) {
    super("CONN_ERROR", sentence);
  }
}

/**
 * The ports of these listeners that the proxy could not have, as HAProxy, nginx and stunnel say it;
 * empty if its log complains of none. A proxy may end at the first of several.
 */
export function portsInUse(lines: readonly string[], listeners: readonly Endpoint[]): number[] {
  const refused = lines.filter((line) => /Address already in use/i.test(line));
  const named = ({ port }: Endpoint) => refused.some((line) => hasPort(line, port));
  return [...new Set(listeners.filter(named).map(({ port }) => port))];
}

/** `to 127.0.0.1:5100`, stunnel's `to :::5100` and HAProxy's `for [127.0.0.1:5100]`; times have colons, too. */
function hasPort(line: string, port: number): boolean {
  return new RegExp(`(?:to |for \\[|socket \\[)\\S*:${port}(?!\\d)`).test(line);
}
