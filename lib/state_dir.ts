import { ScistreamError } from "./protocol/errors.ts";

/**
 * Where this user's state lives: XDG_STATE_HOME, or ~/.local/state (XDG Base Directory
 * Specification 0.8), under `scistream`.
 * @throws {ScistreamError} BAD_FORMAT when the environment names neither
 */
export function defaultStateDir(env: (name: string) => string | undefined): string {
  const state = env("XDG_STATE_HOME");
  if (state?.startsWith("/")) return `${state}/scistream`;
  const home = env("HOME");
  if (home?.startsWith("/")) return `${home}/.local/state/scistream`;
  throw new ScistreamError(
    "BAD_FORMAT",
    "no state folder: set --state-dir, XDG_STATE_HOME or HOME",
  );
}
