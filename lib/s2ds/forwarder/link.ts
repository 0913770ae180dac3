import { messageOf, ScistreamError } from "../../protocol/errors.ts";
import { PortsInUse } from "../data_server.ts";
import { NoAnswer, within } from "../wait.ts";
import {
  type Ask,
  type FromS2ds,
  type Greeting,
  lines,
  LineWriter,
  type Reply,
  WIRE_VERSION,
} from "./wire.ts";

/** A question may take this long to be answered. */
const PATIENCE_MS = 10_000;

/** The child is not there any more. */
export class LinkLost extends ScistreamError {
  constructor(why: string) {
    super("CONN_ERROR", `the data server (s2ds) is gone: ${why}`);
  }
}

/** A control server's connection to an s2ds: numbered questions and their answers. */
export class Link {
  readonly #conn: Deno.Conn;
  readonly #out: LineWriter;
  readonly #waiting = new Map<number, PromiseWithResolvers<Reply>>();
  readonly #note: (session: string, note: string) => void;
  #n = 0;
  /** Resolves, with the reason, when the connection ends. */
  readonly lost: Promise<string>;

  private constructor(
    conn: Deno.Conn,
    readonly pid: number,
    rest: AsyncGenerator<string>,
    note: (session: string, note: string) => void,
  ) {
    this.#conn = conn;
    this.#out = new LineWriter(conn);
    this.#note = note;
    this.lost = this.#read(rest);
  }

  /** @param note takes what the s2ds says unasked about a session */
  static async connect(
    path: string,
    note: (session: string, note: string) => void,
  ): Promise<Link> {
    const conn = await Deno.connect({ transport: "unix", path });
    try {
      const input = lines(conn);
      const first = await within(PATIENCE_MS, input.next(), () => new Error("no greeting"));
      const greeting = JSON.parse(first.value ?? "null") as Partial<Greeting> | null;
      if (greeting?.s2ds !== WIRE_VERSION) throw new Error("it speaks another version");
      return new Link(conn, greeting.pid ?? 0, input, note);
    } catch (error) {
      conn.close();
      throw error;
    }
  }

  /** Ends the connection, and nothing else. */
  close(): void {
    try {
      this.#conn.close();
    } catch {
      // Closed by the other end, or by a failed write.
    }
  }

  async ask(ask: Ask, patienceMs = PATIENCE_MS): Promise<Reply> {
    const n = ++this.#n;
    const waiting = Promise.withResolvers<Reply>();
    this.#waiting.set(n, waiting);
    try {
      this.#out.send({ n, ...ask }).catch(() => this.close());
      const reply = await within(
        patienceMs,
        waiting.promise,
        () => new NoAnswer(`the data server (s2ds) does not answer (${ask.op})`),
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
        const said = JSON.parse(line) as FromS2ds;
        if ("note" in said) this.#note(said.session, said.note);
        else this.#waiting.get(said.n)?.resolve(said);
      }
    } catch (error) {
      why = messageOf(error);
    }
    for (const waiting of this.#waiting.values()) waiting.reject(new LinkLost(why));
    this.close();
    return why;
  }
}
