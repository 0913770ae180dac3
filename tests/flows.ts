/**
 * Conversations over one connection, written down as steps: what each end sends and reads, and how
 * it ends. Both ends run in the test's process, or in one of their own (in a network namespace):
 *
 *     flows.ts serve HOST:PORT                       prints each connection's outcome, a line of JSON
 *     flows.ts call HOST:PORT,… 'STEPS' 'STEPS'      the caller's steps, the server's; prints likewise
 *
 * Both are node:net: only its sockets can end in an RST.
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import { createHash, type Hash, randomBytes } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { scistream } from "./harness.ts";
import type { Pair } from "./pair.ts";

/**
 * What an end does, one after the other, with spaces between: `send:N` bytes, `read:N` bytes, `both:N`
 * at once, `read` up to the end, `fin` (sends no more), `reset`, `wait:MS`, `fill:N` (N times the
 * marker). After the last one the connection is closed, so nothing may be on its way then.
 */
export type Steps = string;

/** More than any test can send; who is given so much sends, and reads meanwhile, until something ends it. */
export const FOR_EVER: Steps = "both:1000000000000";

/** What an end has seen. */
export interface Outcome {
  sentBytes: number;
  sentSha256: string;
  gotBytes: number;
  gotSha256: string;
  /** `EOF`, or the code of the error that ended it, or one after the other; `open` where neither came. */
  end: string;
}

/** 64 bytes that are easily found in a capture. */
export const MARKER = "<<scistream marker, found where the payload is not encrypted !>>";

const BLOCK = 1 << 20;
const RANDOM = randomBytes(2 * BLOCK);

/** Some bytes, others each time. */
function block(length: number): Uint8Array {
  const start = Math.floor(Math.random() * BLOCK);
  return RANDOM.subarray(start, start + Math.min(length, BLOCK));
}

/** One end of a connection. */
class Peer {
  readonly #socket: net.Socket;
  readonly #chunks: AsyncIterator<Uint8Array<ArrayBuffer>>;
  readonly #failed: Promise<never>;
  #unread = new Uint8Array();
  #over = false;
  readonly #sent = createHash("sha256");
  readonly #got = createHash("sha256");
  #sentBytes = 0;
  #gotBytes = 0;

