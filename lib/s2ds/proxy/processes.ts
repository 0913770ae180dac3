/**
 * Proxies as processes of this machine: children that outlive the control server.
 * @module
 */
import { messageOf, ScistreamError } from "../../protocol/errors.ts";
import { followLines, lastLines, sizeOf, written } from "./files.ts";
import { gist } from "./gist.ts";
import type { Job, Paths, Proxy, Runner, RunnerEvents } from "./proxy.ts";
import { aborted, pause } from "../wait.ts";

/** What is waited for; milliseconds. */
const TIMES = {
  /** A proxy may take this long to listen, and a checker to check. */
  patienceMs: 15_000,
  firstRetryMs: 100,
  lastRetryMs: 30_000,
  logCheckMs: 60_000,
};
/** Proxies that run well log a few lines a day; bytes. */
const LONGEST_LOG = 1 << 20;
/** Debian has the proxies where only root's PATH looks. */
const FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** A proxy's process, whoever started it. */
interface Child {
  readonly pid: number;
  kill(signal: Deno.Signal): void;
  /** Resolves when it has ended; how is known of our own children only. */
  readonly status: Promise<Deno.CommandStatus | undefined>;
}

/** A child, and what ends its being restarted. */
interface Supervised {
  job: Job;
  command: string[];
  child?: Child;
  /** When it last began to listen, as performance.now() says; milliseconds. */
  since: number;
  /** Milliseconds before it is started again. */
  wait: number;
  /** Aborted when it is to be restarted no more. */
  over: AbortController;
}

/** Runs each session's proxy as a child with a session and a process group of its own. */
export class Processes implements Runner {
  readonly isHere = true;
  readonly #events: RunnerEvents;
  readonly #times: typeof TIMES;
  readonly #all = new Map<string, Supervised>();
  readonly #path = [Deno.env.get("PATH") ?? "/usr/bin:/bin", ...FOLDERS].join(":");
  #logs?: ReturnType<typeof setInterval>;

  /** Tests are less patient. */
  constructor(events: RunnerEvents, times: Partial<typeof TIMES> = {}) {
    this.#events = events;
    this.#times = { ...TIMES, ...times };
  }

