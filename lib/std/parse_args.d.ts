/** Types of the part of @std/cli/parse-args that is used here. */
export interface ParseOptions {
  string?: readonly string[];
  boolean?: readonly string[];
  collect?: readonly string[];
  alias?: Record<string, string>;
  "--"?: boolean;
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}
export interface Parsed {
  _: (string | number)[];
  "--"?: string[];
  [flag: string]: unknown;
}
export function parseArgs(args: readonly string[], options?: ParseOptions): Parsed;
