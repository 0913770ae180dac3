/**
 * The real gateway beside the model: makes the calls, and keeps the worlds that fit what is seen.
 * @module
 */
import type { ControlClient } from "../../lib/protocol/client.ts";
import { messageOf } from "../../lib/protocol/errors.ts";
import type { SessionStatus } from "../../proto/messages.ts";
import { type Call, emptyWorld, type Slot, type World } from "../model.ts";
import { Names, type Outcome, refused, send } from "./calls.ts";
import { Control, type Plan } from "./control.ts";
import { OK, UNKNOWN } from "./effects.ts";
import type { Tally } from "./tally.ts";
import { View } from "./view.ts";
import { after, byThemselves, quiet } from "./worlds.ts";

/** What must be there soon is there after so many questions: each takes the gateway a moment. */
const MOST_ASKS = 300;
/** What takes longer hangs. */
const PATIENCE_MS = 10_000;
const PATIENTLY = { deadlineMs: PATIENCE_MS };

/** A call under way. */
interface Open {
  call: Call;
  /** State of its session before, where no other call was made at the same time. */
  state?: string;
  outcome?: Outcome;
  ended: Promise<void>;
  abort: AbortController;
}

/** One gateway for many sequences. */
export class Driver implements AsyncDisposable {
  readonly #plan: Plan;
  readonly #tally: Tally;
  readonly #control: Control;
  #worlds: World[] = [];
  #names: Names;
  #view: View;
  readonly #open = new Map<number, Open>();
  #nextTicket = 1;
  /** Then list is enough: status was compared on the way. */
  #finishing = false;
  /** What it holds is not known: the next sequence gets another. */
  #broken = false;

  private constructor(plan: Plan, tally: Tally, control: Control) {
    this.#plan = plan;
    this.#tally = tally;
    this.#control = control;
    this.#names = new Names(plan.apps);
    this.#view = new View(this.#names, control.ports);
  }

  static async start(plan: Plan, tally: Tally): Promise<Driver> {
    return new Driver(plan, tally, await Control.start(plan));
  }