  async start(
    proxy: Proxy,
    _gateway: unknown,
    sessions: string,
    kept: readonly Job[],
  ): Promise<void> {
    const program = proxy.command("")[0] as string;
    if (!this.#path.split(":").some((folder) => sizeOf(`${folder}/${program}`) > 0)) {
      throw new ScistreamError(
        "CONN_ERROR",
        `${program} is not installed; on Debian: apt-get install ${proxy.package}; or run it as a container with --type ${
          program[0]?.toUpperCase()
        }${program.slice(1)}`,
      );
    }
    const folders = new Set(kept.map(({ folder }) => folder));
    for await (const { name, isDirectory } of Deno.readDir(sessions)) {
      if (!isDirectory || folders.has(`${sessions}/${name}`)) continue;
      this.#events.onLog("warn", `ending the ${program} that an earlier control server left`);
      await endAll(`${sessions}/${name}`);
    }
    // A log has no event of being too long.
    this.#logs = setInterval(() => this.#boundLogs(), this.#times.logCheckMs);
    Deno.unrefTimer(this.#logs as unknown as number);
  }

  /** They run in the session's folder: so no configuration holds a path that is long or needs quoting. */
  paths(): Paths {
    return { config: "/proc/self/cwd", run: "/proc/self/cwd/run" };
  }

  async check(job: Job, command: string[]): Promise<void> {
    const [program, ...args] = command as [string, ...string[]];
    const checker = new Deno.Command(program, {
      args,
      ...this.#surroundings(job),
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();
    const patience = AbortSignal.timeout(this.#times.patienceMs);
    const kill = () => killGroup(checker.pid);
    patience.addEventListener("abort", kill, { once: true });
    const output = await checker.output();
    patience.removeEventListener("abort", kill);
    if (output.success) return;
    if (output.signal && patience.aborted) {
      throw new ScistreamError(
        "CONN_ERROR",
        `${job.proxy.name} does not finish checking its configuration; does a name server not answer?`,
      );
    }
    const text = new TextDecoder().decode(output.stderr) + new TextDecoder().decode(output.stdout);
    throw new ScistreamError(
      "CONN_ERROR",
      `${job.proxy.name} refuses its configuration: ${gist(text.split("\n"), job)}`,
    );
  }

  async run(job: Job, command: string[]): Promise<void> {
    const supervised: Supervised = {
      job,
      command,
      since: 0,
      wait: 0,
      over: new AbortController(),
    };
    this.#all.set(job.session, supervised);
    try {
      await this.#launch(supervised);
    } catch (error) {
      this.#all.delete(job.session);
      throw error;
    }
  }

  async adopt(job: Job, command: string[]): Promise<boolean> {
    const pid = await pidOf(job);
    if (pid === undefined) {
      await endAll(job.folder).catch(() => {});
      return false;
    }
    const supervised: Supervised = {
      job,
      command,
      since: performance.now(),
      wait: 0,
      over: new AbortController(),
    };
    this.#all.set(job.session, supervised);
    this.#watch(supervised, {
      pid,
      kill: (signal) => Deno.kill(pid, signal),
      status: ended(pid).then(() => undefined),
    });
    return true;
  }

  reconcile(): Promise<void> {
    // What runs in a folder is found by the folder.
    return Promise.resolve();
  }

  async endIn(folder: string): Promise<void> {
    await endAll(folder);
  }

  deliver(): Promise<void> {
    // It reads the session's folder itself.
    return Promise.resolve();
  }

  signal(job: Job, signal: Deno.Signal): Promise<void> {
    // What it throws must be a rejection: timers call it.
    return Promise.try(() => {
      const child = this.#all.get(job.session)?.child;
      if (!child) {
        throw new ScistreamError(
          "CONN_ERROR",
          `${job.proxy.name} is not running; it is being started`,
        );
      }
      child.kill(signal);
    });
  }

  log(job: Job): Promise<string[]> {
    return lastLines(logOf(job));
  }

  follow(job: Job, onLine: (line: string) => void, signal: AbortSignal): Promise<void> {
    return followLines(logOf(job), onLine, signal);
  }

  async end(
    job: Job,
    drain: () => Promise<void>,
    drainMs: number,
    hurry: AbortSignal,
  ): Promise<void> {
    const supervised = this.#all.get(job.session);
    if (!supervised) return;
    supervised.over.abort();
    const { child } = supervised;
    if (child && drainMs > 0 && !hurry.aborted) {
      const enough = AbortSignal.any([hurry, AbortSignal.timeout(drainMs)]);
      drain().catch((error) => {
        // One that has ended, or is not given the time, need not answer.
        if (hurry.aborted) return;
        this.#events.onLog("warn", `session ${job.id}: ${messageOf(error)}`);
      });
      await Promise.race([child.status, aborted(enough)]);
    }
    if (child) {
      killGroup(child.pid);
      await child.status;
    }
    this.#all.delete(job.session);
  }

  async stop(): Promise<void> {
    clearInterval(this.#logs);
    const now = AbortSignal.abort();
    await Promise.all(
      [...this.#all.values()].map(({ job }) => this.end(job, () => Promise.resolve(), 0, now)),
    );
  }

  leave(): Promise<void> {
    clearInterval(this.#logs);
    for (const { over } of this.#all.values()) over.abort();
    return Promise.resolve();
  }

  /** Starts the child and waits until it listens, which it tells by its pid file. */
  async #launch(supervised: Supervised): Promise<void> {
    const { job, command } = supervised;
    const run = `${job.folder}/run`;
    await Deno.remove(`${run}/pid`).catch(() => {});
    // From here to the child being known to `end` nothing waits.
    supervised.over.signal.throwIfAborted();
    const child = new Deno.Command("sh", {
      // The shell opens the log, so that the child needs nobody to read what it prints. A signal that
      // comes before the child can take it must not end it, and does not end what a container runs.
      args: ["-c", 'umask 077; trap "" HUP USR1 USR2; exec "$0" "$@" >>log 2>&1', ...command],
      ...this.#surroundings(job),
      stdin: "null",
      stdout: "null",
      stderr: "null",
      // A Ctrl-C is for s2cs; the group can be killed as one.
      detached: true,
    }).spawn();
    supervised.child = child;
    Deno.writeTextFileSync(pidFile(job), `${child.pid}\n`, { mode: 0o600 });
    const stop = new AbortController();
    const patience = AbortSignal.timeout(this.#times.patienceMs);
    const ready = written(run, "pid", AbortSignal.any([stop.signal, patience]));
    const over = child.status.then(async (status) => {
      const said = gist(await this.log(job), job);
      throw new ScistreamError("CONN_ERROR", `${job.proxy.name} ${how(status)}: ${said}`);
    });
    try {
      await Promise.race([ready, over]);
    } catch (error) {
      killGroup(child.pid);
      await child.status;
      supervised.child = undefined;
      if (!patience.aborted) throw error;
      const said = gist(await this.log(job), job);
      throw new ScistreamError("CONN_ERROR", `${job.proxy.name} does not start: ${said}`);
    } finally {
      stop.abort();
      ready.catch(() => {});
      over.catch(() => {});
    }
    supervised.since = performance.now();
    this.#watch(supervised, child);
  }

  /** Restarts it when it ends. */
  #watch(supervised: Supervised, child: Child): void {
    supervised.child = child;
    child.status.then((status) => {
      // Workers of a master that was killed hold the ports.
      killGroup(child.pid);
      if (!supervised.over.signal.aborted) this.#revive(supervised, status);
    });
  }

  async #revive(supervised: Supervised, status?: Deno.CommandStatus): Promise<void> {
    const { job, over } = supervised;
    const { firstRetryMs, lastRetryMs } = this.#times;
    supervised.child = undefined;
    // One that listened for long is started again at once; one that ends again and again, ever later.
    if (performance.now() - supervised.since > lastRetryMs) supervised.wait = 0;
    let reason = `${job.proxy.name} ${how(status)}`;
    while (!over.signal.aborted) {
      const { wait } = supervised;
      const next = wait > 0 ? `next try within ${wait} ms` : "it is being started again";
      this.#events.onDown(job, `${reason}; ${next}`);
      supervised.wait = Math.min(Math.max(wait * 2, firstRetryMs), lastRetryMs);
      if (wait > 0) await pause(wait, over.signal);
      try {
        await this.#launch(supervised);
        // Released while it was being started.
        if (over.signal.aborted) return;
        return this.#events.onUp(job);
      } catch (error) {
        reason = messageOf(error);
      }
    }
  }

  #surroundings({ folder }: Job) {
    return { cwd: folder, clearEnv: true, env: { PATH: this.#path, LANG: "C" } };
  }

  #boundLogs(): void {
    for (const { job } of this.#all.values()) {
      // The child appends, so it goes on at the new end.
      if (sizeOf(logOf(job)) > LONGEST_LOG) Deno.truncateSync(logOf(job));
    }
  }
}

function logOf({ folder }: Job): string {
  return `${folder}/log`;
}

/** Where a child's id is kept, for whoever takes it over. */
function pidFile({ folder }: Job): string {
  return `${folder}/child`;
}

/** The child that an earlier control server started in a session's folder, if it runs. */
async function pidOf(job: Job): Promise<number | undefined> {
  const text = await Deno.readTextFile(pidFile(job)).catch(() => "");
  const pid = /^([1-9][0-9]{0,9})\n$/.exec(text)?.[1];
  if (pid === undefined) return undefined;
  // Its id may be somebody else's by now; its working directory is not.
  const real = await Deno.realPath(job.folder);
  const { success } = await shell('[ "$(readlink "/proc/$1/cwd")" = "$0" ]', real, pid);
  return success ? Number(pid) : undefined;
}

/** Resolves when a process that is not our child has ended. */
async function ended(pid: number): Promise<void> {
  // The system tells only parents; tail looks for us, and ends with whom it watches.
  await shell('exec tail -s 0.2 --pid="$0" -f /dev/null', String(pid));
}

/** Runs a line of shell, with these as $0, $1, …. */
function shell(line: string, ...args: string[]): Promise<Deno.CommandOutput> {
  return new Deno.Command("sh", {
    args: ["-c", line, ...args],
    clearEnv: true,
    env: { PATH: "/usr/bin:/bin" },
    stdin: "null",
    stderr: "null",
  }).output();
}

function how(status: Deno.CommandStatus | undefined): string {
  if (!status) return "ended";
  const { code, signal } = status;
  return signal ? `was ended by ${signal}` : `ended with exit code ${code}`;
}

/** Ends whoever has this folder as its working directory: only a session's proxy has. */
async function endAll(folder: string): Promise<void> {
  // The kernel knows no symbolic links.
  const real = await Deno.realPath(folder);
  const script =
    'for p in /proc/[0-9]*; do [ "$(readlink "$p/cwd")" = "$0" ] && kill -9 "${p#/proc/}"; done; :';
  await shell(script, real);
}

function killGroup(pid: number): void {
  try {
    Deno.kill(-pid, "SIGKILL");
  } catch {
    // Nobody is left.
  }
}
