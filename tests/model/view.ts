/**
 * Whether what is seen of the real gateway fits a world.
 * @module
 */
import { Endpoint } from "../../lib/protocol/endpoint.ts";
import type { SessionStatus } from "../../proto/messages.ts";
import { dial, readAll } from "../echo.ts";
import type { Answer, Session, World } from "../model.ts";
import type { Names, Outcome } from "./calls.ts";
import { OK } from "./effects.ts";

/** Compares, and remembers which ports each session was seen to have. */
export class View {
  readonly #names: Names;
  readonly #ports: readonly number[];
  /** By the ticket of the session's req. */
  readonly #listeners = new Map<number, string[]>();

  constructor(names: Names, ports: readonly number[]) {
    this.#names = names;
    this.#ports = ports;
  }

  /** Whether a call was answered as a world says; a world may say that it is not answered yet. */
  fits(answer: Answer | undefined, { label, listeners, prodListeners }: Outcome): boolean {
    if (!answer?.labels.includes(label)) return false;
    if (label !== OK || !listeners) return true;
    const { listenersOf, addresses = [[]] } = answer;
    const asKnown = listenersOf === undefined
      ? listeners.length === 0
      : this.#areOf(listenersOf, listeners);
    const told = addresses.map((numbers) => this.#names.addresses(numbers).join());
    return asKnown && (prodListeners === undefined || told.includes(prodListeners.join()));
  }

  /** Whether list answers a world's sessions, oldest first, no two of them with a port in common. */
  shows({ sessions }: World, shown: SessionStatus[]): boolean {
    const listeners = shown.flatMap(({ channels }) => channels.map(({ listener }) => listener));
    return sessions.length === shown.length && new Set(listeners).size === listeners.length &&
      sessions.every((session, i) => this.isAs(session, shown[i] as SessionStatus));
  }

  /** Whether this is a world's session. */
  isAs(session: Session, { channels, ...shown }: SessionStatus): boolean {
    const { slot, ticket, num, targets } = session;
    const told = targets.length > 0 ? this.#names.addresses(targets) : Array(num).fill("");
    return shown.session === this.#names.uid(slot).session && shown.role === session.role &&
      shown.state === session.state && withoutDeath(shown.reason) === session.reason &&
      shown.rate === session.rate && channels.length === num &&
      this.#areOf(ticket, channels.map(({ listener }) => listener)) &&
      channels.map(({ target }) => target).join() === told.join();
  }

  /** Keeps the listeners of sessions about which all worlds agree. */
  learn(worlds: World[], shown: SessionStatus[]): void {
    for (const [i, { channels }] of shown.entries()) {
      const [ticket, ...others] = new Set(worlds.map(({ sessions }) => sessions[i]?.ticket));
      if (ticket === undefined || others.length > 0) continue;
      this.#listeners.set(ticket, channels.map(({ listener }) => listener));
    }
  }

  /**
   * Connects: listeners that have targets lead there, and nobody listens on ports of no session.
   * @throws where that is not so
   */
  async tryPorts({ sessions }: World): Promise<void> {
    const free = new Set(this.#ports);
    for (const { ticket, targets } of sessions) {
      const listeners = this.#listeners.get(ticket);
      // When list was asked there were several worlds; the next step knows.
      if (!listeners) return;
      for (const [i, listener] of listeners.entries()) {
        free.delete(Endpoint.parse(listener).port);
        const target = targets[i];
        if (target === undefined) continue;
        const name = await nameSaidAt(listener);
        const wanted = this.#names.app(target).name;
        if (name !== wanted) throw new Error(`${listener} leads to "${name}", not to "${wanted}"`);
      }
    }
    for (const port of free) {
      const conn = await Deno.connect({ hostname: "127.0.0.1", port }).catch(() => undefined);
      conn?.close();
      if (conn) throw new Error(`somebody listens on port ${port}, which no session has`);
    }
  }

  /** For a person who looks for what went wrong. */
  describe({ session, role, state, reason, rate, channels }: SessionStatus): string {
    const ways = channels.map(({ listener, target }) => `${listener} → ${target}`);
    return JSON.stringify({ slot: this.#names.slotOf(session), role, state, reason, rate, ways });
  }

  /** A session's listeners stay what they were first seen to be. */
  #areOf(ticket: number, listeners: string[]): boolean {
    const known = this.#listeners.get(ticket);
    if (known) return known.join() === listeners.join();
    return listeners.map((text) => Endpoint.parse(text)).every(({ host, port }) =>
      host === "127.0.0.1" && this.#ports.includes(port)
    );
  }
}

/** What a target may take to say its name; one that takes longer says none. */
const PATIENCE_MS = 5_000;

/** The name of the application that a connection there leads to; empty if it leads nowhere. */
async function nameSaidAt(listener: string): Promise<string> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    using conn = await dial(listener);
    // A listener without targets holds its connections.
    timer = setTimeout(() => conn.close(), PATIENCE_MS);
    return new TextDecoder().decode(await readAll(conn));
  } catch {
    return "";
  } finally {
    clearTimeout(timer);
  }
}

/** That its data server died and came back is told of a session for a while, at a time of its own. */
function withoutDeath(reason: string): string {
  return /^recovered; before, a data server \(s2ds\) was gone/.test(reason) ? "" : reason;
}
