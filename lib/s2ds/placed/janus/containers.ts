/**
 * The containers of one gateway's sessions in Janus: launched, replaced, looked at and removed.
 * @module
 */
import { type Janus, JanusError, type JanusSession } from "../../../janus/client.ts";
import type { Log } from "../../../log.ts";
import { messageOf, ScistreamError } from "../../../protocol/errors.ts";
import { NodeFault, PortsInUse } from "../../data_server.ts";
import type { Placed } from "../orchestrator.ts";
import type { Program } from "../program.ts";
import { pause } from "../../wait.ts";
import { gistOf } from "../../proxy/gist.ts";
import type { Kept, SharedFolder } from "./kept.ts";
import { portsInUse } from "../../proxy/ports_in_use.ts";

/** A container may take this long to listen, once it is started. */
const LISTEN_MS = 30_000;
/** Janus tells nothing unasked: it is asked, ever less often. */
const FIRST_LOOK_MS = 100;
const LAST_LOOK_MS = 1_000;
/**
 * HAProxy's master starts itself anew once its worker listens, and hears no signal meanwhile; an
 * update that stopped it then would take the 10 s until it is killed. No log tells when it is done.
 */
const SETTLE_MS = 500;
const LOG_LINES = 200;

const NEVER = new AbortController().signal;

/** Janus does not have it any more. */
export class Gone extends Error {
  constructor(node: string) {
    super(
      `Janus has lost its record; if the container still runs on node ${node}, it must be removed there`,
    );
  }
}

/** What containers are made of. */
export interface ContainersOptions {
  program: Program;
  image: string;
  profile: string;
  shared: SharedFolder;
  /** Of {@linkcode KeptFiles.gateway}. */
  gateway: string;
  onLog: Log;
}

/** One gateway's containers. Each has a session of Janus' and a configuration of its own, of one name. */
export class Containers {
  readonly #janus: Janus;
  readonly #options: ContainersOptions;
  /** What all names begin with. */
  readonly #prefix: string;
  /** To be removed when that can be done. */
  readonly #left = new Map<string, Kept>();

  /** Being removed. */
  readonly #going = new Map<string, Promise<void>>();
  /** Janus' ids, once they are known, of what this control server has made and not removed, by names. */
  readonly #ours = new Map<string, number | undefined>();

  constructor(janus: Janus, options: ContainersOptions) {
    this.#janus = janus;
    this.#options = options;
    this.#prefix = `scistream-${options.gateway}-`;
  }

  /**
   * Makes a container and starts it, until it listens. One that fails leaves nothing.
   * @throws {PortsInUse}
   * @throws {NodeFault}
   * @throws {ScistreamError} CONN_ERROR
   */
  async launch(placed: Placed): Promise<Kept> {
    const kept = await this.#create(placed);
    await this.#start(placed, kept);
    return kept;
  }

