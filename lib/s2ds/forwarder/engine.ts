import type { Endpoint } from "../../protocol/endpoint.ts";
import { type ChannelStatus, PortsInUse } from "../data_server.ts";
import { Channel } from "./channel.ts";
import type { DescriptorBudget } from "./descriptors.ts";

interface Session {
  channels: Channel[];
  /** Set once the session is being closed. */
  closing?: { deadline: number; hurry: (drainMs: number) => void; done: Promise<void> };
}

/** The built-in forwarding engine: sessions' channels in this process. What its calls do stands at DataServer. */
export class Engine {
  readonly #sessions = new Map<string, Session>();
  readonly #budget: DescriptorBudget;

  constructor(budget: DescriptorBudget) {
    this.#budget = budget;
  }

  /** Keys of the sessions that it holds. */
  get sessions(): string[] {
    return [...this.#sessions.keys()];
  }

  async open(session: string, listeners: readonly Endpoint[]): Promise<void> {
    if (this.#sessions.has(session)) throw new Error(`session ${session} is open already`);
    const record: Session = { channels: [] };
    this.#sessions.set(session, record);
    const results = await Promise.allSettled(
      listeners.map((at) => Channel.listen(at, this.#budget)),
    );
    const failures: unknown[] = [];
    for (const result of results) {
      if (result.status === "fulfilled") record.channels.push(result.value);
      else failures.push(result.reason);
    }
    if (failures.length === 0) return;
    for (const channel of record.channels) channel.stopListening();
    this.#sessions.delete(session);
    const other = failures.find((failure) => !(failure instanceof PortsInUse));
    if (other) throw other;
    throw new PortsInUse((failures as PortsInUse[]).flatMap((failure) => failure.ports));
  }

  target(session: string, targets: readonly Endpoint[]): Promise<void> {
    const record = this.#sessions.get(session);
    if (!record || record.closing) throw new Error(`no session ${session}`);
    if (targets.length !== record.channels.length) {
      throw new Error(`${targets.length} targets for ${record.channels.length} channels`);
    }
    targets.forEach((to, i) => record.channels[i]?.target(to));
    return Promise.resolve();
  }

  close(session: string, drainMs: number): Promise<void> {
    const record = this.#sessions.get(session);
    if (!record) return Promise.resolve();
    if (record.closing) {
      record.closing.hurry(drainMs);
      return record.closing.done;
    }
    for (const channel of record.channels) channel.stopListening();
    const cut = () => record.channels.forEach((channel) => channel.cut());
    let timer = setTimeout(cut, drainMs);
    const done = Promise.all(record.channels.map((channel) => channel.drained())).then(() => {
      clearTimeout(timer);
      this.#sessions.delete(session);
    });
    record.closing = {
      deadline: Date.now() + drainMs,
      hurry: (ms) => {
        if (Date.now() + ms >= (record.closing?.deadline ?? 0)) return;
        clearTimeout(timer);
        timer = setTimeout(cut, ms);
      },
      done,
    };
    return done;
  }

  status(session: string): Promise<ChannelStatus[]> {
    const channels = this.#sessions.get(session)?.channels ?? [];
    return Promise.resolve(channels.map((channel) => channel.status));
  }
}
