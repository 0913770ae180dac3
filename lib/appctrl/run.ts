/**
 * Runs an unmodified application with a session's listeners filled in.
 * @module
 */
import type { Endpoint } from "../protocol/endpoint.ts";
import { messageOf, ScistreamError } from "../protocol/errors.ts";

/** Signals that whoever started us may mean for the application. */
const PASSED_ON: Deno.Signal[] = ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2"];

/**
 * Fills `{listener}` (the first), `{listener2}`, `{listener3}` … in; what names a listener that
 * does not exist is an error. `{host}` and `{port}`, `{host2}` and `{port2}` … are its parts.
 * @throws {ScistreamError} BAD_FORMAT
 *
 * ```ts
 * import { fillListeners } from "./run.ts";
 * import { Endpoint } from "../protocol/endpoint.ts";
 * import { assertEquals } from "@std/assert";
 * const listeners = [new Endpoint("10.0.0.1", 5100)];
 * assertEquals(fillListeners("tcp://{listener}", listeners), "tcp://10.0.0.1:5100");
 * ```
 */
export function fillListeners(argument: string, listeners: readonly Endpoint[]): string {
  return argument.replace(/\{(listener|host|port)([1-9][0-9]{0,3})?\}/g, (name, part, number) => {
    const listener = listeners[Number(number ?? 1) - 1];
    if (!listener) {
      throw new ScistreamError(
        "BAD_FORMAT",
        `the application's arguments name ${name}, but the session has ${listeners.length} listeners`,
      );
    }
    if (part === "host") return listener.host;
    return part === "port" ? String(listener.port) : String(listener);
  });
}

/** What to run. */
export interface Application {
  command: readonly string[];
  /** Fill the placeholders and SCISTREAM_LISTENERS. */
  listeners: readonly Endpoint[];
}

/**
 * Runs the application to its end on our own standard streams, and passes signals on to it.
 * Answers its exit code; 128 + number for one that a signal ended, 127 for one that is not there.
 * @param takeOver called once signals go to the application, before it is started: whoever had them
 * lets go of them then, so that there is no moment in which one would end us and not it
 * @throws {ScistreamError} BAD_FORMAT for a placeholder, CONN_ERROR when it cannot be started
 */
export async function runApplication(app: Application, takeOver: () => void): Promise<number> {
  const [program, ...args] = app.command.map((word) => fillListeners(word, app.listeners));
  if (program === undefined) throw new ScistreamError("BAD_FORMAT", "no application to run");
  const signals = new SignalsTo();
  try {
    takeOver();
    const child = start(program, args, app.listeners);
    if (!child) return 127;
    signals.to(child);
    return (await child.status).code;
  } finally {
    signals.stop();
  }
}

/** Undefined where there is no such program. */
function start(program: string, args: string[], listeners: readonly Endpoint[]) {
  try {
    return new Deno.Command(program, {
      args,
      clearEnv: true,
      env: { ...withoutToken(Deno.env.toObject()), SCISTREAM_LISTENERS: listeners.join(",") },
      stdin: "inherit",
      stdout: "inherit",
      stderr: "inherit",
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw new ScistreamError("CONN_ERROR", `cannot start ${program}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** The token is for the control server; the application has no use for it. */
function withoutToken(env: Record<string, string>): Record<string, string> {
  const { SCISTREAM_TOKEN: _token, ...rest } = env;
  return rest;
}

/** Passes signals on to a child; those that come before it is there, once it is. */
class SignalsTo {
  readonly #early: Deno.Signal[] = [];
  readonly #listeners: [Deno.Signal, () => void][];
  #child?: Deno.ChildProcess;

  constructor() {
    this.#listeners = PASSED_ON.map((signal) => [signal, () => this.#pass(signal)]);
    for (const [signal, pass] of this.#listeners) Deno.addSignalListener(signal, pass);
  }

  to(child: Deno.ChildProcess): void {
    this.#child = child;
    for (const signal of this.#early) this.#pass(signal);
  }

  stop(): void {
    for (const [signal, pass] of this.#listeners) Deno.removeSignalListener(signal, pass);
  }

  #pass(signal: Deno.Signal): void {
    if (!this.#child) return void this.#early.push(signal);
    // The terminal has sent these to the application itself.
    if (Deno.stdin.isTerminal() && (signal === "SIGINT" || signal === "SIGQUIT")) return;
    try {
      this.#child.kill(signal);
    } catch {
      // It has just ended.
    }
  }
}
