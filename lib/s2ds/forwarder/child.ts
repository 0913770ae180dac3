import { messageOf, ScistreamError } from "../../protocol/errors.ts";
import { selfCommand } from "../../self.ts";
import type { DataServerEvents } from "../data_server.ts";
import type { Traffic } from "../totals.ts";
import { pause, within } from "../wait.ts";
import { Link, LinkLost } from "./link.ts";
import type { Ask, Open, Reply } from "./wire.ts";

/** A child may take this long to start. */
const PATIENCE_MS = 10_000;
/** Whoever asks what was carried takes what is known after this time. */
const SOON_MS = 2_000;
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 5_000;

/** What a session should hold, whatever happens to the child. */
interface Wanted {
  open: Open;
  targets?: string[];
  record?: string;
}

/** How a child is set up. */
export interface ChildOptions {
  /** Holds its socket and log. */
  folder: string;
  /** Its name in there. */
  name: string;
  /** File descriptors that it may have. */
  maxFiles?: number;
}

/**
 * One s2ds process: it is started, or found where an earlier control server left it; and when it
 * dies another is started and given every session back.
 */
export class Child {
  readonly #options: ChildOptions;
  readonly #events: DataServerEvents;
  readonly #wanted = new Map<string, Wanted>();
  readonly #ending = new Map<string, number>();
  /** Sessions that are being opened or closed: what it holds of them is about to change. */
  readonly #changing = new Set<string>();
  #link = Promise.withResolvers<Link>();
  #attached?: Link;
  #child?: Deno.ChildProcess;
  readonly #stopping = new AbortController();

  constructor(options: ChildOptions, events: DataServerEvents) {
    this.#options = options;
    this.#events = events;
  }

  /** How many sessions it holds. */
  get load(): number {
    return this.#wanted.size;
  }

