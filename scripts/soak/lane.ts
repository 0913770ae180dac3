/**
 * A soak of one data server type: its pair of gateways, its sessions, and what happens to them, one
 * decision after another.
 * @module
 */
import { Uid } from "../../lib/protocol/uid.ts";
import { within } from "../../lib/s2ds/wait.ts";
import { updateSession } from "../../lib/s2uc/requests.ts";
import { echoes } from "../../tests/echo.ts";
import type { Engine } from "../../tests/engine.ts";
import { Abandoned } from "./abandoned.ts";
import { type FaultAction, mayCut, type Scene, strike } from "./faults.ts";
import { Gateways } from "./gateways.ts";
import { type Action, plan, told } from "./plan.ts";
import { Rounds } from "./rounds.ts";
import type { Tally } from "./report.ts";
import { Application, forget, pause, Stream } from "./stream.ts";
import type { Turns } from "./turns.ts";

/** Sessions at once. */
const MOST = 4;
/** Decisions between two looks at what is left. */
const ROUND = 40;
/** Longer than anything takes, and shorter than anybody's patience. */
const HANG_MS = 240_000;
const REMEMBERED = 25;

/** What a lane is run with. */
export interface LaneOptions {
  tally: Tally;
  seed: number;
  /** Runs its sessions, if they are containers, with those of other lanes. */
  engine?: Engine;
  /** What touches the engine: all lanes with containers at once, or one that restarts it. */
  turns: Turns;
  /** The other lanes on the same engine, and this one. */
  neighbours: Set<Lane>;
  /** Makes a session that it does not remember. */
  leaks: boolean;
}

