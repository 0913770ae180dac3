/**
 * A data server of one proxy per session: what all types but S2DS and Mock have in common.
 * @module
 */
import type { Endpoint } from "../../protocol/endpoint.ts";
import { messageOf, ScistreamError } from "../../protocol/errors.ts";
import {
  type Abilities,
  type ChannelStatus,
  type DataServer,
  type DataServerEvents,
  type Home,
  idleChannel,
  type Opening,
  PortsInUse,
  type Resumed,
} from "../data_server.ts";
import { reach } from "../../fault_points.ts";
import { makePrivateFolder } from "../../private_folder.ts";
import { probePorts } from "../probe.ts";
import { NoAnswer, within } from "../wait.ts";
import { Tally, type Traffic, trafficOf } from "../totals.ts";
import { DidNotStart, portsInUse } from "./ports_in_use.ts";
import { runningProxy } from "./running.ts";
import { keep, makeFolder, place, RECORD, recordOf, removeFolder } from "./session_files.ts";
import type {
  Channel,
  ConfigFile,
  Job,
  Limits,
  Plan,
  Proxy,
  Runner,
  RunnerEvents,
  RunningProxy,
} from "./proxy.ts";

/** How long a proxy may take to reload. */
const RELOAD_MS = 15_000;
/** Each asks the proxy's own checker, which is a process. */
const RESUMED_AT_ONCE = 8;
/** Each is a connection to a proxy. */
const ASKED_AT_ONCE = 32;
/** Whoever only wants to know what was carried waits no longer for a proxy. */
const SOON_MS = 1_000;
/** Of the uid's hash: enough that no two sessions of a gateway meet, and short enough for sockets. */
const FOLDER_DIGITS = 16;
/** sockaddr_un, unix(7), less its end and what stands below this folder. */
const LONGEST_FOLDER = 107 - "/run/api".length - FOLDER_DIGITS - "/".length;

/** What every proxy type is made with. */
export interface ProxySettings {
  /** Folder for sessions' folders, instead of the gateway's own. */
  proxyDir?: string;
  /** What one session's proxy may use. */
  limits: Limits;
}

/** A session as long as it is open. */
interface Held {
  opening: Opening;
  job: Job;
  channels: Channel[];
  /** The last thing that went wrong with the proxy as a whole. */
  trouble: string;
  /** One change at a time. */
  turn: Promise<unknown>;
  /** Whether it is being told again what it should do. */
  takingBack?: boolean;
  /** Settled when its numbers have been read. */
  reading?: Promise<void>;
  hurry?: AbortController;
  closing?: Promise<void>;
}

/** Puts together a proxy and where it runs. */
export class Proxied implements DataServer {
  readonly #sessions = new Map<string, Held>();
  /** Sessions that are being opened: what is there of them is about to be theirs. */
  readonly #opening = new Set<string>();
  /** Sessions that could not be brought back yet. */
  readonly #lost = new Map<string, Resumed>();
  readonly abilities: Abilities;
  readonly #runner: Runner;
  readonly #tally = new Tally();
  #folder = "";

