/**
 * Where a user's files live, by the conventions of the platform.
 * @module
 */
import { ScistreamError } from "./protocol/errors.ts";

type Env = (name: string) => string | undefined;

/**
 * Where this user's state lives: SCISTREAM_STATE_DIR; else `scistream` in XDG_STATE_HOME or
 * ~/.local/state (XDG Base Directory Specification 0.8), and on macOS in ~/Library/Application Support.
 * @throws {ScistreamError} BAD_FORMAT when the environment names none
 */
export function defaultStateDir(env: Env, os: string = Deno.build.os): string {
  const own = env("SCISTREAM_STATE_DIR");
  if (own) return own;
  const state = absolute(env("XDG_STATE_HOME"));
  if (state) return `${state}/scistream`;
  const home = absolute(env("HOME"));
  if (home && os === "darwin") return `${home}/Library/Application Support/scistream`;
  if (home) return `${home}/.local/state/scistream`;
  throw new ScistreamError(
    "BAD_FORMAT",
    "no state folder: set SCISTREAM_STATE_DIR, XDG_STATE_HOME or HOME",
  );
}

/** This user's configuration of a group of commands: in XDG_CONFIG_HOME, or ~/.config. */
export function configFile(group: string, env: Env): string | undefined {
  const home = absolute(env("HOME"));
  const folder = absolute(env("XDG_CONFIG_HOME")) ?? (home && `${home}/.config`);
  return folder && `${folder}/scistream/${group}.toml`;
}

function absolute(path: string | undefined): string | undefined {
  return path?.startsWith("/") ? path : undefined;
}
