/**
 * ESnet's Janus controller over REST, as `s2cs --type Janus` needs it. A container is created, and
 * then started; Janus keeps both in a record, a session of its own.
 * @module
 */
import { quote } from "../protocol/errors.ts";
import {
  type JanusLine,
  type JanusNode,
  type JanusProfile,
  type JanusSession,
  type JanusVolume,
  readChange,
  readCreated,
  readImages,
  readLog,
  readNodes,
  readProfiles,
  readSession,
  readSessions,
  readVolumes,
  unfinished,
} from "./answers.ts";
import {
  type Call,
  Calls,
  ifAny,
  isPassing,
  type JanusPatience,
  MOST_TRIES,
  PATIENCE,
} from "./calls.ts";
import { JanusError } from "./errors.ts";
import { whatIsMissing } from "./missing.ts";
import type { JanusAccess } from "./transport.ts";

export type {
  JanusNode,
  JanusProfile,
  JanusService,
  JanusSession,
  JanusVolume,
} from "./answers.ts";
export type { JanusPatience } from "./calls.ts";
export { JanusError } from "./errors.ts";
export { type JanusAccess, janusUrl } from "./transport.ts";

/** How often a session is looked for whose creation was cut off. */
const LOOKS = 5;

/** A container to create. */
export interface JanusRequest {
  /** One that {@linkcode Janus.nodes} names. */
  node: string;
  /** One that {@linkcode Janus.profiles} names. */
  profile: string;
  /** With or without a tag. */
  image: string;
  /** The container's command, in the words of a shell; the image's own if not given. */
  arguments?: string;
  /** By which it is found again: nobody else may call one so. */
  name: string;
}

/** Calls of one controller as one user. In errors, `what` completes "refused to …". */
export class Janus {
  readonly #calls: Calls;
  readonly #patience: JanusPatience;

  /** Nothing is connected before the first call. */
  constructor(access: JanusAccess, patience: Partial<JanusPatience> = {}) {
    this.#patience = { ...PATIENCE, ...patience };
    this.#calls = new Calls(access, this.#patience);
  }

  /** All sessions that this user may see. */
  async sessions(signal?: AbortSignal): Promise<JanusSession[]> {
    const what = "list sessions";
    return readSessions(await this.#calls.get(what, ["active"], {}, signal), what);
  }

  /** A session; undefined if there is none. */
  async session(id: number, signal?: AbortSignal): Promise<JanusSession | undefined> {
    const what = `show session ${id}`;
    const found = await ifAny(this.#calls.get(what, ["active", id], {}, signal));
    return found === undefined ? undefined : readSession(found, what);
  }

  /**
   * Creates a container, which does not run yet. Whatever fails, nothing is left of it, unless Janus
   * stays away.
   * @throws {JanusError} `missing` says which of profile, image and node Janus does not have; `node`
   * has what Janus hides in an answer of 200: that the node could not do it
   */
  async create(request: JanusRequest, signal?: AbortSignal): Promise<JanusSession> {
    const what = `create a container on node ${quote(request.node)}`;
    const id = await this.#created(what, request, signal);
    const session = await this.session(id, signal);
    if (!session) {
      throw new JanusError("janus", `Janus has created session ${id}, and does not have it`);
    }
    const bad = session.services.find(({ container, errors }) => !container || errors.length > 0);
    if (session.services.length > 0 && !bad) return session;
    await this.remove(id, { force: true });
    throw new JanusError(
      "node",
      `Janus could not ${what}: ${bad?.errors.join("; ") || "it does not say why"}`,
    );
  }

  /**
   * Starts a session's container, if it is not started: Janus does not look whether it still runs.
   * @throws {JanusError} `node` if it does not start, `missing` if there is no such session
   */
  start(id: number, signal?: AbortSignal): Promise<JanusSession> {
    return this.#change("start", id, ["STARTED"], signal);
  }

  /**
   * Stops a session's container, if it is not stopped.
   * @throws {JanusError} `node` if it cannot be stopped, `missing` if there is no such session
   */
  stop(id: number, signal?: AbortSignal): Promise<JanusSession> {
    return this.#change("stop", id, ["STOPPED", "INITIALIZED"], signal);
  }

  /**
   * Removes a session with its container; of one that is not there, does nothing. With `force` Janus
   * forgets it even if its node does not answer, and the container may be left there.
   */
  async remove(id: number, options: { force?: boolean } = {}, signal?: AbortSignal): Promise<void> {
    await ifAny(this.#calls.tried(`remove session ${id}`, {
      method: "DELETE",
      path: ["active", id],
      query: options.force ? { force: "true" } : {},
      ms: this.#patience.change,
      signal,
    }));
  }

