/**
 * The s2ds process: an engine driven by one s2cs at a time over a Unix socket.
 * @module
 */
import { Networks } from "../../protocol/cidr.ts";
import { Endpoint } from "../../protocol/endpoint.ts";
import { messageOf, ScistreamError } from "../../protocol/errors.ts";
import { PortsInUse } from "../data_server.ts";
import { DescriptorBudget } from "./descriptors.ts";
import { Engine } from "./engine.ts";
import {
  type Answer,
  type Greeting,
  lines,
  LineWriter,
  type Numbered,
  parseAsk,
  WIRE_VERSION,
} from "./wire.ts";

/** Without a control server, an s2ds that holds no session ends after this long. */
const LONELY_MS = 10_000;
/** A session has one note in so long. */
const NOTE_MS = 5_000;

/** How an s2ds process is set up. */
export interface ControlOptions {
  /** Path of the Unix socket; its folder belongs to this user alone. */
  socket: string;
  /** File descriptors that this process may have. */
  maxFiles?: number;
  log: (message: string) => void;
  /** Called once the socket accepts connections. */
  onReady: () => void;
  /** Ends the process's work, cutting what it forwards. */
  signal: AbortSignal;
}

/**
 * Serves sessions until told to shut down, or until it holds none and no control server is there.
 * While it holds sessions it goes on without a control server, for the next one to take over.
 */
export async function serveEngine(options: ControlOptions): Promise<void> {
  const noted = new Map<string, number>();
  const engine = new Engine(
    new DescriptorBudget(options.maxFiles),
    (session, note) => {
      // Whoever knocks at a port must not fill the log: status has the last one, and counts them all.
      const now = performance.now();
      if (now - (noted.get(session) ?? -Infinity) < NOTE_MS) return;
      noted.set(session, now);
      notes?.send({ session, note }).catch(() => {});
    },
  );
  const records = new Map<string, string>();
  const ended = Promise.withResolvers<void>();
  const listener = listenPrivately(options.socket);
  let controller: Deno.Conn | undefined;
  let notes: LineWriter | undefined;
  let lonely = setTimeout(endIfIdle, LONELY_MS);

  function endIfIdle() {
    if (!controller && engine.sessions.length === 0) ended.resolve();
  }

  async function serve(conn: Deno.Conn) {
    const out = new LineWriter(conn);
    const greeting: Greeting = { s2ds: WIRE_VERSION, pid: Deno.pid };
    await out.send(greeting);
    notes = out;
    for await (const line of lines(conn)) {
      const ask = parseAsk(line);
      if (ask.op === "shutdown") {
        await out.send({ n: ask.n, ok: true });
        return ended.resolve();
      }
      if (ask.op === "close") noted.delete(ask.session);
      // Not awaited: a close that drains must not hold up the others.
      answer(engine, ask, records).then((reply) => out.send({ n: ask.n, ...reply }))
        .catch((error) => options.log(`reply not sent: ${messageOf(error)}`));
    }
  }

  async function accept() {
    for await (const conn of listener) {
      // The newest control server is the real one: the port it listens on is held by one at a time.
      controller?.close();
      controller = conn;
      clearTimeout(lonely);
      options.log("control server connected");
      serve(conn).catch((error) => options.log(`control connection: ${messageOf(error)}`))
        .finally(() => {
          if (controller !== conn) return;
          conn.close();
          controller = undefined;
          notes = undefined;
          options.log(`control server gone, ${engine.sessions.length} sessions go on`);
          lonely = setTimeout(endIfIdle, engine.sessions.length === 0 ? 0 : LONELY_MS);
        });
    }
  }

  options.signal.addEventListener("abort", () => ended.resolve(), { once: true });
  const accepting = accept().catch((error) => {
    if (!(error instanceof Deno.errors.BadResource)) options.log(messageOf(error));
  });
  options.onReady();
  await ended.promise;
  clearTimeout(lonely);
  listener.close();
  controller?.close();
  await accepting;
  await Promise.all(engine.sessions.map((session) => engine.close(session, 0)));
  try {
    Deno.removeSync(options.socket);
  } catch (error) {
    // On a disk that became read-only it stays; nobody answers there.
    if (!(error instanceof Deno.errors.NotFound)) options.log(messageOf(error));
  }
}

/** Answers one question; what goes wrong is an answer too. */
export async function answer(
  engine: Engine,
  ask: Exclude<Numbered, { op: "shutdown" }>,
  records: Map<string, string> = new Map(),
): Promise<Answer> {
  try {
    switch (ask.op) {
      case "open":
        await engine.open(ask.session, {
          ...ask,
          listeners: ask.listeners.map((at) => Endpoint.parse(at)),
          secret: ask.secret === undefined ? undefined : Uint8Array.fromHex(ask.secret),
          allow: ask.allow.map((texts) => Networks.parse(texts)),
        });
        if (ask.record !== undefined) records.set(ask.session, ask.record);
        return { ok: true };
      case "target":
        await engine.target(ask.session, ask.targets.map((to) => Endpoint.parse(to)));
        if (ask.record !== undefined) records.set(ask.session, ask.record);
        return { ok: true };
      case "limit":
        await engine.limit(ask.session, ask.rate);
        return { ok: true };
      case "close":
        records.delete(ask.session);
        await engine.close(ask.session, ask.drainMs);
        return { ok: true };
      case "status":
        return { channels: await engine.status(ask.session) };
      case "record":
        return { record: records.get(ask.session) ?? "" };
      case "test":
        await (await import("./self_test.ts")).selfTest();
        return { ok: true };
      case "sessions":
        // One that drains ends by itself, also where a later control server knows nothing of it.
        return { sessions: engine.held };
      case "traffic":
        return { traffic: engine.traffic };
    }
  } catch (error) {
    if (error instanceof PortsInUse) return { portsInUse: [...error.ports] };
    const code = error instanceof ScistreamError ? error.code : "CONN_ERROR";
    return { error: messageOf(error), code };
  }
}

/** A Unix socket that only this user can open. */
function listenPrivately(path: string): Deno.UnixListener {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const listener = Deno.listen({ transport: "unix", path });
  Deno.chmodSync(path, 0o600);
  return listener;
}