  /** A new sequence, with uids of its own. */
  async begin(): Promise<void> {
    for (const { abort } of this.#open.values()) abort.abort();
    this.#open.clear();
    if (this.#broken) await this.#control.anew();
    this.#broken = true;
    this.#finishing = false;
    this.#control.forget();
    this.#worlds = [emptyWorld()];
    this.#names = new Names(this.#plan.apps);
    this.#view = new View(this.#names, this.#control.ports);
    this.#nextTicket = 1;
    this.#tally.sequences++;
  }

  /** Ends whatever is left; afterwards nothing is held, and all ports can be had. */
  async finish(): Promise<void> {
    this.#finishing = true;
    await this.#releaseAll();
    // Hellos that still wait get their req: after it none does, and none was forgotten.
    for (const slot of this.#names.slots) {
      const waits = this.#worlds.some(({ early }) => early.some((hello) => hello.slot === slot));
      if (!waits) continue;
      await this.step([{ kind: "req", slot, role: "CONS", num: 1, rate: 0 }]);
      await this.#releaseAll();
    }
    const { ports, maxConn } = this.#plan.limits;
    const slots = this.#names.slots.slice(0, Math.ceil(ports / maxConn));
    await this.step(slots.map((slot, i) => {
      const num = Math.min(maxConn, ports - i * maxConn);
      return { kind: "req", slot, role: "PROD", num, rate: 0 };
    }));
    await this.#releaseAll();
    if (this.#control.stored > 0) throw new Error("sessions that are gone are in the file");
    if (this.#open.size > 0) throw new Error(`still open: ${this.#describeOpen()}`);
    this.#broken = false;
  }

  /** Makes the calls at once, and sees that there is a world in which all is as it should be. */
  async step(calls: Call[]): Promise<void> {
    const before = this.#worlds;
    const made = calls.map((call) => ({ ticket: this.#nextTicket++, call: this.#aimed(call) }));
    const state = calls.length === 1 ? stateOf(before, calls[0] as Call) : undefined;
    this.#worlds = after(before, made, this.#plan.limits);
    this.#tally.steps++;
    try {
      await Promise.all(made.map(({ ticket, call }) => this.#make(ticket, call, state)));
      await this.#reconcile();
      await this.#compareList(await this.#arrived(made.map(({ ticket }) => ticket)));
      if (!this.#finishing) await this.#compareStatus((calls[0] as Call).slot);
      await this.#reconcile();
      const [world, ...others] = this.#worlds;
      if (this.#plan.tcp && world && others.length === 0) await this.#view.tryPorts(world);
    } catch (error) {
      throw this.#explained(error, before);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { abort } of this.#open.values()) abort.abort();
    await this.#control[Symbol.asyncDispose]();
  }

  async #releaseAll(): Promise<void> {
    const known = this.#worlds.flatMap(({ sessions }) => sessions.map(({ slot }) => slot));
    const calls = [...new Set(known)].map((slot): Call => ({ kind: "release", slot, force: true }));
    for (let i = 0; i < calls.length; i += 2) await this.step(calls.slice(i, i + 2));
  }

  /** A call that gives another up gets its ticket: of the oldest that is open for the uid. */
  #aimed(call: Call): Call {
    if (call.kind !== "cancel") return call;
    const [ticket] = [...this.#open].find(([, open]) => open.call.slot === call.slot) ?? [];
    return { ...call, ticket };
  }

  /** Starts a call, whose answer is not waited for; what is no call is done when it resolves. */
  async #make(ticket: number, call: Call, state?: string): Promise<void> {
    const abort = new AbortController();
    switch (call.kind) {
      case "cancel": {
        const aim = call.ticket === undefined ? undefined : this.#open.get(call.ticket);
        this.#tally.saw(call, aim ? OK : "nothing to give up", state);
        return aim?.abort.abort();
      }
      case "kill":
        this.#tally.kills++;
        this.#tally.saw(call, OK);
        return await this.#control.restart("SIGKILL");
      case "stop":
        this.#tally.stops++;
        this.#tally.saw(call, OK);
        return await this.#control.restart("SIGTERM");
      case "maim":
        this.#tally.maims++;
        this.#tally.saw(call, OK);
        return this.#control.maim();
      case "expire":
        this.#tally.saw(call, OK);
        return await this.#expire(this.#control.client(ticket));
    }
    const open: Open = { call, state, abort, ended: Promise.resolve() };
    const sent = send(this.#control.client(ticket), call, this.#names, abort.signal);
    open.ended = sent.then((outcome) => void (open.outcome = outcome));
    this.#open.set(ticket, open);
  }

  /** Until all that waits is answered, and the log tells that what waits for its update is over. */
  async #expire(client: ControlClient): Promise<void> {
    await this.#patiently([...this.#open.values()].map(({ ended }) => ended));
    this.#control.forget();
    const { sessions } = await client.call("list", {}, PATIENTLY);
    const ready = sessions.filter(({ state }) => state === "ready");
    await this.#patiently(
      ready.map(({ session }) => this.#control.says(new RegExp(`${session}: ready → expired`))),
    );
  }

  /** Answers a client to ask with, once every call has reached the control server. */
  async #arrived(tickets: number[]): Promise<ControlClient> {
    // What is pending was sent before these questions, on the same connections.
    const pending = tickets.filter((ticket) => this.#open.has(ticket));
    const clients = new Set(pending.map((ticket) => this.#control.client(ticket)));
    const [first = this.#control.client(0), ...others] = clients;
    await Promise.all(others.map((client) => client.call("list", {}, PATIENTLY)));
    return first;
  }

  /** Waits for whatever is answered in every world; keeps the worlds that say what was. */
  async #reconcile(): Promise<void> {
    for (;;) {
      const settled = [...this.#open].flatMap(([ticket, { outcome }]) =>
        outcome ? [{ ticket, outcome }] : []
      );
      const worlds = byThemselves(this.#worlds, this.#plan.limits).filter(({ answers }) =>
        settled.every(({ ticket, outcome }) => this.#view.fits(answers[ticket], outcome))
      );
      if (worlds.length === 0) throw new Error(`no world fits\n${this.#describeOpen()}`);
      this.#worlds = worlds;
      const due = [...this.#open].filter(([ticket, { outcome }]) =>
        !outcome && worlds.every(({ answers }) => answers[ticket])
      );
      if (due.length === 0) break;
      await this.#patiently(due.map(([, { ended }]) => ended));
    }
    this.#close();
  }

  /** Counts what is answered, and forgets it. */
  #close(): void {
    for (const [ticket, { call, state, outcome }] of this.#open) {
      if (!outcome) continue;
      this.#tally.saw(call, outcome.label, state);
      this.#open.delete(ticket);
    }
    for (const { answers } of this.#worlds) {
      for (const ticket of Object.keys(answers).map(Number)) {
        if (!this.#open.has(ticket)) delete answers[ticket];
      }
    }
  }

  /** Asks for all sessions until a world in which nothing is under way fits the answer. */
  async #compareList(client: ControlClient): Promise<void> {
    let shown: SessionStatus[] = [];
    const { limits, tcp } = this.#plan;
    // Clocks and other processes take time while the gateway answers.
    const end = Date.now() + (limits.timed || tcp ? PATIENCE_MS : 0);
    for (let asks = 0; asks < MOST_ASKS || Date.now() < end; asks++) {
      shown = (await client.call("list", {}, PATIENTLY)).sessions;
      const worlds = byThemselves(this.#worlds, limits)
        .filter((world) => quiet(world) && this.#view.shows(world, shown));
      if (worlds.length === 0) continue;
      this.#worlds = worlds;
      return this.#view.learn(worlds, shown);
    }
    throw new Error(`list answers ${shown.map((each) => this.#view.describe(each)).join("\n")}`);
  }

  async #compareStatus(slot: Slot): Promise<void> {
    const uid = this.#names.uid(slot).reveal();
    const asked = await this.#control.client(0).call("status", { uid }, PATIENTLY).catch(refused);
    const worlds = byThemselves(this.#worlds, this.#plan.limits).filter(({ sessions }) => {
      const session = sessions.find((each) => each.slot === slot);
      if ("label" in asked) return !session && asked.label === UNKNOWN;
      return session !== undefined && this.#view.isAs(session, asked);
    });
    if (worlds.length === 0) {
      const shown = "label" in asked ? JSON.stringify(asked) : this.#view.describe(asked);
      throw new Error(`status of ${slot} answers ${shown}`);
    }
    this.#worlds = worlds;
  }

  /** Fails with what hangs, instead of hanging. */
  async #patiently(work: Promise<unknown>[]): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise((_, reject) => {
      const fail = () => reject(new Error(`does not happen, or\n${this.#describeOpen()}`));
      timer = setTimeout(fail, PATIENCE_MS);
    });
    try {
      await Promise.race([Promise.all(work), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #describeOpen(): string {
    return [...this.#open].map(([ticket, { call, outcome }]) =>
      `${ticket} ${JSON.stringify(call)}: ${outcome ? JSON.stringify(outcome) : "not answered"}`
    ).join("\n");
  }

  #explained(error: unknown, before: World[]): Error {
    const text = error instanceof Error ? error.message : messageOf(error);
    const show = (worlds: World[]) => worlds.map((world) => JSON.stringify(world)).join("\n  ");
    return new Error(
      `${text}\nbefore the step:\n  ${show(before)}\nafter it can be:\n  ${show(this.#worlds)}\n` +
        `the control server said:\n${this.#control.said}`,
    );
  }
}

/** State of the session that a call is about, where that is known. */
function stateOf([world, ...others]: World[], { slot }: Call): string | undefined {
  if (!world || others.length > 0) return undefined;
  const session = world.sessions.find((each) => each.slot === slot);
  const waits = world.early.some((each) => each.slot === slot);
  return session?.state ?? (waits ? "early" : "none");
}