  constructor(
    readonly type: string,
    readonly proxy: Proxy,
    makeRunner: (events: RunnerEvents) => Runner,
    readonly settings: ProxySettings,
    readonly events: DataServerEvents,
  ) {
    this.abilities = { limit: false, allow: false, protects: proxy.protects ?? false };
    this.#runner = makeRunner({
      onLog: events.onLog,
      onDown: ({ session, id }, reason) => {
        events.onLog("error", `session ${id}: ${reason}`);
        const held = this.#sessions.get(session);
        if (!held) return;
        held.trouble = reason;
        events.onRestart?.();
        events.onDown(session, reason);
      },
      onUp: ({ session, id }) => {
        events.onLog("info", `session ${id}: ${proxy.name} runs again`);
        const held = this.#sessions.get(session);
        if (held) held.trouble = "";
        events.onUp(session);
      },
    });
  }

  async start(home: Home, resumed: readonly Resumed[]): Promise<void> {
    this.#takeFolder(home);
    const held = resumed.map(({ opening }) => this.#hold(opening));
    const jobs = held.map(({ job }) => job);
    await this.#runner.start(this.proxy, home.gateway, this.#folder, jobs);
    // What an earlier control server left; whoever used it has been ended.
    const kept = new Set(jobs.flatMap(({ folder }) => [folder, recordOf(folder)]));
    for (const { name } of Deno.readDirSync(this.#folder)) {
      const path = `${this.#folder}/${name}`;
      if (!kept.has(path)) Deno.removeSync(path, { recursive: true });
    }
    const all = resumed.map((each, i) => ({ each, held: held[i] as Held }));
    for (let i = 0; i < all.length; i += RESUMED_AT_ONCE) {
      const some = all.slice(i, i + RESUMED_AT_ONCE);
      await Promise.all(some.map(({ each, held }) => this.#resume(each, held)));
    }
  }

  /** Takes its proxy over, or gives the session another. */
  async #resume(resumed: Resumed, held: Held): Promise<void> {
    const { opening, targets, drainMs } = resumed;
    const { hash } = opening.uid;
    try {
      if (await this.#runner.adopt(held.job, this.#command(held))) {
        this.#sessions.set(hash, held);
        reach("recovery.adopted");
        if (drainMs !== undefined) {
          // Nobody waits for it.
          this.close(hash, drainMs).catch((error) => this.events.onLog("error", messageOf(error)));
          return;
        }
      } else {
        removeFolder(held.job.folder);
        if (drainMs !== undefined) return removeFolder(recordOf(held.job.folder));
        await this.open(opening);
      }
      // A proxy that was taken over may not have heard of the last ones yet.
      if (targets.length > 0) await this.target(hash, targets, opening.record);
    } catch (error) {
      if (drainMs === undefined) this.#lost.set(hash, resumed);
      this.events.onFault(hash, `could not be brought back: ${messageOf(error)}`);
    }
  }

  async found(home: Home): Promise<string[]> {
    this.#takeFolder(home);
    const names = [...Deno.readDirSync(this.#folder)].map(({ name }) => name);
    const records = names.filter((name) => name.endsWith(RECORD));
    return await Promise.all(records.map((name) => Deno.readTextFile(`${this.#folder}/${name}`)));
  }

  async reconcile(): Promise<void> {
    const held = [...this.#sessions.values()].map(({ job }) => job);
    await this.#runner.reconcile((session) => this.#has(session));
    const folders = new Set(held.map(({ folder }) => folder));
    for (const { name, isDirectory } of Deno.readDirSync(this.#folder)) {
      const path = `${this.#folder}/${name}`;
      if (!isDirectory || folders.has(path) || this.#isOpening(name)) continue;
      this.events.onLog("warn", `ending what is in ${path}, which no session has`);
      await this.#runner.endIn(path);
      removeFolder(path);
      removeFolder(recordOf(path));
    }
    for (const [session, { opening, targets }] of [...this.#lost]) {
      try {
        await this.open(opening);
        if (targets.length > 0) await this.target(session, targets, opening.record);
      } catch {
        continue;
      }
      // Released while it was brought back.
      if (!this.#lost.delete(session)) await this.close(session, 0);
      else this.events.onUp(session);
    }
  }

  #has(session: string): boolean {
    return this.#sessions.has(session) || this.#opening.has(session);
  }

  #isOpening(folderName: string): boolean {
    return [...this.#opening, ...this.#sessions.keys()].some((session) =>
      session.startsWith(folderName)
    );
  }

  /** The folder for sessions' folders, which must be this user's alone. */
  #takeFolder({ folder, gateway }: Home): void {
    const { proxyDir } = this.settings;
    this.#folder = proxyDir
      ? `${proxyDir}/gateway-${String(gateway).replaceAll(/[^0-9A-Za-z.]/g, "_")}`
      : `${folder}/sessions`;
    if (new TextEncoder().encode(this.#folder).length > LONGEST_FOLDER) {
      throw new ScistreamError(
        "BAD_FORMAT",
        `the folder ${this.#folder} is too long for the sockets in it; choose a shorter --proxy-dir`,
      );
    }
    const cut = this.#folder.lastIndexOf("/");
    const [above, name] = [this.#folder.slice(0, cut), this.#folder.slice(cut + 1)];
    makePrivateFolder(above, name, "choose another --proxy-dir");
  }

  #hold(opening: Opening): Held {
    const { uid, listeners } = opening;
    const job: Job = {
      session: uid.hash,
      id: uid.session,
      proxy: this.proxy,
      folder: `${this.#folder}/${uid.hash.slice(0, FOLDER_DIGITS)}`,
      limits: this.settings.limits,
    };
    const channels = listeners.map((listener) => ({ listener }));
    return { opening, job, channels, trouble: "", turn: Promise.resolve() };
  }

  /** What runs its proxy. */
  #command(held: Held): string[] {
    const file = this.proxy.config(this.#plan(held, held.channels));
    return this.proxy.command(this.#path(held.job, file.name));
  }

  async open(opening: Opening): Promise<void> {
    const { hash } = opening.uid;
    // Of the same uid one may still be ending, in the same folder.
    await this.#sessions.get(hash)?.closing?.catch(() => {});
    this.#opening.add(hash);
    try {
      await this.#open(opening);
    } finally {
      this.#opening.delete(hash);
    }
  }

  async #open(opening: Opening): Promise<void> {
    const { uid, listeners, record } = opening;
    const { proxy } = this;
    this.#probe(listeners);
    const held = this.#hold(opening);
    const { job, channels } = held;
    try {
      const plan = this.#plan(held, channels);
      // A session that this proxy cannot serve leaves nothing.
      const files = [...await proxy.files?.(plan, uid) ?? [], proxy.config(plan)];
      makeFolder(job.folder);
      makeFolder(`${job.folder}/run`);
      makeFolder(`${job.folder}/next`);
      for (const file of files) place(job.folder, file);
      await this.#check(job, proxy.config(plan));
      keep(job.folder, record);
      reach("req.prepared");
      await this.#runner.run(job, this.#command(held));
    } catch (error) {
      removeFolder(job.folder);
      removeFolder(recordOf(job.folder));
      // Somebody else was faster, or has the port of another protocol.
      this.#probe(listeners);
      const taken = error instanceof DidNotStart ? portsInUse(error.lines, listeners) : [];
      throw taken.length > 0 ? new PortsInUse(taken) : error;
    }
    this.#sessions.set(uid.hash, held);
  }

  /** Ports of another host can be looked at by its proxies only. */
  #probe(listeners: readonly Endpoint[]): void {
    if (this.#runner.isHere) probePorts(listeners, this.proxy.udp);
  }

  /** Its gateway does not ask for what it is not able to do. */
  limit(): Promise<void> {
    return Promise.resolve();
  }

  async target(session: string, targets: readonly Endpoint[], record: string): Promise<void> {
    const held = this.#sessions.get(session);
    if (!held || held.closing) {
      throw new ScistreamError("CONN_ERROR", "the data server does not hold this session");
    }
    const change = held.turn.then(async () => {
      const { job } = held;
      const channels = held.channels.map(({ listener }, i) => ({ listener, target: targets[i] }));
      const plan = this.#plan(held, channels);
      const file = this.proxy.config(plan);
      await this.#check(job, file);
      place(job.folder, file);
      try {
        keep(job.folder, record);
        reach("update.prepared");
        await this.#runner.deliver(job);
        await this.proxy.reload(this.#running(held, AbortSignal.timeout(RELOAD_MS)), plan);
        held.channels = channels;
      } catch (error) {
        // So that a restart does not bring what the caller was told had failed.
        place(job.folder, this.proxy.config(this.#plan(held, held.channels)));
        await this.#runner.deliver(job).catch((late) => this.events.onLog("warn", messageOf(late)));
        if (error instanceof NoAnswer) this.#takeBack(held);
        throw error;
      }
    });
    held.turn = change.catch(() => {});
    await change;
  }

  /**
   * A proxy that did not answer may do later what its caller was told had failed: so it is told what
   * it should do until it answers.
   */
  async #takeBack(held: Held): Promise<void> {
    if (held.takingBack) return;
    held.takingBack = true;
    for (let done = false; !done && !held.closing;) {
      const attempt = held.turn.then(() =>
        this.proxy.reload(
          this.#running(held, AbortSignal.timeout(RELOAD_MS)),
          this.#plan(held, held.channels),
        )
      );
      held.turn = attempt.catch(() => {});
      // A proxy that was started anew meanwhile has read its file.
      done = await attempt.then(() => true, (error) => !(error instanceof NoAnswer));
    }
    held.takingBack = false;
  }

  async close(session: string, drainMs: number): Promise<void> {
    this.#lost.delete(session);
    const held = this.#sessions.get(session);
    if (!held) return;
    if (held.closing) {
      setTimeoutUnref(() => held.hurry?.abort(), drainMs);
      return await held.closing;
    }
    const hurry = held.hurry = new AbortController();
    held.closing = (async () => {
      await held.turn;
      try {
        const drain = async () => {
          await this.proxy.drain(
            this.#running(held, hurry.signal),
            this.#plan(held, held.channels),
          );
          await this.#read(held);
        };
        // A proxy that drains may end by itself, with its numbers.
        await this.#read(held);
        await this.#runner.end(held.job, drain, drainMs, hurry.signal);
      } finally {
        hurry.abort();
        this.#sessions.delete(session);
        this.#tally.end(session);
        reach("release.ended");
        this.#forgetFolder(held.job.folder);
        this.#forgetFolder(recordOf(held.job.folder));
      }
    })();
    await held.closing;
  }

  async status(session: string): Promise<ChannelStatus[]> {
    const held = this.#sessions.get(session);
    if (!held) return [];
    const { proxy } = this;
    const uncounted = (): ChannelStatus => ({ ...idleChannel(), counted: false });
    const count = this.#count;
    const numbers = held.trouble === "" && count
      ? await count(`${held.job.folder}/run`, held.channels.length)
      : held.channels.map(uncounted);
    // An engine that is cut off is waited for.
    const log = held.trouble ? [] : await this.#runner.log(held.job).catch(() => []);
    return held.channels.map((channel, i) => ({
      ...numbers[i] ?? uncounted(),
      lastError: held.trouble || proxy.complaint(log, channel, i),
    }));
  }

  async traffic(): Promise<Traffic | undefined> {
    if (!this.#count) return undefined;
    const all = [...this.#sessions.values()];
    for (let i = 0; i < all.length; i += ASKED_AT_ONCE) {
      await Promise.all(all.slice(i, i + ASKED_AT_ONCE).map((held) => this.#read(held)));
    }
    return this.#tally.traffic;
  }

  /**
   * Adds what a proxy has carried since it was last asked; one that does not answer counts as it did. One
   * question at a time: an answer that comes after a later one would look like a proxy that began anew.
   */
  #read(held: Held): Promise<void> {
    return held.reading = (held.reading ?? Promise.resolve()).then(() => this.#readNow(held));
  }

  async #readNow({ job, channels }: Held): Promise<void> {
    const count = this.#count;
    if (!count) return;
    const late = () => new NoAnswer(this.proxy.name);
    const counting = count(`${job.folder}/run`, channels.length);
    const numbers = await within(SOON_MS, counting, late).catch(() => {});
    if (numbers && this.#sessions.has(job.session)) {
      this.#tally.read(job.session, trafficOf(numbers));
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#sessions.keys()].map((session) => this.close(session, 0)));
    await this.#runner.stop();
    this.#forgetFolder(this.#folder);
  }

  async leave(): Promise<void> {
    await this.#runner.leave();
  }

  /** A disk that became read-only keeps no session from ending; the next start tries again. */
  #forgetFolder(path: string): void {
    try {
      removeFolder(path);
    } catch (error) {
      this.events.onLog("warn", `cannot remove ${path}: ${messageOf(error)}`);
    }
  }

  /** How its numbers are asked for, where they can be. */
  get #count(): Proxy["count"] {
    return this.#runner.isHere ? this.proxy.count : undefined;
  }

  #plan({ opening, job }: Held, channels: Channel[]): Plan {
    const { role } = opening;
    return { role, channels, paths: this.#runner.paths(job), limits: job.limits };
  }

  #path(job: Job, name: string): string {
    return `${this.#runner.paths(job).config}/${name}`;
  }

  /** Has the proxy's own checker look at a file before it is put in place. */
  async #check(job: Job, file: ConfigFile): Promise<void> {
    const { check } = this.proxy;
    if (!check) return;
    place(`${job.folder}/next`, file);
    await this.#runner.check(job, check(this.#path(job, `next/${file.name}`)));
  }

  #running({ job }: Held, signal: AbortSignal): RunningProxy {
    return runningProxy(this.#runner, job, signal);
  }
}

function setTimeoutUnref(act: () => void, ms: number): void {
  Deno.unrefTimer(setTimeout(act, ms));
}
