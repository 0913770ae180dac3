/**
 * Which nodes Janus reaches.
 * @module
 */
import type { Janus } from "../../../janus/client.ts";
import type { Log } from "../../../log.ts";
import type { GatewayNode } from "../../data_server.ts";

/** The nodes that take sessions, among those that the flags name. */
export class OpenNodes {
  readonly #janus: Janus;
  readonly #all: readonly GatewayNode[];
  readonly #onLog: Log;
  /** Another list whenever they change. */
  list: readonly GatewayNode[];

  constructor(janus: Janus, all: readonly GatewayNode[], onLog: Log) {
    this.#janus = janus;
    this.#all = this.list = all;
    this.#onLog = onLog;
  }

  /** Whether Janus reaches the node, as last known. */
  has(name: string): boolean {
    return this.list.some((node) => node.name === name);
  }

  /** Asks Janus, and tells in the log what has changed. */
  async look(signal: AbortSignal): Promise<void> {
    const known = await this.#janus.nodes(signal);
    const names = new Set(known.filter(({ up }) => up).map(({ name }) => name));
    for (const { name } of this.#all) {
      if (this.has(name) && !names.has(name)) {
        this.#onLog("warn", `Janus does not reach node ${name}: it takes no sessions`);
      } else if (!this.has(name) && names.has(name)) {
        this.#onLog("info", `Janus reaches node ${name} again`);
      } else continue;
      this.list = this.#all.filter((node) =>
        node.name === name ? names.has(name) : this.list.includes(node)
      );
    }
  }
}
