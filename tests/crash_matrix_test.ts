// kill -9 of s2cs at every step of a session's life, for one type of data server of each kind: whatever
// was half done is finished or undone by the next s2cs, and a stream beside it never notices.
import { assert, assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { FAULT_POINTS, type FaultPoint } from "../lib/fault_points.ts";
import type { Endpoint } from "../lib/protocol/endpoint.ts";
import { Uid } from "../lib/protocol/uid.ts";
import type { SessionStatus } from "../proto/messages.ts";
import { dial, echoes, EchoServer, nameAt, NamedServer, roundTrip } from "./echo.ts";
import { Engine, whyNoEngine } from "./engine.ts";
import { eventually, Gateway, leftOutIf, listeningPorts, portRange } from "./harness.ts";
import { call, calling, session } from "./oauth/gateway.ts";
import { EndlessFlow } from "./endless_flow.ts";
import { pidsBelow } from "./pair.ts";

const { ignore, because } = leftOutIf(whyNoEngine());

/** Where there are no proxies, there are no files of theirs. */
const OF_PROXIES: FaultPoint[] = ["req.prepared", "update.prepared", "release.ended"];
const TYPES: Record<string, readonly FaultPoint[]> = {
  S2DS: FAULT_POINTS.filter((point) => !OF_PROXIES.includes(point)),
  HaproxySubprocess: FAULT_POINTS,
  Haproxy: FAULT_POINTS,
};

for (const [type, points] of Object.entries(TYPES)) {
  Deno.test({
    name: `${type}: s2cs is killed at each of ${points.length} points${because}`,
    ignore,
    async fn(t) {
      await using stack = new AsyncDisposableStack();
      let engine: Engine | undefined;
      if (type === "Haproxy") {
        engine = stack.use(await Engine.start());
        await engine.images();
      }
      const matrix = stack.use(await Matrix.start(type, engine));
      for (const point of points) {
        await t.step(point, () => matrix.cell(point, "new"));
        // What a session already streams must survive its update's half.
        if (point.startsWith("update.")) {
          await t.step(`${point}, again`, () => matrix.cell(point, "streaming"));
        }
      }
      assertEquals([...matrix.visited].sort(), [...points].sort(), "each point was met");
      await matrix.end();
    },
  });
}

/** A gateway that is killed and started again, with a session that streams all the time beside. */
class Matrix implements AsyncDisposable {
  readonly visited = new Set<string>();
  readonly #stack = new AsyncDisposableStack();
  readonly #range = portRange(6);
  readonly #bystander = newUid();
  #gateway!: Gateway;
  #flow!: EndlessFlow;
  #echo!: EchoServer;
  #first!: NamedServer;
  #second!: NamedServer;

  private constructor(readonly type: string, readonly engine: Engine | undefined) {}

  static async start(type: string, engine: Engine | undefined): Promise<Matrix> {
    const matrix = new Matrix(type, engine);
    const stack = matrix.#stack;
    const echo = matrix.#echo = stack.use(new EchoServer());
    matrix.#first = stack.use(new NamedServer("first"));
    matrix.#second = stack.use(new NamedServer("second"));
    const gateway = matrix.#gateway = stack.use(await Gateway.start(...matrix.#flags));
    const app = String(echo.endpoint);
    const listener = await session(gateway, undefined, matrix.#bystander, { app });
    matrix.#flow = stack.use(await EndlessFlow.start(listener));
    return matrix;
  }

  get #flags(): string[] {
    return [
      `--type=${this.type}`,
      ...["--wan=plain", "--workers=1", "--drain-timeout=60"],
      `--port-range=${this.#range.text}`,
      ...this.engine ? [`--docker-socket=${this.engine.socket}`] : [],
    ];
  }

  /** Kills at this point what a session goes through, and looks at what the next s2cs makes of it. */
  async cell(point: FaultPoint, victim: "new" | "streaming"): Promise<void> {
    const uid = newUid();
    const [step] = point.split(".");
    const isThere = step === "release" || step === "recovery" || victim === "streaming";
    // While it drains, its connections go on.
    const drains = point === "release.recorded";
    const app = drains ? this.#echo : this.#first;
    const listener = isThere ? await this.#session(uid, app) : undefined;
    const conn = drains ? await dial(listener as string) : undefined;
    if (conn) await roundTrip(conn, "before");
    const gateway = this.#gateway;
    await gateway.process.stop("SIGKILL");
    // The sessions that proxies are taken over for are given their targets once more.
    const before = point === "update.prepared" ? (isThere ? 2 : 1) : 0;
    gateway.env = { SCISTREAM_FAULT_POINT: `${point}:${before + 1}` };
    if (point === "recovery.rebuilding") this.#damage();
    const launched = this.#launch().then(() => true, () => false);
    if (step !== "recovery") {
      assert(await launched, "it starts, armed");
      if (step === "release") await this.#release(uid).catch(() => {});
      else await this.#make(uid, victim).catch(() => {});
      const isAlive = await this.#sessions().then(() => true, () => false);
      assert(!isAlive, "the point was not met");
    }
    const { err } = await gateway.process.ended;
    assertEquals((await gateway.process.child.status).signal, "SIGKILL", err);
    assert(err.includes(`fault point ${point}\n`), err);
    await launched;
    this.visited.add(point);

    gateway.env = {};
    await this.#launch();
    if (conn) {
      await roundTrip(conn, "after");
      conn.close();
      await eventually("it has drained", async () => {
        return await this.#assertAgreement(await this.#sessions()).then(() => true, () => false);
      });
    }
    const sessions = await this.#sessions();
    await this.#assertAgreement(sessions);
    const found = sessions.find((each) => each.session === Uid.parse(uid).session);
    if (found) await this.#assertWhole(found, uid);
    else if (listener) assert(!await echoes(listener), "nothing listens for it");
    if (step === "recovery" || victim === "streaming") assert(found, "it was there, and is");
    if (step === "release") assert(!found, "it was being released, and is");
    // Whatever became of it, its uid can be used.
    if (found) await this.#release(uid);
    await this.#session(uid);
    await this.#release(uid);
    await this.#assertAgreement(await this.#sessions());
    await this.#flow.assertGoesOn();
  }

  /** Nothing is left of anything. */
  async end(): Promise<void> {
    await this.#flow.stop();
    await this.#release(this.#bystander);
    const { code, err } = await this.#gateway.process.stop();
    assertEquals(code, 0, err);
    assertEquals([...Deno.readDirSync(this.#gateway.stateDir)], []);
    assertEquals(listeningPorts(this.#range), new Set());
    if (this.engine) assertEquals(await this.engine.containers(), []);
  }

  #launch(): Promise<void> {
    const port = Number(this.#gateway.address.split(":")[1]);
    return this.#gateway.launch(port, ...this.#flags);
  }

  /** Spoils the file of the sessions. */
  #damage(): void {
    const { stateDir } = this.#gateway;
    const [folder] = [...Deno.readDirSync(stateDir)].filter(({ isDirectory }) => isDirectory);
    const file = `${stateDir}/${folder?.name}/sessions.db`;
    for (const end of ["-wal", "-shm"]) Deno.removeSync(`${file}${end}`);
    Deno.writeTextFileSync(file, "no database ".repeat(1000));
  }

  #session(uid: string, { endpoint }: { endpoint: Endpoint } = this.#first): Promise<string> {
    return session(this.#gateway, undefined, uid, { app: String(endpoint) });
  }

  /** A new session up to its update, or another update of one that is there. */
  async #make(uid: string, victim: "new" | "streaming"): Promise<void> {
    if (victim === "new") return void await this.#session(uid);
    const remote_listeners = [String(this.#second.endpoint)];
    await call(this.#gateway, undefined, "update", { uid, role: "PROD", remote_listeners });
  }

  async #release(uid: string): Promise<void> {
    await call(this.#gateway, undefined, "release", { uid });
  }

  async #sessions(): Promise<SessionStatus[]> {
    return (await call(this.#gateway, undefined, "list")).sessions;
  }

  /** It serves what its status says, and can be gone on with. */
  async #assertWhole({ state, channels }: SessionStatus, uid: string): Promise<void> {
    const [{ listener, target } = { listener: "", target: "" }] = channels;
    assert(state === "ready" || state === "streaming", `${state} is neither whole nor gone`);
    // Who forwards already is not waiting for targets.
    assertEquals(target === "", state === "ready");
    if (state === "streaming") {
      const name = target === String(this.#second.endpoint) ? "second" : "first";
      assertEquals(await nameAt(listener), name, "it leads where its status says");
    }
    await calling(this.#gateway, undefined, async (client) => {
      const remote_listeners = [String(this.#second.endpoint)];
      await client.call("update", { uid, role: "PROD", remote_listeners });
    });
    await eventually("it goes on", async () => await nameAt(listener) === "second");
  }

  /** Ports, files, processes and containers are those of the sessions, and of nobody else. */
  async #assertAgreement(sessions: readonly SessionStatus[]): Promise<void> {
    const { stateDir } = this.#gateway;
    const told = sessions.flatMap(({ channels }) =>
      channels.map(({ listener }) => portOf(listener))
    );
    assertEquals(listeningPorts(this.#range), new Set(told), "ports");
    const [folder] = [...Deno.readDirSync(stateDir)].map(({ name }) => `${stateDir}/${name}`);
    using database = new DatabaseSync(`${folder}/sessions.db`, { readOnly: true }) as
      & DatabaseSync
      & Disposable;
    const rows = database.prepare("SELECT hash FROM session").all();
    const ids = new Set(sessions.map((each) => each.session));
    assertEquals(new Set(rows.map(({ hash }) => String(hash).slice(0, 8))), ids, "records");
    if (this.type === "S2DS") return;
    const entries = [...Deno.readDirSync(`${folder}/sessions`)].map(({ name }) => name).sort();
    const expected = [...ids].flatMap((id) => [`${id}…`, `${id}….record`]).sort();
    assertEquals(entries.map((name) => name.replace(/^(.{8})[0-9a-f]{8}/, "$1…")), expected);
    if (this.engine) {
      const containers = await this.engine.containers();
      assertEquals(containers.length, ids.size, `containers: ${containers}`);
    } else {
      // A master and its worker.
      await eventually(
        "processes",
        async () => (await pidsBelow(stateDir)).length === 2 * ids.size,
      );
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

function newUid(): string {
  return Uid.random().reveal();
}

function portOf(listener = ""): number {
  return Number(listener.slice(listener.lastIndexOf(":") + 1));
}