  /** As `launch`, in place of another that has its ports. Where it fails, the other runs again. */
  async replace(old: Kept, placed: Placed): Promise<Kept> {
    const kept = await this.#create(placed);
    try {
      await this.#onNode(old.node, () => this.#janus.stop(old.janus));
    } catch (error) {
      // One that is gone holds no ports.
      if (await this.isUp(old).catch(() => true)) {
        await this.discardLater(kept);
        throw error;
      }
    }
    try {
      await this.#start(placed, kept);
    } catch (error) {
      await this.#janus.start(old.janus).catch((again) => {
        this.#options.onLog("error", `session ${placed.id}: ${messageOf(again)}`);
      });
      throw error;
    }
    return kept;
  }

  /** Whether it runs, and Janus knows of it. */
  async isThere(kept: Kept): Promise<boolean> {
    try {
      return await this.isUp(kept);
    } catch (error) {
      if (error instanceof Gone) return false;
      throw error;
    }
  }

  /**
   * Whether it runs.
   * @throws {Gone}
   */
  async isUp(kept: Kept): Promise<boolean> {
    const session = await this.#session(kept);
    if (!session) throw new Gone(kept.node);
    if (session.state !== "STARTED") return false;
    const container = session.services[0]?.container;
    if (container === undefined) return false;
    // What Janus cannot say is taken for well.
    return await this.#janus.runs(kept.node, container) ?? true;
  }

  /** Whether its listeners and targets are those of this configuration: another version writes others. */
  has(kept: Kept, config: string): boolean {
    return channelsOf(this.#options.shared.read(kept.name) ?? "") === channelsOf(config);
  }

  /** Its last lines. */
  async log(kept: Kept): Promise<string[]> {
    const lines = await this.#janus.logs(kept.janus, kept.node, LOG_LINES);
    return lines.map(({ text }) => text);
  }

  /** Removes one, if it is there. Where that fails, it is tried again later. */
  discard(kept: Kept): Promise<void> {
    const { name } = kept;
    // Two at once would get into each other's way at the node.
    const going = this.#going.get(name) ??
      this.#discard(kept).finally(() => this.#going.delete(name));
    this.#going.set(name, going);
    return going;
  }

  async #discard(kept: Kept): Promise<void> {
    this.#left.set(kept.name, kept);
    // Where Janus has lost its records, another may have this id.
    if (await this.#session(kept)) {
      await this.#onNode(kept.node, () => this.#janus.remove(kept.janus));
    }
    this.#options.shared.remove(kept.name);
    this.#left.delete(kept.name);
    this.#ours.delete(kept.name);
  }

  /** Removes one, now or later; that it was not now is told in the log. */
  async discardLater(kept: Kept): Promise<void> {
    try {
      await this.discard(kept);
    } catch (error) {
      this.#options.onLog("warn", `${kept.name} is left to be removed: ${messageOf(error)}`);
    }
  }

  /** Whether nothing is left to be removed. */
  get isClean(): boolean {
    return this.#left.size === 0;
  }

  /** Tries again to remove what could not be removed. */
  async removeLeft(): Promise<void> {
    await Promise.all([...this.#left.values()].map((kept) =>
      this.discard(kept).catch(() => {
        // Its node is still away.
      })
    ));
  }

  /**
   * Removes all that has a name of this gateway's, but for what it has made and what is wanted.
   * @param wanted Janus' ids by names
   */
  async sweep(wanted: ReadonlyMap<string, number>): Promise<void> {
    const { shared, onLog } = this.#options;
    const isBusy = (name: string) =>
      wanted.has(name) || this.#ours.has(name) || this.#left.has(name);
    for (const { id, name, services } of await this.#janus.sessions()) {
      const own = wanted.get(name) ?? this.#ours.get(name);
      if (!name.startsWith(this.#prefix) || own === id) continue;
      const kept = { session: "", janus: id, name, node: services[0]?.node ?? "", record: "" };
      if (!isBusy(name)) {
        onLog("warn", `removing ${name} from Janus, which no session has`);
        await this.discardLater(kept);
      } else if (own !== undefined) {
        // Asked for twice, because the first answer was lost; the file is the other's.
        await this.#janus.remove(id);
      }
    }
    await this.removeLeft();
    shared.sweep(this.#prefix, isBusy);
  }

  async #create(placed: Placed): Promise<Kept> {
    const { program, image, profile, shared } = this.#options;
    const { node, session, record, config } = placed;
    const name = `${this.#prefix}${placed.id}-${crypto.randomUUID().slice(0, 8)}`;
    this.#ours.set(name, undefined);
    try {
      shared.put(name, config.text);
      const command = program.command({ ...config, path: shared.pathOf(name) });
      const { id } = await this.#onNode(
        node,
        () => this.#janus.create({ node, profile, image, name, arguments: shellLine(command) }),
      );
      this.#ours.set(name, id);
      return { session, janus: id, name, node, record };
    } catch (error) {
      shared.remove(name);
      this.#ours.delete(name);
      throw error;
    }
  }

  /** Starts it until it listens, or removes it. */
  async #start(placed: Placed, kept: Kept): Promise<void> {
    try {
      await this.#onNode(kept.node, () => this.#janus.start(kept.janus));
      await this.#listening(placed, kept);
    } catch (error) {
      await this.discardLater(kept);
      throw error;
    }
  }

  async #listening({ listeners }: Placed, kept: Kept): Promise<void> {
    const { program } = this.#options;
    const end = performance.now() + LISTEN_MS;
    const what = `${program.name} on node ${kept.node}`;
    for (let wait = FIRST_LOOK_MS;; wait = Math.min(wait * 1.5, LAST_LOOK_MS)) {
      // Asked before the log, so that nothing of what it said last is missed.
      const runs = await this.isUp(kept);
      const lines = await this.log(kept);
      const ports = portsInUse(lines, listeners);
      if (ports.length > 0) throw new PortsInUse(ports);
      if (!runs) throw new ScistreamError("CONN_ERROR", `${what} ended: ${gistOf(lines)}`);
      if (program.listens(lines)) return await pause(SETTLE_MS, NEVER);
      if (performance.now() > end) {
        throw new ScistreamError("CONN_ERROR", `${what} does not listen: ${gistOf(lines)}`);
      }
      await pause(wait, NEVER);
    }
  }

  /** The session of Janus' that is this, if it is there. */
  async #session({ janus, name }: Kept): Promise<JanusSession | undefined> {
    const session = await this.#janus.session(janus);
    return session?.name === name ? session : undefined;
  }

  /** What the node could not do, another might. */
  async #onNode<T>(node: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof JanusError && error.kind === "node") {
        throw new NodeFault(node, error.message, { cause: error });
      }
      throw error;
    }
  }
}

/** Lines of HAProxy's configuration that tell where it listens, and where connections go. */
function channelsOf(config: string): string {
  return (config.match(/^ *(bind|server) .*$/gm) ?? []).join("\n");
}

/** A command as a shell, and Python's shlex, takes it. */
function shellLine(words: readonly string[]): string {
  return words.map((word) =>
    /^[\w@%+=:,.\/-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`
  ).join(" ");
}
