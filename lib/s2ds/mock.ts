import {
  type Abilities,
  type ChannelStatus,
  type DataServer,
  idleChannel,
  type Opening,
  type Resumed,
} from "./data_server.ts";
import { probePorts } from "./probe.ts";
import { type Traffic, trafficOf } from "./totals.ts";

/** Forwards nothing, for integrating against the API (contract section 5). */
export class Mock implements DataServer {
  readonly type = "Mock";
  readonly abilities: Abilities = { limit: true, allow: true, protects: false };
  readonly #sessions = new Map<string, number>();

  start(_home: unknown, resumed: readonly Resumed[]): Promise<void> {
    for (const { opening, drainMs } of resumed) {
      if (drainMs !== undefined) continue;
      this.#sessions.set(opening.uid.hash, opening.listeners.length);
    }
    return Promise.resolve();
  }

  found(): Promise<string[]> {
    return Promise.resolve([]);
  }

  reconcile(): Promise<void> {
    return Promise.resolve();
  }

  open({ uid, listeners }: Opening): Promise<void> {
    return Promise.try(() => {
      probePorts(listeners);
      this.#sessions.set(uid.hash, listeners.length);
    });
  }

  target(): Promise<void> {
    return Promise.resolve();
  }

  limit(): Promise<void> {
    return Promise.resolve();
  }

  close(session: string): Promise<void> {
    this.#sessions.delete(session);
    return Promise.resolve();
  }

  status(session: string): Promise<ChannelStatus[]> {
    const channels = this.#sessions.get(session) ?? 0;
    return Promise.resolve(Array.from({ length: channels }, idleChannel));
  }

  traffic(): Promise<Traffic> {
    return Promise.resolve(trafficOf([]));
  }

  leave(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#sessions.clear();
    return Promise.resolve();
  }
}