  /** Finds it, or starts it; answers the sessions that an earlier control server left there. */
  async attach(): Promise<ReadonlySet<string>> {
    this.#attached = await this.#connectOrSpawn();
    return await heldBy(this.#attached);
  }

  /** From `settle` on it holds this. */
  want(open: Open, targets: string[]): void {
    const { record } = open;
    this.#wanted.set(open.session, {
      open,
      targets: targets.length > 0 ? targets : undefined,
      record,
    });
  }

  /** A session that was ending: `settle` closes it, if that has not been begun. */
  letEnd(session: string, drainMs: number): void {
    this.#ending.set(session, drainMs);
  }

  /** Makes it hold what is wanted, and nothing else; before that nothing can be opened. */
  async settle(): Promise<void> {
    const link = this.#attached ?? await this.#connectOrSpawn();
    await this.#reconcile(link);
    this.#up(link);
  }

  /**
   * Finds out whether its runtime can be trusted to prove gateways.
   * @throws {ScistreamError} CONN_ERROR if not
   */
  async test(): Promise<void> {
    await this.#ask({ op: "test" });
  }

  async open(open: Open): Promise<void> {
    await this.#change(open.session, async () => {
      await this.#ask(open);
      this.#wanted.set(open.session, { open });
    });
  }

  async target(session: string, targets: string[], record: string): Promise<void> {
    const wanted = this.#find(session);
    await this.#ask({ op: "target", session, targets, record });
    wanted.targets = targets;
    wanted.record = record;
  }

  async limit(session: string, rate: number): Promise<void> {
    const wanted = this.#find(session);
    await this.#ask({ op: "limit", session, rate });
    wanted.open = { ...wanted.open, rate };
  }

  async close(session: string, drainMs: number): Promise<void> {
    this.#wanted.delete(session);
    try {
      const close = { op: "close", session, drainMs } as const;
      await this.#change(session, () => this.#ask(close, drainMs + PATIENCE_MS));
    } catch (error) {
      // A child that died took its listeners along, and the next one is not given this session.
      if (!(error instanceof LinkLost)) throw error;
    }
  }

  /** Ends what no session has; what is missing, it is asked for again. Answers what became of that. */
  async reconcile(): Promise<{ back: string[]; missing: string[] }> {
    const link = await this.#ready();
    const before = new Map(this.#wanted);
    const held = await heldBy(link);
    const { onLog } = this.#events;
    for (const session of held) {
      if (this.#wanted.has(session) || this.#changing.has(session)) continue;
      onLog("warn", `the data server held a session that nobody has; it is closed`);
      await link.ask({ op: "close", session, drainMs: 0 });
    }
    const back: string[] = [];
    const missing: string[] = [];
    for (const [session, wanted] of before) {
      if (held.has(session) || this.#wanted.get(session) !== wanted) continue;
      try {
        await this.#fill(link, session, wanted, false);
        back.push(session);
      } catch (error) {
        if (error instanceof LinkLost) throw error;
        missing.push(session);
      }
    }
    return { back, missing };
  }

  /** The records of what a data server at this control socket holds; none if nobody is there. */
  static async recordsAt(socket: string): Promise<Map<string, string>> {
    const records = new Map<string, string>();
    let link: Link;
    try {
      link = await Link.connect(socket, () => {});
    } catch {
      return records;
    }
    for (const session of await heldBy(link)) {
      const reply = await link.ask({ op: "record", session });
      if ("record" in reply && reply.record !== "") records.set(session, reply.record);
    }
    link.close();
    return records;
  }

  /** What it holds of a session, or would if it were there. */
  held(session: string): { targets?: string[]; record?: string; rate?: number } {
    const { open, targets, record } = this.#wanted.get(session) ?? {};
    return { targets, record, rate: open?.rate };
  }

  status(session: string): Promise<Reply> {
    return this.#ask({ op: "status", session });
  }

  /** What it has carried since its process began, with that; undefined if it does not answer soon. */
  async traffic(): Promise<{ process: string; traffic: Traffic } | undefined> {
    try {
      const link = await this.#ready(SOON_MS);
      const reply = await link.ask({ op: "traffic" }, SOON_MS);
      return "traffic" in reply ? { process: String(link.pid), traffic: reply.traffic } : undefined;
    } catch {
      return undefined;
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    try {
      const link = await this.#ready(1_000);
      await link.ask({ op: "shutdown" }, 1_000);
    } catch {
      // It does not listen any more: the signal will do.
      try {
        this.#child?.kill("SIGKILL");
      } catch {
        // It is gone.
      }
    }
    await this.#child?.status;
  }

  /** Lets go of it; it ends by itself once it holds no session. */
  async leave(): Promise<void> {
    this.#stopping.abort();
    // One that is just being restarted has nobody to let go of.
    await this.#ready(1_000).then((link) => link.close(), () => {});
  }

  /** Ends what an earlier control server left at this control socket, if anything. */
  static async end(socket: string): Promise<void> {
    try {
      const link = await Link.connect(socket, () => {});
      await link.ask({ op: "shutdown" }, 1_000);
    } catch {
      // Nobody is there, or one of another version, which ends when its connections have.
    }
  }

  /** Its control socket. */
  get socket(): string {
    return `${this.#options.folder}/${this.#options.name}.sock`;
  }

  #find(session: string): Wanted {
    const wanted = this.#wanted.get(session);
    if (wanted) return wanted;
    throw new ScistreamError("CONN_ERROR", "the data server lost this session");
  }

  async #ask(ask: Ask, patienceMs?: number): Promise<Reply> {
    const link = await this.#ready();
    try {
      return await link.ask(ask, patienceMs);
    } catch (error) {
      if (!(error instanceof LinkLost) || this.#stopping.signal.aborted) throw error;
      // It died with the question. The next one is given what it held, and then asked the same.
      await link.lost;
      return await (await this.#ready()).ask(ask, patienceMs);
    }
  }

  /** The link to a living child; waits for one while it is being restarted. */
  async #ready(patienceMs = PATIENCE_MS): Promise<Link> {
    return await within(
      patienceMs,
      this.#link.promise,
      () => new ScistreamError("CONN_ERROR", "the data server (s2ds) does not start"),
    );
  }

  #connect(): Promise<Link> {
    return Link.connect(this.socket, (session, note) => this.#events.onNote(session, note));
  }

  async #connectOrSpawn(): Promise<Link> {
    try {
      const link = await this.#connect();
      this.#events.onLog("info", `took over the running data server, process ${link.pid}`);
      return link;
    } catch {
      // None is there.
    }
    const { folder, name, maxFiles } = this.#options;
    const child = selfCommand(
      [
        "s2ds",
        ...["--control-socket", this.socket],
        ...["--log-file", `${folder}/${name}.log`],
        ...maxFiles === undefined ? [] : ["--max-files", String(maxFiles)],
      ],
      { folders: [folder] },
      { stdin: "null", stdout: "piped", stderr: "null", detached: true },
    ).spawn();
    this.#child = child;
    const first = await within(PATIENCE_MS, firstLine(child.stdout), () => {
      child.kill("SIGKILL");
      return new ScistreamError("CONN_ERROR", "the data server (s2ds) did not start in time");
    });
    if (first !== "ready") {
      const { code, signal } = await child.status;
      throw new ScistreamError(
        "CONN_ERROR",
        `the data server (s2ds) did not start (${signal ?? `exit code ${code}`}): ${
          first || `see ${folder}/${name}.log`
        }`,
      );
    }
    return await this.#connect();
  }

  #up(link: Link): void {
    this.#link.resolve(link);
    link.lost.then((why) => {
      if (this.#stopping.signal.aborted) return;
      this.#link = Promise.withResolvers();
      this.#restart(why);
    });
  }

  async #restart(why: string): Promise<void> {
    this.#events.onRestart?.();
    this.#events.onLog(
      "error",
      `the data server is gone (${why}); starting another for ${this.load} sessions`,
    );
    const { signal } = this.#stopping;
    for (let wait = FIRST_RETRY_MS; !signal.aborted; wait = Math.min(wait * 2, LAST_RETRY_MS)) {
      try {
        const link = await this.#connectOrSpawn();
        const back = await this.#reconcile(link);
        this.#events.onLog("info", `the data server is back, process ${link.pid}`);
        // Only now: meanwhile calls have waited, which they would not for a session that is down. Its
        // connections were cut all the same, and its user may wonder why.
        for (const session of back) {
          this.#events.onDown(session, `a data server (s2ds) was gone: ${why}`);
          this.#events.onUp(session);
        }
        return this.#up(link);
      } catch (error) {
        this.#events.onLog("error", `${messageOf(error)}; trying again`);
        await pause(wait, signal);
      }
    }
  }

  /** Makes the child hold what is wanted, and nothing else; answers the sessions that it holds now. */
  async #reconcile(link: Link): Promise<string[]> {
    const back: string[] = [];
    const held = await heldBy(link);
    for (const session of held) {
      if (this.#wanted.has(session)) continue;
      const drainMs = this.#ending.get(session) ?? 0;
      const closed = link.ask({ op: "close", session, drainMs }, drainMs + PATIENCE_MS);
      // Whoever may take the time to end is not waited for.
      if (drainMs === 0) await closed;
      else closed.catch(() => {});
    }
    this.#ending.clear();
    await Promise.all([...this.#wanted].map(async ([session, wanted]) => {
      try {
        await this.#fill(link, session, wanted, held.has(session));
        back.push(session);
      } catch (error) {
        if (error instanceof LinkLost) throw error;
        this.#events.onFault(session, `channels could not be brought back: ${messageOf(error)}`);
      }
    }));
    return back;
  }

  async #fill(
    link: Link,
    session: string,
    { open, targets, record }: Wanted,
    isHeld: boolean,
  ): Promise<void> {
    if (!isHeld) await link.ask(open);
    if (targets) await link.ask({ op: "target", session, targets, record });
  }

  async #change<T>(session: string, act: () => Promise<T>): Promise<T> {
    this.#changing.add(session);
    try {
      return await act();
    } finally {
      this.#changing.delete(session);
    }
  }
}

async function heldBy(link: Link): Promise<Set<string>> {
  const reply = await link.ask({ op: "sessions" });
  return new Set("sessions" in reply ? reply.sessions : []);
}

/** The first line of a child's output; what comes later is thrown away. */
async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const part of stream.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (text.includes("\n")) break;
  }
  return text.split("\n", 1)[0] ?? "";
}
