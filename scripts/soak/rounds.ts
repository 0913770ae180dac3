/**
 * The looks at what a pair of gateways holds without sessions.
 * @module
 */
import type { Engine } from "../../tests/engine.ts";
import type { Gateways, Side } from "./gateways.ts";
import { Growth, type Holdings, leaked, stock, usage } from "./ledger.ts";
import type { Tally } from "./report.ts";
import { pause } from "./stream.ts";

/** What ends takes a moment to be gone. */
const PATIENCE_MS = 15_000;
const LOOK_MS = 100;

const NOTHING: Holdings = { processes: [], containers: [], ports: [], files: [], sessions: [] };

/** Something is there that should not be. */
export class Leak extends Error {
  override readonly name = "Leak";
  constructor(readonly what: readonly string[]) {
    super(what.join("; "));
  }
}

/** Compares each gateway of a pair with what it was at the beginning. */
export class Rounds {
  readonly #gateways: Gateways;
  readonly #engine?: Engine;
  readonly #tally: Tally;
  readonly #before = new Map<Side, Holdings>();
  readonly #growth = new Map<Side, Growth>();

  constructor(gateways: Gateways, engine: Engine | undefined, tally: Tally) {
    this.#gateways = gateways;
    this.#engine = engine;
    this.#tally = tally;
  }

  /**
   * The beginning. What is a session's is not taken for the gateway's own, which would hide it ever after.
   * @throws {Leak}
   */
  async begin(): Promise<void> {
    for (const side of this.#gateways.both) {
      const { files, processes } = await stock(side, this.#engine);
      const before = {
        ...NOTHING,
        files: files.filter((path) => !path.includes("/sessions/")),
        processes: processes.filter((what) => /^s2[cd]s$/.test(what)),
      };
      const wrong = await this.#left(side, before);
      if (wrong.length > 0) throw new Leak(wrong);
      this.#before.set(side, before);
      const growth = new Growth();
      growth.note(usage(side));
      this.#growth.set(side, growth);
    }
  }

  /** @throws {Leak} */
  async look(): Promise<void> {
    const { both } = this.#gateways;
    const wrong = await Promise.all(both.map(async (side) => {
      const left = await this.#left(side, this.#before.get(side) as Holdings);
      const grown = this.#growth.get(side)?.note(usage(side)) ?? [];
      return [...left, ...grown.map((each) => `${side.where}: ${each}`)];
    }));
    this.#tally.rounds++;
    this.#tally.memory = both.map((side) => `${side.where} ${this.#growth.get(side)?.told}`)
      .join("; ");
    if (wrong.flat().length > 0) throw new Leak(wrong.flat());
  }

  /** What a side holds beside this, once there was time for it to go. */
  async #left(side: Side, before: Holdings): Promise<string[]> {
    const end = performance.now() + PATIENCE_MS;
    for (;;) {
      // Answered, so that its connection is there as it was at the beginning.
      await side.client.call("list", {});
      const left = leaked(before, await stock(side, this.#engine));
      if (left.length === 0 || performance.now() > end) {
        return left.map((each) => `${side.where}: ${each}`);
      }
      await pause(LOOK_MS);
    }
  }

  /**
   * The end: without sessions a control server leaves nothing, whatever it has been through.
   * @throws {Leak}
   */
  async end(): Promise<void> {
    const wrong: string[] = [];
    for (const side of this.#gateways.both) {
      side.client.close();
      await side.end("SIGTERM");
      const { code } = await side.gateway.process.ended;
      if (code !== 0) wrong.push(`${side.where}: s2cs ended with exit code ${code}`);
      const left = leaked(NOTHING, await stock(side, this.#engine));
      wrong.push(...left.map((each) => `${side.where}: ${each}`));
    }
    if (wrong.length > 0) throw new Leak(wrong);
  }
}
