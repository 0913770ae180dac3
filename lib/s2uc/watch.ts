/**
 * What `s2uc watch` shows, of several control servers at once.
 * @module
 */
import type { WatchUpdate } from "../../proto/messages.ts";
import { Exit, type Io } from "../cli/command.ts";
import { advised, openClient, parseAddress, type Reach } from "../cli/connection.ts";
import { failureOf, tell } from "../cli/failure.ts";
import { jsonLine } from "../cli/json.ts";
import { printable } from "../cli/printable.ts";
import type { Uid } from "../protocol/uid.ts";
import { follow } from "./follow.ts";
import { History, type Seen } from "./rates.ts";
import { Screen } from "./screen.ts";
import { sessionLine, viewLines, type Watched } from "./view.ts";

/** What is watched, and how. */
export interface WatchOptions {
  s2cs: readonly string[];
  /** One session; all that the caller may see if not given. */
  uid?: Uid;
  /** Milliseconds from one shown update to the next. */
  interval: number;
  /** Shown updates of each control server after which it ends; never if not given. */
  count?: number;
  json: boolean;
}

/** Updates come once a second, but not to the millisecond. */
const EARLY_MS = 500;

/** Watches until the session is over everywhere, or Ctrl-C; answers the exit code. */
export async function watch(options: WatchOptions, line: Reach, io: Io): Promise<number> {
  const { s2cs, uid, json } = options;
  const show: View = json
    ? new JsonView(io)
    : io.terminal() && io.env("TERM") !== "dumb"
    ? new ScreenView(io, s2cs, uid !== undefined)
    : new LineView(io);
  const stopped = new AbortController();
  const signal = AbortSignal.any([io.interrupted, stopped.signal]);
  const lines: (() => void)[] = [];
  const codes = await Promise.all(s2cs.map(async (address) => {
    try {
      const end = await watchOne(address, { options, line, io, show, signal });
      if (end && !json) lines.push(() => io.out(`session ${uid?.session} at ${address} ${end}`));
      return Exit.OK;
    } catch (error) {
      // Ctrl-C is how a view is left; and whoever read this has had enough.
      if (signal.aborted) return Exit.OK;
      if (error instanceof Deno.errors.BrokenPipe) return stopped.abort(), Exit.OK;
      const failure = failureOf(advised(error), io);
      if (!show.failed) tell(failure, json, io);
      else {
        show.failed(address, failure.message);
        lines.push(() => tell(failure, json, io));
      }
      return failure.exit;
    }
  }));
  for (const print of lines) print();
  return codes.find((code) => code !== Exit.OK) ?? Exit.OK;
}

/** One control server; answers how the session that is watched ended, if it did. */
async function watchOne(
  s2cs: string,
  { options, line, io, show, signal }: {
    options: WatchOptions;
    line: Reach;
    io: Io;
    show: View;
    signal: AbortSignal;
  },
): Promise<string | undefined> {
  const { uid, interval, count = Infinity, json } = options;
  const history = new History();
  let shown = 0;
  let shownMs = -Infinity;
  /** Came before its time. */
  let held: WatchUpdate | undefined;
  let last: WatchUpdate | undefined;
  const pass = (update: WatchUpdate) => {
    held = undefined;
    shown++;
    shownMs = update.at_ms;
    show.update(s2cs, update, history.take(update));
  };
  const updates = follow({
    open: () => openClient(parseAddress(s2cs), line, io),
    uid,
    signal,
    onBroken: ({ message }) => show.reconnecting(s2cs, message),
  });
  for await (const update of updates) {
    last = held = update;
    // A clock that was set back must not stop it.
    const isEarly = update.at_ms >= shownMs && update.at_ms < shownMs + interval - EARLY_MS;
    if (!isEarly) pass(update);
    if (shown >= count) return;
  }
  if (held) pass(held);
  const status = last?.sessions[0];
  if (!uid || !status || json) return undefined;
  const { state, reason } = status;
  return ["released", "expired", "failed"].includes(state)
    ? `is ${state}${reason && `: ${reason}`}`
    : "is over; it ended while there was no connection";
}

/** How updates are shown. */
interface View {
  update(s2cs: string, update: WatchUpdate, seen: Seen[]): void;
  /** There are no updates for now. */
  reconnecting(s2cs: string, why: string): void;
  /** There will be no more, which is told on stderr once nothing is drawn any more. */
  failed?(s2cs: string, why: string): void;
}

class JsonView implements View {
  readonly #io: Io;

  constructor(io: Io) {
    this.#io = io;
  }

  update(s2cs: string, { at_ms }: WatchUpdate, seen: Seen[]): void {
    const sessions = seen.map(({ status, rates }) => ({
      ...status,
      channels: status.channels.map((channel, i) => ({
        ...channel,
        bits_per_second_to_target: Math.round(rates[i]?.toTarget.at(-1) ?? 0),
        bits_per_second_from_target: Math.round(rates[i]?.fromTarget.at(-1) ?? 0),
      })),
    }));
    this.#io.paint(`${printable(jsonLine("watch", { s2cs, at_ms, sessions }))}\n`);
  }

  reconnecting(s2cs: string, why: string): void {
    this.#io.err(`${s2cs}: reconnecting: ${why}`);
  }
}

/** A line for each session that has news. */
class LineView implements View {
  readonly #io: Io;
  readonly #told = new Map<string, Map<string, string>>();

  constructor(io: Io) {
    this.#io = io;
  }

  update(s2cs: string, { at_ms }: WatchUpdate, seen: Seen[]): void {
    const before = this.#told.get(s2cs);
    const now = new Map(seen.map((each) => [each.status.session, sessionLine(each)]));
    const gone = [...before?.keys() ?? []].filter((session) => !now.has(session))
      .map((session) => `${session} is over`);
    const news = [...now].filter(([session, text]) => before?.get(session) !== text)
      .map(([, text]) => text);
    const none = !before && now.size === 0 ? ["no sessions"] : [];
    for (const text of [...gone, ...news, ...none]) {
      this.#io.paint(`${new Date(at_ms).toISOString()} ${s2cs} ${text}\n`);
    }
    this.#told.set(s2cs, now);
  }

  reconnecting(s2cs: string, why: string): void {
    this.#io.err(`${s2cs}: reconnecting: ${why}`);
  }
}

/** Everything, drawn again in the same place. */
class ScreenView implements View {
  readonly #screen: Screen;
  readonly #servers: Watched[];
  readonly #inFull: boolean;

  constructor(io: Io, s2cs: readonly string[], inFull: boolean) {
    this.#screen = new Screen(io);
    this.#servers = s2cs.map((s2cs) => ({ s2cs, atMs: 0, sessions: [], trouble: "" }));
    this.#inFull = inFull;
  }

  update(s2cs: string, { at_ms }: WatchUpdate, sessions: Seen[]): void {
    this.#change(s2cs, { atMs: at_ms, sessions, trouble: "" });
  }

  reconnecting(s2cs: string, why: string): void {
    this.#change(s2cs, { trouble: `reconnecting: ${why}` });
  }

  failed(s2cs: string, trouble: string): void {
    this.#change(s2cs, { trouble });
  }

  #change(s2cs: string, change: Partial<Watched>): void {
    const server = this.#servers.find((each) => each.s2cs === s2cs);
    if (server) Object.assign(server, change);
    const { columns } = this.#screen.size;
    this.#screen.draw(viewLines(this.#servers, { columns, inFull: this.#inFull }));
  }
}