/** One type's soak. */
export class Lane {
  readonly #options: LaneOptions;
  readonly #stack = new AsyncDisposableStack();
  readonly #streams: Stream[] = [];
  readonly #abandoned = new Abandoned();
  readonly #last: string[] = [];
  readonly #apps: Application[] = [];
  #gateways!: Gateways;
  #rounds!: Rounds;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  get type(): string {
    return this.#options.tally.type;
  }

  /** What was done last, the latest at the end. */
  get last(): readonly string[] {
    return this.#last;
  }

  /** How control servers ended that nobody had ended. */
  get deaths(): string[] {
    return this.#gateways?.both.map(({ death }) => death).filter(Boolean) ?? [];
  }

  /** Bytes that were verified, also of streams that go on. */
  get bytes(): number {
    return this.#streams.reduce((sum, { bytes }) => sum + bytes, this.#options.tally.bytes);
  }

  /** Starts the gateways, and sees what they hold without sessions. */
  async start(): Promise<void> {
    const { engine, tally } = this.#options;
    this.#apps.push(this.#stack.use(new Application()), this.#stack.use(new Application()));
    const flags = engine ? [`--docker-socket=${engine.socket}`] : [];
    this.#gateways = this.#stack.use(await Gateways.start(this.type, flags));
    this.#rounds = new Rounds(this.#gateways, engine, tally);
    // What a runtime loads at its first session is no leak.
    const stream = await this.#make(Uid.random(), 2, 1);
    await stream.assertWorks();
    await this.#release(stream, false);
    await this.#rounds.begin();
  }

  /** Goes on until aborted, and then looks at what is left. */
  async run(signal: AbortSignal): Promise<void> {
    const { seed, leaks } = this.#options;
    let count = 0;
    for (const action of plan(seed, this.type)) {
      if (signal.aborted) break;
      this.#note(told(action));
      await this.#turn(action);
      if (this.deaths.length > 0) throw new Error("a control server is gone");
      if (++count % ROUND === 0) await this.#round();
      await pause(action.pauseMs);
    }
    if (leaks) await this.#forgetOne();
    await this.#round();
    await this.#rounds.end();
  }

  /** Keeps what could tell why it failed. */
  async keepEvidence(folder: string): Promise<void> {
    Deno.writeTextFileSync(`${folder}/actions`, this.#last.join("\n") + "\n");
    await Promise.all(this.#gateways.both.map((side) => side.keepEvidence(folder)));
  }

  /** The engine is about to be restarted, and then has been. */
  mayBeCut(): void {
    for (const stream of this.#streams) stream.mayBeCut();
  }

  async assertWorks(): Promise<void> {
    await Promise.all(this.#streams.map((stream) => stream.assertWorks()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#streams.map((stream) => stream.stop().catch(() => {})));
    await this.#stack.disposeAsync();
  }

  async #turn(action: Action): Promise<void> {
    const { engine, turns } = this.#options;
    const act = () =>
      within(HANG_MS, this.#act(action), () => new Error(`it hangs: ${told(action)}`));
    if (!engine) await act();
    else if (action.kind === "fault" && action.fault === "engine restarted") await turns.alone(act);
    else await turns.together(act);
  }

  async #act(action: Action): Promise<void> {
    switch (action.kind) {
      case "make": {
        if (this.#streams.length >= MOST) return;
        await this.#make(Uid.random(), action.channels, action.flows);
        return;
      }
      case "release": {
        const stream = this.#pick(action.which);
        if (stream) await this.#release(stream, action.force);
        return;
      }
      case "update":
        return await this.#update(this.#pick(action.which));
      case "look":
        return await this.#look(this.#pick(action.which));
      case "expire":
      case "cancel":
        return this.#abandon(action);
      case "fault":
        return await this.#suffer(action);
    }
  }

  #pick(which: number): Stream | undefined {
    return this.#streams[which % this.#streams.length];
  }

  async #make(uid: Uid, channels: number, flows: number): Promise<Stream> {
    const { tally } = this.#options;
    const isForwarded = this.type !== "Mock";
    const to = (this.#apps[0] as Application).endpoint;
    const stream = await Stream.make(this.#gateways, to, { uid, channels, isForwarded });
    this.#streams.push(stream);
    tally.made++;
    tally.alive = this.#streams.length;
    await stream.send(Math.min(flows, channels));
    return stream;
  }

  async #release(stream: Stream, force: boolean): Promise<void> {
    const { tally } = this.#options;
    await stream.release(force);
    this.#drop(stream);
    tally.released++;
  }

  #drop(stream: Stream): void {
    const { tally } = this.#options;
    this.#streams.splice(this.#streams.indexOf(stream), 1);
    tally.bytes += stream.bytes;
    tally.alive = this.#streams.length;
  }

  /** Another application for new connections; established ones stay where they are. */
  async #update(stream: Stream | undefined): Promise<void> {
    if (!stream) return;
    const to = this.#apps[this.#options.tally.updates++ % 2] as Application;
    await updateSession(this.#gateways.prod.client, stream.uid, "PROD", [String(to.endpoint)]);
    for (const listener of stream.isForwarded ? stream.listeners : []) {
      const before = to.connections;
      if (!await echoes(listener)) throw new Error(`no echo over ${listener} after its update`);
      if (to.connections === before) throw new Error(`${listener} leads to the old application`);
    }
    await stream.assertGoesOn();
  }

  async #look(stream: Stream | undefined): Promise<void> {
    for (const { client, where } of this.#gateways.both) {
      const { sessions } = await client.call("list", {});
      const listed = new Set(sessions.map(({ session }) => session));
      const missing = this.#streams.filter(({ uid }) => !listed.has(uid.session));
      if (missing.length > 0) throw new Error(`${where} does not list ${missing[0]?.uid}`);
    }
    await stream?.assertWorks();
  }

  /** A request that will not become a session. */
  #abandon(action: Extract<Action, { kind: "expire" | "cancel" }>): void {
    const { tally } = this.#options;
    const { endpoint } = this.#apps[0] as Application;
    if (!this.#abandoned.begin(action, this.#gateways[action.where], endpoint)) return;
    if (action.kind === "cancel") tally.cancelled++;
    else tally.expired++;
  }

  async #suffer(action: FaultAction): Promise<void> {
    const { engine, neighbours, tally } = this.#options;
    const side = this.#gateways[action.where];
    const isCommon = action.fault === "engine restarted";
    const all = isCommon ? [...neighbours] : [this];
    const { settle, meanwhile } = this.#during(action);
    const streams = [...this.#streams];
    const stream = streams[action.which % streams.length];
    const scene: Scene = { type: this.type, side, engine, streams, stream, meanwhile };
    for (const each of mayCut(action, scene)) each.mayBeCut();
    if (isCommon) { for (const lane of all) lane.mayBeCut(); }
    if (action.during !== "nothing") await pause(action.leadMs);
    const began = await strike(action, scene);
    await settle();
    await Promise.all(all.map((lane) => lane.assertWorks()));
    if (began !== undefined) tally.fault(action.fault, performance.now() - began);
  }

  /** Begins a call that the fault will find under way; `settle` makes its session whole or gone. */
  #during(
    { during, which, fault }: FaultAction,
  ): { meanwhile: Promise<unknown>; settle: () => Promise<void> } {
    const nothing = { meanwhile: Promise.resolve(), settle: () => Promise.resolve() };
    // An engine that is away can make and release nothing.
    if (fault === "engine restarted") return nothing;
    if (during === "make" && this.#streams.length < MOST) {
      const uid = Uid.random();
      const making = this.#make(uid, 1, 0).catch(() => undefined);
      return {
        meanwhile: making,
        settle: async () => {
          if (!await making) await forget(this.#gateways.both, uid);
        },
      };
    }
    const stream = this.#streams[(which + 1) % this.#streams.length];
    if (during !== "release" || !stream) return nothing;
    const { uid } = stream;
    stream.mayBeCut();
    this.#drop(stream);
    const releasing = forget(this.#gateways.both, uid).catch(() => {});
    return {
      meanwhile: releasing,
      settle: async () => {
        await releasing;
        await forget(this.#gateways.both, uid);
        await stream.stop();
        this.#options.tally.released++;
      },
    };
  }

  /** Releases everything, and looks at what is left of it. */
  async #round(): Promise<void> {
    const { engine, turns } = this.#options;
    const work = async () => {
      this.#note("round: release everything and look at what is left");
      for (const stream of [...this.#streams]) await this.#release(stream, true);
      await this.#abandoned.over();
      await this.#rounds.look();
    };
    await (engine ? turns.together(work) : work());
  }

  /** What a leak is, to see that it is found. */
  async #forgetOne(): Promise<void> {
    const stream = await this.#make(Uid.random(), 1, 0);
    this.#drop(stream);
  }

  #note(action: string): void {
    const stamp = new Date().toISOString().slice(11, 23);
    this.#last.push(`${stamp} ${action}, with ${this.#streams.length} sessions`);
    if (this.#last.length > REMEMBERED) this.#last.shift();
  }
}
