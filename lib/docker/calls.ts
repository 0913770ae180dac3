/**
 * Calls of the Engine API in the version that both ends know, and their errors.
 * @module
 */
import { DockerError, refused } from "./errors.ts";
import type { DockerHost } from "./host.ts";
import { errorMessage, parseJson, Shape } from "./shape.ts";
import { type Answer, type Ask, Transport } from "./transport.ts";
import { negotiate } from "./version.ts";

/** Makes calls at one engine. In all of them `what` completes "refused to …". */
export class Calls {
  readonly #transport: Transport;
  readonly #isElsewhere: boolean;
  #version?: Promise<string>;

  /** Nothing is connected before the first call. */
  constructor(host: DockerHost, patienceMs: number) {
    this.#transport = new Transport(host, patienceMs);
    this.#isElsewhere = host.kind === "tcp";
  }

  /** The time by the engine's clock, as it takes times: seconds since 1970. */
  async now(): Promise<string> {
    // Of another host's clock ours may differ by any time.
    const time = this.#isElsewhere
      ? (await this.json("tell its time", { method: "GET", path: ["info"] })).text("SystemTime", "")
      : "";
    return ((time ? Date.parse(time) : Date.now()) / 1000).toFixed(3);
  }

  /** The version that is spoken, such as `1.41`: asked once, and again after a failure. */
  async version(): Promise<string> {
    const asked = this.#version ??= negotiate(this.#transport);
    try {
      return await asked;
    } catch (error) {
      if (this.#version === asked) this.#version = undefined;
      throw error;
    }
  }

  /** An answer of 2xx, which is an object. */
  async json(what: string, ask: Ask): Promise<Shape> {
    return new Shape(parseJson((await this.whole(what, ask)).bytes, what), what);
  }

  /** An object, or undefined if the answer is 404. */
  async jsonIfAny(what: string, ask: Ask): Promise<Shape | undefined> {
    const { status, bytes } = await this.whole(what, ask, [404]);
    return status === 404 ? undefined : new Shape(parseJson(bytes, what), what);
  }

  /** An answer of 2xx or one of `also`, whole. */
  async whole(
    what: string,
    ask: Ask,
    also: number[] = [],
  ): Promise<{ status: number; bytes: Uint8Array }> {
    const answer = await this.open(what, ask, also);
    return { status: answer.status, bytes: await this.#transport.whole(answer.body, what) };
  }

  /** An answer of 2xx or one of `also`, its body still to come. */
  async open(what: string, ask: Ask, also: number[] = []): Promise<Answer> {
    const path = [`v${await this.version()}`, ...ask.path];
    const answer = await this.#transport.open(what, { ...ask, path }).catch((error) => {
      // Whoever answers next may be another engine.
      if (error instanceof DockerError) this.#version = undefined;
      throw error;
    });
    if (Math.floor(answer.status / 100) === 2 || also.includes(answer.status)) return answer;
    const message = errorMessage(await this.#transport.whole(answer.body, what));
    // It was replaced by another between two calls: "client version 1.47 is too new …".
    if (answer.status === 400 && /client version/.test(message)) this.#version = undefined;
    throw refused(what, answer.status, message);
  }
}
