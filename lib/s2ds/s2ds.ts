/**
 * Type `S2DS`: the built-in forwarder as one child process for all sessions of the gateway.
 * @module
 */
import type { Endpoint } from "../protocol/endpoint.ts";
import { messageOf, ScistreamError } from "../protocol/errors.ts";
import { selfCommand } from "../self.ts";
import { descriptorLimit } from "./forwarder/descriptors.ts";
import {
  type ChannelStatus,
  type DataServer,
  type DataServerEvents,
  type Home,
  type Opening,
  PortsInUse,
} from "./data_server.ts";
import {
  type Ask,
  type Greeting,
  lines,
  LineWriter,
  type Reply,
  WIRE_VERSION,
} from "./forwarder/wire.ts";

/** The child may take this long to start, and a question this long to be answered. */
const PATIENCE_MS = 10_000;
/** sockaddr_un, unix(7), less its end. */
const LONGEST_SOCKET_PATH = 107;
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 5_000;

/** What a session should hold, whatever happens to the child. */
interface Wanted {
  listeners: readonly Endpoint[];
  targets?: readonly Endpoint[];
}

/**
 * Drives the s2ds child: starts it or finds the one that an earlier control server left, and when
 * it dies starts another and gives it every session back.
 */
export class S2ds implements DataServer {
  readonly type = "S2DS";
  readonly #events: DataServerEvents;
  /** Holds the child's socket and log. */
  #folder = "";
  readonly #wanted = new Map<string, Wanted>();
  #link = Promise.withResolvers<Link>();
  #child?: Deno.ChildProcess;
  #stopping = false;

  constructor(events: DataServerEvents) {
    this.#events = events;
  }

  async start({ folder }: Home): Promise<void> {
    this.#folder = folder;
    if (this.#socket.length > LONGEST_SOCKET_PATH) {
      throw new ScistreamError(
        "BAD_FORMAT",
        `the socket path ${this.#socket} is longer than the ${LONGEST_SOCKET_PATH} characters that the system takes; choose a shorter --state-dir`,
      );
    }
    const link = await this.#connectOrSpawn();
    // First, so that no session can be opened between the two and be taken for a leftover.
    await this.#reconcile(link);
    this.#up(link);
  }

  async open({ uid, listeners }: Opening): Promise<void> {
    const link = await this.#ready();
    await link.ask({ op: "open", session: uid.hash, listeners: listeners.map(String) });
    this.#wanted.set(uid.hash, { listeners });
  }

  async target(session: string, targets: readonly Endpoint[]): Promise<void> {
    const wanted = this.#wanted.get(session);
    if (!wanted) throw new ScistreamError("CONN_ERROR", "the data server lost this session");
    const link = await this.#ready();
    await link.ask({ op: "target", session, targets: targets.map(String) });
    wanted.targets = targets;
  }

  async close(session: string, drainMs: number): Promise<void> {
    this.#wanted.delete(session);
    try {
      const link = await this.#ready();
      await link.ask({ op: "close", session, drainMs }, drainMs + PATIENCE_MS);
    } catch (error) {
      // A child that died took its listeners along, and the next one is not given this session.
      if (!(error instanceof LinkLost)) throw error;
    }
  }

  async status(session: string): Promise<ChannelStatus[]> {
    const link = await this.#ready();
    const reply = await link.ask({ op: "status", session });
    return "channels" in reply ? reply.channels : [];
  }

  async stop(): Promise<void> {
    this.#stopping = true;
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

  get #socket(): string {
    return `${this.#folder}/s2ds.sock`;
  }