  /**
   * The last lines that a session's container wrote, since it was created.
   * @throws {JanusError} also if the container is gone
   */
  async logs(id: number, node: string, tail: number, signal?: AbortSignal): Promise<JanusLine[]> {
    const what = `show the log of session ${id}`;
    const path = ["active", id, "logs", node];
    const query = { tail: String(tail), timestamps: "1" };
    return readLog(await this.#calls.get(what, path, query, signal), what);
  }

  /**
   * Whether a container runs, which no record tells: asked for a command in it that is never started.
   * Undefined from a Janus that does not say.
   */
  async runs(node: string, container: string, signal?: AbortSignal): Promise<boolean | undefined> {
    const json = { node, container, Cmd: ["true"], start: false, attach: false, tty: false };
    try {
      await this.#calls.tried("look at a container", {
        method: "POST",
        path: ["exec"],
        json,
        signal,
      });
      return true;
    } catch (error) {
      if (!(error instanceof JanusError) || error.kind !== "janus") throw error;
      // Docker's own 409 and 404, by their names.
      return /conflict|not running|not found|no such container/i.test(error.message)
        ? false
        : undefined;
    }
  }

  /** The nodes that Janus knows. */
  async nodes(signal?: AbortSignal): Promise<JanusNode[]> {
    const what = "list nodes";
    return readNodes(await this.#calls.get(what, ["nodes"], {}, signal), what);
  }

  /** Names, without tags, of the images that Janus allows. */
  async images(signal?: AbortSignal): Promise<string[]> {
    const what = "list images";
    return readImages(await this.#calls.get(what, ["images"], {}, signal), what);
  }

  /** The profiles; with `refresh`, Janus reads its files anew. */
  async profiles(
    options: { refresh?: boolean } = {},
    signal?: AbortSignal,
  ): Promise<JanusProfile[]> {
    const what = "list profiles";
    const query: Record<string, string> = options.refresh ? { refresh: "true" } : {};
    return readProfiles(await this.#calls.get(what, ["profiles"], query, signal), what);
  }

  /** The folders that profiles mount; undefined from a Janus that does not tell. */
  async volumes(signal?: AbortSignal): Promise<JanusVolume[] | undefined> {
    const what = "list volumes";
    const found = await ifAny(this.#calls.get(what, ["profiles", "volume"], {}, signal));
    return found === undefined ? undefined : readVolumes(found, what);
  }

  /** The id of the new session. */
  async #created(what: string, request: JanusRequest, signal?: AbortSignal): Promise<number> {
    const { node, profile, image, name } = request;
    const ask: Call = {
      method: "POST",
      path: ["create"],
      json: {
        instances: [node],
        image,
        profile,
        ...request.arguments === undefined ? {} : { arguments: request.arguments },
        kwargs: { USER_NAME: name, PUBLIC_KEY: "" },
        // What stops is started again, so it must stay.
        remove_container: false,
      },
      ms: this.#patience.create,
      signal,
    };
    for (let tries = 1;; tries++) {
      try {
        return readCreated(await this.#calls.json(what, ask), what);
      } catch (error) {
        if (!(error instanceof JanusError)) throw error;
        if (error.httpStatus === 404) throw await whatIsMissing(this, request, error);
        if (!isPassing(error) || tries >= MOST_TRIES) throw error;
        if (!error.mayBeDone) {
          await this.#calls.rest(tries, signal);
          continue;
        }
        const id = await this.#find(name, signal);
        if (id !== undefined) return id;
      }
    }
  }

  /** The session of this name, whose creation may still be under way. */
  async #find(name: string, signal?: AbortSignal): Promise<number | undefined> {
    const what = "list sessions";
    const until = Date.now() + this.#patience.create;
    for (let looks = 1; looks <= LOOKS; looks++) {
      const value = await this.#calls.get(what, ["active"], {}, signal);
      const found = readSessions(value, what).find((each) => each.name === name);
      if (found) return found.id;
      // One that is being made has no name yet; it may be this one.
      if (unfinished(value, what) > 0 && Date.now() < until) looks--;
      await this.#calls.rest(Math.min(looks, 2), signal);
    }
  }

  async #change(
    verb: "start" | "stop",
    id: number,
    wanted: readonly string[],
    signal?: AbortSignal,
  ): Promise<JanusSession> {
    const what = `${verb} session ${id}`;
    let session: JanusSession | undefined;
    try {
      const value = await this.#calls.tried(what, {
        method: "PUT",
        path: [verb, id],
        ms: this.#patience.change,
        signal,
      });
      session = readChange(value, what);
      if (wanted.includes(session.state)) return session;
    } catch (error) {
      // Why is in the record, if anywhere; a 500 only says that something went wrong.
      if (!(error instanceof JanusError) || error.httpStatus !== 500) throw error;
      session = await this.session(id, signal).catch(() => undefined);
      if (!session?.services.some(({ errors }) => errors.length > 0)) throw error;
    }
    const why = session.services.flatMap(({ node, errors }) =>
      errors.map((each) => `node ${quote(node)}: ${each}`)
    );
    throw new JanusError(
      "node",
      `Janus could not ${what}: ${why.join("; ") || `it is ${session.state}`}`,
    );
  }
}
