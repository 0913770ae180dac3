/**
 * Settings that are read again while a control server runs.
 * @module
 */
import type { Log } from "../log.ts";
import { messageOf } from "../protocol/errors.ts";
import type { Changeable } from "../s2cs/settings.ts";
import { serverAuthFlags } from "./auth_flags.ts";
import { type CommandLine, flagName, type Flags, type Options } from "./flags.ts";
import { limitFlags } from "./limit_flags.ts";

/** Flags that take effect while it runs, and not only when it starts. */
const CHANGEABLE = new Set([
  ...Object.keys(serverAuthFlags),
  ...Object.keys(limitFlags).filter((key) => !["maxMessageBytes", "maxStreams"].includes(key)),
  ...["serverCrt", "serverKey", "helloTimeout", "drainTimeout", "keepSessions"],
  ...["logLevel", "verbose"],
  ...["maxSessions", "maxConn", "capacity", "config"],
]);

/** What a reload is done with. */
interface Reloading<F extends Flags, C extends Changeable> {
  log: Log;
  /** Whether callers are authenticated, to begin with. */
  hasAuth: boolean;
  /** Reads the files that the options name. */
  read: (options: Options<F>) => Promise<C>;
  apply: (changed: C) => void;
}

/**
 * Answers what reads everything again and applies what may change: one at a time, whole or not at all.
 * What is wrong is logged, and the old settings stay.
 */
export function reloader<F extends Flags, C extends Changeable>(
  line: CommandLine<F>,
  { log, hasAuth, read, apply }: Reloading<F, C>,
): (why: string) => Promise<void> {
  let now = line;
  let turn: Promise<void> = Promise.resolve();
  const reload = async (why: string) => {
    try {
      const next = await line.reread?.() ?? line;
      const changed = await read(next.options);
      if (hasAuth && !changed.auth) {
        throw new Error(
          "authentication cannot be switched off while it runs; restart s2cs for that",
        );
      }
      apply(changed);
      hasAuth = changed.auth !== undefined;
      const names = differences(now.texts, next.texts);
      const late = names.filter((key) => !CHANGEABLE.has(key)).map((key) => `--${flagName(key)}`);
      const what = names.length === 0
        ? ""
        : `: ${names.map((key) => `--${flagName(key)}`).join(", ")}`;
      log("info", `${why}: certificate and settings were read again${what}`);
      if (late.length > 0) {
        log(
          "warn",
          `${late.join(", ")} cannot change while it runs; restart s2cs with --keep-sessions`,
        );
      }
      now = next;
    } catch (error) {
      log("error", `${why}: nothing is changed: ${messageOf(error)}`);
    }
  };
  return (why) => turn = turn.then(() => reload(why));
}

function differences(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>) {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((key) => a[key] !== b[key]);
}