  /** The link to a living child; waits for one while it is being restarted. */
  async #ready(patienceMs = PATIENCE_MS): Promise<Link> {
    return await within(
      patienceMs,
      this.#link.promise,
      () => new ScistreamError("CONN_ERROR", "the data server (s2ds) does not start"),
    );
  }

  async #connectOrSpawn(): Promise<Link> {
    try {
      const link = await Link.connect(this.#socket);
      this.#events.onLog("info", `took over the running data server, process ${link.pid}`);
      return link;
    } catch {
      // None is there.
    }
    const limit = await descriptorLimit();
    const child = selfCommand(
      [
        "s2ds",
        ...["--control-socket", this.#socket],
        ...["--log-file", `${this.#folder}/s2ds.log`],
        ...limit === undefined ? [] : ["--max-files", String(limit)],
      ],
      { folders: [this.#folder] },
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
          first || `see ${this.#folder}/s2ds.log`
        }`,
      );
    }
    return await Link.connect(this.#socket);
  }

  #up(link: Link): void {
    this.#link.resolve(link);
    link.lost.then((why) => {
      if (this.#stopping) return;
      this.#link = Promise.withResolvers();
      this.#restart(why);
    });
  }

  async #restart(why: string): Promise<void> {
    this.#events.onLog(
      "error",
      `the data server is gone (${why}); starting another for ${this.#wanted.size} sessions`,
    );
    for (let wait = FIRST_RETRY_MS; !this.#stopping; wait = Math.min(wait * 2, LAST_RETRY_MS)) {
      try {
        const link = await this.#connectOrSpawn();
        await this.#reconcile(link);
        this.#events.onLog("info", `the data server is back, process ${link.pid}`);
        return this.#up(link);
      } catch (error) {
        this.#events.onLog("error", `${messageOf(error)}; trying again`);
        await new Promise((resolve) => setTimeout(resolve, wait * (0.5 + Math.random() / 2)));
      }
    }
  }

  /** Makes the child hold what is wanted, and nothing else. */
  async #reconcile(link: Link): Promise<void> {
    const reply = await link.ask({ op: "sessions" });
    const held = new Set("sessions" in reply ? reply.sessions : []);
    for (const session of held) {
      if (!this.#wanted.has(session)) await link.ask({ op: "close", session, drainMs: 0 });
    }
    await Promise.all([...this.#wanted].map(async ([session, wanted]) => {
      try {
        const listeners = wanted.listeners.map(String);
        if (!held.has(session)) await link.ask({ op: "open", session, listeners });
        const targets = wanted.targets?.map(String);
        if (targets) await link.ask({ op: "target", session, targets });
      } catch (error) {
        if (error instanceof LinkLost) throw error;
        this.#events.onFault(session, `channels could not be brought back: ${messageOf(error)}`);
      }
    }));
  }
}

class LinkLost extends ScistreamError {
  constructor(why: string) {
    super("CONN_ERROR", `the data server (s2ds) is gone: ${why}`);
  }
}

/** A connection to the child: numbered questions and their answers. */
class Link {
  readonly #conn: Deno.Conn;
  readonly #out: LineWriter;
  readonly #waiting = new Map<number, PromiseWithResolvers<Reply>>();
  #n = 0;
  /** Resolves, with the reason, when the connection ends. */
  readonly lost: Promise<string>;

  private constructor(conn: Deno.Conn, readonly pid: number, rest: AsyncGenerator<string>) {
    this.#conn = conn;
    this.#out = new LineWriter(conn);
    this.lost = this.#read(rest);
  }

  static async connect(path: string): Promise<Link> {
    const conn = await Deno.connect({ transport: "unix", path });
    try {
      const input = lines(conn);
      const first = await within(PATIENCE_MS, input.next(), () => new Error("no greeting"));
      const greeting = JSON.parse(first.value ?? "null") as Partial<Greeting> | null;
      if (greeting?.s2ds !== WIRE_VERSION) throw new Error("it speaks another version");
      return new Link(conn, greeting.pid ?? 0, input);
    } catch (error) {
      conn.close();
      throw error;
    }
  }

  async ask(ask: Ask, patienceMs = PATIENCE_MS): Promise<Reply> {
    const n = ++this.#n;
    const waiting = Promise.withResolvers<Reply>();
    this.#waiting.set(n, waiting);
    try {
      this.#out.send({ n, ...ask }).catch(() => this.#conn.close());
      const reply = await within(
        patienceMs,
        waiting.promise,
        () =>
          new ScistreamError("CONN_ERROR", `the data server (s2ds) does not answer (${ask.op})`),
      );
      if ("portsInUse" in reply) throw new PortsInUse(reply.portsInUse);
      if ("error" in reply) throw new ScistreamError(reply.code, `data server: ${reply.error}`);
      return reply;
    } finally {
      this.#waiting.delete(n);
    }
  }

  async #read(input: AsyncGenerator<string>): Promise<string> {
    let why = "its connection ended";
    try {
      for await (const line of input) {
        const reply = JSON.parse(line) as Reply;
        this.#waiting.get(reply.n)?.resolve(reply);
      }
    } catch (error) {
      why = messageOf(error);
    }
    for (const waiting of this.#waiting.values()) waiting.reject(new LinkLost(why));
    try {
      this.#conn.close();
    } catch {
      // Closed by a failed write.
    }
    return why;
  }
}

/** The promise, or the error once the time is over. */
async function within<T>(ms: number, promise: Promise<T>, late: () => Error): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), ms);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
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