  constructor(socket: net.Socket, readonly onBytes: (got: number) => void = () => {}) {
    this.#socket = socket;
    // Else the end of what comes would be the end of what goes.
    this.#chunks = socket.iterator({ destroyOnReturn: false });
    this.#failed = new Promise((_, reject) => {
      socket.once("error", reject);
      socket.once("close", () => reject(Object.assign(new Error("closed"), { code: "CLOSED" })));
    });
    this.#failed.catch(() => {});
  }

  /** The next bytes, at most so many; undefined at the end. */
  async #next(most = Infinity): Promise<Uint8Array | undefined> {
    if (this.#unread.length === 0) {
      const { value, done } = await this.#chunks.next();
      this.#over = done === true;
      if (done) return undefined;
      this.#unread = value;
    }
    const bytes = this.#unread.subarray(0, most);
    this.#unread = this.#unread.subarray(bytes.length);
    return bytes;
  }

  /** A line, which does not count. */
  async line(): Promise<string> {
    let text = "";
    while (!text.endsWith("\n")) {
      const byte = await this.#next(1);
      if (!byte) throw Object.assign(new Error("no line"), { code: "EOF" });
      text += String.fromCharCode(byte[0] as number);
    }
    return text.trimEnd();
  }

  async write(bytes: Uint8Array): Promise<void> {
    const written = new Promise<void>((resolve, reject) =>
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve())
    );
    await Promise.race([written, this.#failed]);
  }

  async #send(length: number, what: (left: number) => Uint8Array): Promise<void> {
    for (let left = length; left > 0;) {
      const bytes = what(left);
      this.#sent.update(bytes);
      await this.write(bytes);
      this.#sentBytes += bytes.length;
      left -= bytes.length;
    }
  }

  /** Reads so many, or fewer up to the end. */
  async #read(length: number): Promise<void> {
    for (let left = length; left > 0;) {
      const bytes = await this.#next(left);
      if (!bytes) return;
      this.#got.update(bytes);
      this.#gotBytes += bytes.length;
      left -= bytes.length;
      this.onBytes(this.#gotBytes);
    }
  }

  async #step(step: string): Promise<void> {
    const [what, number] = step.split(":") as [string, string?];
    const n = Number(number ?? Infinity);
    if (what === "send") await this.#send(n, block);
    else if (what === "fill") await this.#send(n * MARKER.length, markers);
    else if (what === "read") await this.#read(n);
    else if (what === "both") await Promise.all([this.#read(n), this.#send(n, block)]);
    else if (what === "wait") await new Promise((resolve) => setTimeout(resolve, n));
    else if (what === "fin") {
      const shut = new Promise<void>((resolve) => this.#socket.end(() => resolve()));
      await Promise.race([shut, this.#failed]);
    } else if (what === "reset") this.#socket.resetAndDestroy();
    else throw new Error(`no such step: ${step}`);
  }

  /** Does the steps; whatever ends the connection before is in the outcome. */
  async perform(steps: Promise<Steps>): Promise<Outcome> {
    const ends: string[] = [];
    try {
      for (const step of (await steps).split(" ")) await this.#step(step);
    } catch (error) {
      if (!(error instanceof Error && "code" in error)) throw error;
      // What broke the connection, and not what that did to a write that was under way.
      ends.push(await this.#failed.catch(({ code }: NodeJS.ErrnoException) => code ?? "unknown"));
    }
    if (this.#over) ends.unshift("EOF");
    this.#socket.destroy();
    const sha256 = (hash: Hash) => hash.digest("hex");
    return {
      sentBytes: this.#sentBytes,
      sentSha256: sha256(this.#sent),
      gotBytes: this.#gotBytes,
      gotSha256: sha256(this.#got),
      end: ends.join(", ") || "open",
    };
  }
}

const MANY_MARKERS = new TextEncoder().encode(MARKER.repeat(BLOCK / MARKER.length));
const markers = (left: number) => MANY_MARKERS.subarray(0, left);

/** An application that does with each connection what its first line says. */
export class StepsServer implements AsyncDisposable {
  readonly #server: net.Server;
  readonly #open = new Set<net.Socket>();
  /** Told how many bytes a connection has got. */
  onBytes: (got: number) => void = () => {};
  /** Told of each connection's outcome. */
  onOutcome: (outcome: Outcome) => void = () => {};

  private constructor(server: net.Server) {
    this.#server = server;
    server.on("connection", (socket) => {
      this.#open.add(socket);
      socket.once("close", () => this.#open.delete(socket));
      const peer = new Peer(socket, (got) => this.onBytes(got));
      peer.perform(peer.line()).then((outcome) => this.onOutcome(outcome));
    });
  }

  static async start(at = new Endpoint("127.0.0.1", 0)): Promise<StepsServer> {
    const server = net.createServer({ allowHalfOpen: true });
    server.listen({ host: at.host, port: at.port, backlog: 512 });
    await once(server, "listening");
    return new StepsServer(server);
  }

  get endpoint(): Endpoint {
    const { address, port } = this.#server.address() as net.AddressInfo;
    return new Endpoint(address, port);
  }

  /** The outcomes of the next so many connections to end. */
  next(count: number): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    return new Promise((resolve) => {
      this.onOutcome = (outcome) => {
        if (outcomes.push(outcome) === count) resolve(outcomes);
      };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** Connects, tells the server its steps and does its own. */
export async function call(
  address: string,
  mine: Steps,
  theirs: Steps,
  onBytes?: (got: number) => void,
): Promise<Outcome> {
  const { host, port } = Endpoint.parse(address);
  const socket = net.connect({ host, port, allowHalfOpen: true });
  const peer = new Peer(socket, onBytes);
  return await peer.perform(peer.write(new TextEncoder().encode(`${theirs}\n`)).then(() => mine));
}

/** A stream to a server of steps. */
export async function stepping(pair: Pair) {
  const server = await StepsServer.start();
  const { cons: [address = ""] } = await pair.connect(server.endpoint);
  /** Does the steps at both ends; answers what each has seen. */
  const talk = async (client: Steps, theirs: Steps, onBytes?: (got: number) => void) => {
    const outcome = server.next(1);
    const seen = await call(address, client, theirs, onBytes);
    return { client: seen, server: (await outcome)[0] as Outcome };
  };
  return {
    server,
    talk,
    /** Likewise; each end must get what the other sent, up to its end. */
    async whole(client: Steps, theirs: Steps) {
      const seen = await talk(client, theirs);
      assertWhole([seen.client], [seen.server]);
      return seen;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Asserts that connections' ends, in any order, got what the others sent, up to its end. */
export function assertWhole(clients: Outcome[], servers: Outcome[]): void {
  const all = (of: Outcome[], ...keys: (keyof Outcome)[]) =>
    of.map((outcome) => keys.map((key) => outcome[key]).join(" ")).sort();
  const whole = (of: Outcome[]) => of.map(() => "EOF");
  assertEquals(all(clients, "end"), whole(clients));
  assertEquals(all(servers, "end"), whole(servers));
  assertEquals(
    all(clients, "gotBytes", "gotSha256", "sentBytes", "sentSha256"),
    all(servers, "sentBytes", "sentSha256", "gotBytes", "gotSha256"),
  );
}

/** Asserts that a connection was cut, and did not seem to end before; a write then may find its pipe broken. */
export function assertCut({ end }: Outcome, what: string): void {
  assertMatch(end, /^(ECONNRESET|EPIPE)$/, what);
}

/** Open files of each process. */
export function descriptors(pids: number[]): number[] {
  return pids.map((pid) => [...Deno.readDirSync(`/proc/${pid}/fd`)].length);
}

/** Memory of each process, in megabytes. */
export function residentMb(pids: number[]): number[] {
  const status = (pid: number) => Deno.readTextFileSync(`/proc/${pid}/status`);
  return pids.map((pid) => Number(/^VmRSS:\s+(\d+) kB/m.exec(status(pid))?.[1]) / 1024);
}

/** What `--wan` can be; before there was this flag, everything was plain. */
export async function wanModes(): Promise<{ mode: string; flags: string[] }[]> {
  const { out } = await scistream(["s2cs", "--help"]);
  if (!/--wan[ =]/.test(out)) return [{ mode: "plain", flags: [] }];
  return ["plain", "tls"].map((mode) => ({ mode, flags: [`--wan=${mode}`] }));
}

if (import.meta.main) {
  const [task, at = "", mine = "", theirs = ""] = Deno.args;
  if (task === "serve") {
    const server = await StepsServer.start(Endpoint.parse(at));
    server.onOutcome = (outcome) => console.log(JSON.stringify(outcome));
    console.log("serving");
  } else if (task === "call") {
    const calls = at.split(",").map((address) => call(address, mine, theirs));
    for (const outcome of await Promise.all(calls)) console.log(JSON.stringify(outcome));
  } else throw new Error("serve or call");
}
