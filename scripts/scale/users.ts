/**
 * The users of a simulated gateway: they ask for sessions, change and release some, and look at theirs.
 * @module
 */
import type { Principal } from "../../lib/auth/authenticator.ts";
import { Endpoint } from "../../lib/protocol/endpoint.ts";
import { ScistreamError } from "../../lib/protocol/errors.ts";
import { Uid } from "../../lib/protocol/uid.ts";
import type { Control } from "./control.ts";
import { clocked } from "./processor.ts";
import { Broken } from "./watched.ts";
import { Chance, type Wish } from "./world.ts";

const APPLICATION = [new Endpoint("10.9.9.9", 7000)];
const TARGETS = [new Endpoint("10.8.8.8", 6000), new Endpoint("10.8.8.9", 6000)];
/** Of so many sessions one is asked for and not used yet. */
const IDLE = 10;
/** After so many requests, a session is released, and another's rate is changed. */
const CHANGE = 10;

/** Milliseconds of calls, oldest first. */
export interface Timed {
  /** A request until it is answered, with its hello. */
  req: number[];
  update: number[];
  rerate: number[];
  release: number[];
}

interface Mine {
  uid: Uid;
  who: Principal;
  channels: number;
}

/** All users of one gateway. */
export class Users {
  readonly timed: Timed = { req: [], update: [], rerate: [], release: [] };
  readonly #chance: Chance;
  readonly #sessions: Mine[] = [];
  readonly #never = new AbortController().signal;
  control: Control;

  constructor(control: Control, seed: number) {
    this.control = control;
    this.#chance = new Chance(seed);
  }

  /** How many sessions they have. */
  get size(): number {
    return this.#sessions.length;
  }

  /** Asks for sessions until there are so many. */
  async grow(to: number): Promise<void> {
    for (let n = 1; this.size < to; n++) {
      await this.ask();
      if (n % CHANGE !== 0) continue;
      await this.#rerate(this.#chance.of(this.#sessions));
      await this.release(this.#chance.below(this.size));
    }
  }

  /** One session, from its request to its update. */
  async ask(): Promise<void> {
    const { gateway } = this.control;
    const { role, channels, rate, user }: Wish = this.#chance.wish();
    const uid = Uid.random();
    const who = { id: user, name: user, admin: false, expiresMs: Infinity };
    const isIdle = this.#chance.below(IDLE) === 0;
    await clocked(this.timed.req, async () => {
      const request = gateway.req({ uid, role, numConn: channels, rate }, this.#never, who);
      const hello = { uid, role, appListeners: role === "PROD" ? APPLICATION : [] };
      // Had the request failed, nobody would answer the hello.
      await Promise.race([request, gateway.hello(hello, this.#never, who)]);
      await request;
    });
    this.#sessions.push({ uid, who, channels });
    if (isIdle) return;
    await clocked(this.timed.update, () => gateway.update({ uid, targets: TARGETS }, who));
  }

  async #rerate({ uid, who }: Mine): Promise<void> {
    const { gateway } = this.control;
    const rate = this.#chance.rate();
    await clocked(this.timed.rerate, () => gateway.update({ uid, targets: [], rate }, who))
      .catch((error) => {
        // Its node has no more.
        if (!(error instanceof ScistreamError && error.code === "NO_RESOURCE")) throw error;
      });
  }

  /** Releases one of theirs. */
  async release(index: number): Promise<void> {
    const mine = this.#sessions[index] as Mine;
    const last = this.#sessions.pop() as Mine;
    if (last !== mine) this.#sessions[index] = last;
    await clocked(this.timed.release, () => this.control.gateway.release(mine.uid, true, mine.who));
  }

  /** Releases all. */
  async releaseAll(): Promise<void> {
    while (this.size > 0) await this.release(this.size - 1);
  }

  /** Asks for the status of so many sessions, one after the other; answers the milliseconds of each. */
  async statuses(count: number): Promise<number[]> {
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      const { uid, who } = this.#chance.of(this.#sessions);
      await clocked(times, () => this.control.gateway.status(uid, who));
    }
    return times;
  }

  /** That the gateway has what they have, and all of it runs. */
  async assertWhole(): Promise<void> {
    const { gateway, placement } = this.control;
    const reports = await gateway.list();
    const channels = this.#sessions.reduce((sum, mine) => sum + mine.channels, 0);
    const bad = reports.find(({ session }) => !["ready", "streaming"].includes(session.state));
    if (bad) throw new Broken(`${bad.session.uid} is ${bad.session.state}: ${bad.session.reason}`);
    if (reports.length !== this.size) {
      throw new Broken(`${reports.length} of ${this.size} sessions`);
    }
    if (placement.used !== channels) throw new Broken(`${placement.used} of ${channels} ports`);
  }
}
