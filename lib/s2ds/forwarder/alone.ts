/**
 * An s2ds without a control server: one session for as long as the process lives, as the program of a
 * container. To change the session, another is started beside it, and this one told to stop.
 * @module
 */
import { Networks } from "../../protocol/cidr.ts";
import { Endpoint } from "../../protocol/endpoint.ts";
import { messageOf } from "../../protocol/errors.ts";
import { type ChannelStatus, idleChannel, PortsInUse } from "../data_server.ts";
import { aborted, within } from "../wait.ts";
import { CannotListen } from "./cannot_listen.ts";
import { DescriptorBudget } from "./descriptors.ts";
import { Engine } from "./engine.ts";
import { numberLines } from "./numbers.ts";
import type { SessionFile } from "./session_file.ts";

/** What it says once its listeners take connections. */
export const LISTENING = "listening";
/** What it says once they do not any more. */
export const LEAVING = "leaving";
/** The engine's key of the only session. */
const KEY = "alone";
/** Numbers are told so often, if they have changed. */
const EVERY_MS = 1_000;
/** As long as a timer can wait: whoever runs the container kills it when its own patience is over. */
const FOR_EVER_MS = 0x7fffffff;
/** A log that takes nothing must not keep the process from ending for longer. */
const LAST_WORDS_MS = 1_000;

/** Writes to stdout. */
type Write = (text: string) => Promise<void>;

/** One session, and the process's streams and signals. */
export interface AloneOptions {
  session: SessionFile;
  /** Of the data channel; without it nothing is encrypted. */
  secret?: Uint8Array;
  /** File descriptors that this process may have. */
  maxFiles?: number;
  /** Bytes for blocks of all connections. */
  memory?: number;
  write: Write;
  /** Stops listening; established connections finish. */
  signal: AbortSignal;
  /** Cuts them. */
  forced: AbortSignal;
}

/**
 * Serves the session until told to stop and its last connection has ended. Says `listening` once it
 * is, `leaving` once it is not any more, and its numbers (numbers.ts) whenever they have changed and at
 * the end.
 * @throws {CannotListen}
 */
export async function serveAlone(options: AloneOptions): Promise<void> {
  const { session, secret, signal, forced, write } = options;
  const engine = new Engine(new DescriptorBudget(options.maxFiles), () => {}, options.memory);
  await listen(engine, session, secret);
  // Whoever came until now has waited: none is turned away that has somewhere to go.
  if (session.targets) await engine.target(KEY, session.targets.map((to) => Endpoint.parse(to)));
  else engine.turnAway(KEY);
  await say(write, `${LISTENING}\n`);
  const over = new AbortController();
  const telling = tell(engine, session.listeners.length, write, over.signal);
  await aborted(signal);
  const cut = () => void engine.close(KEY, 0);
  const ending = engine.close(KEY, FOR_EVER_MS);
  if (forced.aborted) cut();
  else forced.addEventListener("abort", cut, { once: true });
  // Not awaited: a log that takes nothing must not hold up the end.
  void say(write, `${LEAVING}\n`);
  const last = await ending;
  over.abort();
  const words = telling.then(() => say(write, textOf(last)));
  await within(LAST_WORDS_MS, words, () => new Error("nobody reads the log")).catch(() => {});
}

/** Tells the numbers whenever they have changed. A log that takes nothing holds up nothing else. */
async function tell(
  engine: Engine,
  channels: number,
  write: Write,
  over: AbortSignal,
): Promise<void> {
  let told = textOf(Array.from({ length: channels }, idleChannel));
  for (;;) {
    await aborted(AbortSignal.any([over, AbortSignal.timeout(EVERY_MS)]));
    if (over.aborted) return;
    const text = textOf(await engine.status(KEY));
    if (text === told) continue;
    told = text;
    await say(write, text);
  }
}

async function listen(engine: Engine, file: SessionFile, secret?: Uint8Array): Promise<void> {
  const { listeners, allow } = file;
  try {
    await engine.open(KEY, {
      ...file,
      secret,
      share: true,
      listeners: listeners.map((at) => Endpoint.parse(at)),
      allow: allow.map((texts) => Networks.parse(texts)),
    });
  } catch (error) {
    if (error instanceof PortsInUse) {
      const taken = listeners.filter((at) => error.ports.includes(Endpoint.parse(at).port));
      throw new CannotListen(taken);
    }
    const { address, port, code } = error as { address?: string; port?: number; code?: string };
    if (!address || !port) throw new CannotListen(listeners, messageOf(error));
    // What Deno 2.9.3 makes of EADDRNOTAVAIL.
    const why = code === "EINVAL" ? "it may be no address of this machine" : code ?? "";
    throw new CannotListen([new Endpoint(address, port).toString()], why);
  }
}

/** Where nobody reads the log, streams go on all the same. */
async function say(write: Write, text: string): Promise<void> {
  await write(text).catch(() => {});
}

function textOf(channels: readonly ChannelStatus[]): string {
  return numberLines(channels).map((line) => `${line}\n`).join("");
}
