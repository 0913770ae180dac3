// The supervisor of proxies, with shell scripts for proxies that misbehave as no real one can be
// made to.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { eventually } from "../../../tests/harness.ts";
import { ScistreamError } from "../../protocol/errors.ts";
import { sizeOf, written } from "./files.ts";
import { Processes } from "./processes.ts";
import type { Job, Proxy } from "./proxy.ts";

/** How a fake tells that it listens; what follows must not end. */
const LISTEN = "echo $$ >run/pid";
const FOR_EVER = "exec sleep 1000";
/** Longer than any test: whoever waits for it was not ended by it. */
const HOUR_MS = 3_600_000;
const never = new AbortController().signal;
const LONGEST_LOG = 1 << 20;

type Times = ConstructorParameters<typeof Processes>[1];

/** A supervisor, a folder for its sessions, and what it tells, a line each. */
class Rig implements AsyncDisposable {
  readonly folder = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "scistream-test-" }));
  readonly sessions = `${this.folder}/sessions`;
  readonly told: string[] = [];
  readonly runner: Processes;
  #onTold = () => {};
  #made = 0;

  constructor(times?: Times) {
    Deno.mkdirSync(this.sessions);
    const tell = (line: string) => {
      this.told.push(line);
      this.#onTold();
    };
    this.runner = new Processes({
      onDown: ({ id }, reason) => tell(`${id} down: ${reason}`),
      onUp: ({ id }) => tell(`${id} up`),
      onLog: (level, message) => tell(`${level}: ${message}`),
    }, times);
  }

  /** A session of a fake proxy, in a folder of its own. */
  job(script: string): Job {
    const id = String(++this.#made);
    const folder = `${this.sessions}/${id}`;
    Deno.mkdirSync(`${folder}/run`, { recursive: true });
    const limits = { threads: 1, connections: 1, memory: 1 };
    return { session: `hash of ${id}`, id, proxy: fake(["sh", "-c", script]), folder, limits };
  }

  /** Runs a session, which must succeed. */
  async run(script: string): Promise<Job> {
    const job = this.job(script);
    await soon("it listens", this.runner.run(job, job.proxy.command("")));
    return job;
  }

  /** Releases a session; without a drain time at once. */
  async end(job: Job, drainMs = 0): Promise<void> {
    const drain = () => this.runner.signal(job, "SIGTERM");
    await soon("it is released", this.runner.end(job, drain, drainMs, never));
  }

  /** Resolves with the first line from this one on that matches. */
  async line(pattern: RegExp, from = 0): Promise<string> {
    const found = Promise.withResolvers<string>();
    this.#onTold = () => {
      const line = this.told.slice(from).find((each) => pattern.test(each));
      if (line) found.resolve(line);
    };
    this.#onTold();
    return await soon(`${pattern} in ${JSON.stringify(this.told)}`, found.promise);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await soon("it stops", this.runner.stop());
    } finally {
      // What a broken supervisor left.
      const left = [...Deno.readDirSync(this.sessions)].flatMap(({ name }) =>
        runningIn(`${this.sessions}/${name}`)
      );
      for (const pid of left) Deno.kill(pid, "SIGKILL");
      Deno.removeSync(this.folder, { recursive: true });
    }
  }
}

function fake(command: string[]): Proxy {
  const unused = () => {
    throw new Error("the supervisor does not do this");
  };
  return {
    name: "fake",
    package: "fake-package",
    image: "fake:latest",
    configFolder: "/etc/fake",
    udp: false,
    sharesPorts: false,
    listens: () => true,
    leaves: () => false,
    mostTasks: 1,
    stopSignal: "SIGTERM",
    config: unused,
    command: () => command,
    reload: unused,
    drain: unused,
    complaint: () => "",
  };
}

/** A promise that a broken supervisor would never settle. */
async function soon<T>(what: string, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`did not happen: ${what}`)), 20_000);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Processes that work in this folder, also if it has been removed since. */
function runningIn(folder: string): number[] {
  const pids: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    try {
      const cwd = Deno.readLinkSync(`/proc/${name}/cwd`);
      if (cwd.replace(/ \(deleted\)$/, "") === folder) pids.push(Number(name));
    } catch {
      // No process, or one that has ended.
    }
  }
  return pids;
}

/** Nobody works in the folder: its children end a moment after their parent. */
async function assertNobodyIn(folder: string): Promise<void> {
  await eventually(`nobody works in ${folder}`, () => runningIn(folder).length === 0);
}

function pidOf({ folder }: Job): number {
  return Number(Deno.readTextFileSync(`${folder}/run/pid`));
}

function textOf(path: string): string {
  return sizeOf(path) > 0 ? Deno.readTextFileSync(path) : "";
}

Deno.test("supervisor: a proxy that ends at once: its complaint, and nothing is left", async () => {
  await using rig = new Rig();
  const job = rig.job(
    `sleep 1000 & echo "starting"; echo "[ALERT] cannot bind $PWD/run/api: in use" >&2; exit 3`,
  );
  const error = await assertRejects(
    () => rig.runner.run(job, job.proxy.command("")),
    ScistreamError,
  );
  assertEquals(error.code, "CONN_ERROR");
  assertEquals(error.message, "fake ended with exit code 3: [ALERT] cannot bind run/api: in use");
  await assertNobodyIn(job.folder);
  assertEquals(rig.told, [], "it is not brought back");
  // What is not there has nothing to end, and nothing to signal.
  await rig.end(job, HOUR_MS);
});

Deno.test("supervisor: a proxy that never listens: told with its last words, and ended", async () => {
  await using rig = new Rig({ patienceMs: 50 });
  const job = rig.job(`trap '' TERM INT; ${FOR_EVER}`);
  Deno.writeTextFileSync(`${job.folder}/log`, "error: waiting for entropy\n");
  const error = await assertRejects(
    () => soon("patience ends", rig.runner.run(job, job.proxy.command(""))),
    ScistreamError,
  );
  assertEquals(error.details, "[CONN_ERROR] fake does not start: error: waiting for entropy");
  assertEquals(runningIn(job.folder), []);
  assertEquals(rig.told, []);
});

Deno.test("supervisor: a checker that complains, and one that never ends", async () => {
  await using rig = new Rig();
  const job = rig.job("");
  const complaint = await assertRejects(
    () => rig.runner.check(job, ["sh", "-c", `echo "[emerg] no such directive" >&2; exit 1`]),
    ScistreamError,
  );
  assertEquals(
    complaint.details,
    "[CONN_ERROR] fake refuses its configuration: [emerg] no such directive",
  );
  await rig.runner.check(job, ["true"]);
  await using hasty = new Rig({ patienceMs: 50 });
  const late = await assertRejects(
    () => soon("patience ends", hasty.runner.check(job, ["sh", "-c", `trap '' TERM; ${FOR_EVER}`])),
    ScistreamError,
  );
  assertMatch(late.details, /^\[CONN_ERROR\] fake does not finish checking its configuration/);
  await assertNobodyIn(job.folder);
});

Deno.test("supervisor: one that cannot start again is tried ever later, and told each time", async () => {
  await using rig = new Rig({ firstRetryMs: 5, lastRetryMs: 20 });
  // The first and the seventh listen. Each holds the lock for as long as it lives.
  const job = await rig.run(`exec 9>lock; flock -n 9 || echo two >>overlap
    echo >>starts; n=$(wc -l <starts)
    [ $n = 1 ] || [ $n = 7 ] || { echo "try $n: cannot bind"; exit 1; }
    ${LISTEN}; ${FOR_EVER}`);
  const first = pidOf(job);
  Deno.kill(first, "SIGKILL");
  await rig.line(/up/);
  assertEquals(
    rig.told.map((line) => line.replace(/(fake ended with exit code 1: ).*(try \d)/, "$1$2")),
    [
      "1 down: fake was ended by SIGKILL; it is being started again",
      "1 down: fake ended with exit code 1: try 2: cannot bind; next try within 5 ms",
      "1 down: fake ended with exit code 1: try 3: cannot bind; next try within 10 ms",
      "1 down: fake ended with exit code 1: try 4: cannot bind; next try within 20 ms",
      "1 down: fake ended with exit code 1: try 5: cannot bind; next try within 20 ms",
      "1 down: fake ended with exit code 1: try 6: cannot bind; next try within 20 ms",
      "1 up",
    ],
  );
  assert(pidOf(job) !== first);
  assertEquals(runningIn(job.folder), [pidOf(job)]);
  assertEquals(textOf(`${job.folder}/overlap`), "", "no two at once");
});

Deno.test("supervisor: one that listens and ends, again and again, is not restarted ever faster", async () => {
  await using rig = new Rig({ firstRetryMs: 2, lastRetryMs: HOUR_MS });
  const job = await rig.run(`exec 9>lock; flock -n 9 || echo two >>overlap
    ${LISTEN}; ${FOR_EVER}`);
  for (let n = 0; n < 5; n++) {
    const from = rig.told.length;
    Deno.kill(pidOf(job), "SIGKILL");
    await rig.line(/up/, from);
  }
  const killed = "1 down: fake was ended by SIGKILL; ";
  assertEquals(rig.told.filter((line) => line !== "1 up"), [
    `${killed}it is being started again`,
    `${killed}next try within 2 ms`,
    `${killed}next try within 4 ms`,
    `${killed}next try within 8 ms`,
    `${killed}next try within 16 ms`,
  ]);
  assertEquals(textOf(`${job.folder}/overlap`), "", "no two at once");
});

Deno.test("supervisor: children that a proxy leaves behind end with it", async () => {
  await using rig = new Rig();
  const job = await rig.run(`sleep 1000 & echo $! >worker; ${LISTEN}; wait`);
  const before = runningIn(job.folder);
  assertEquals(before.length, 2);
  Deno.kill(pidOf(job), "SIGKILL");
  await rig.line(/up/);
  await eventually(
    "the old worker is gone",
    () => !runningIn(job.folder).some((pid) => before.includes(pid)),
  );
  assertEquals(runningIn(job.folder).length, 2, "master and worker");
  await rig.end(job);
  await assertNobodyIn(job.folder);
});

Deno.test("supervisor: a proxy that does not heed its drain signal is killed after the drain time", async () => {
  await using rig = new Rig();
  const job = await rig.run(`trap '' TERM; ${LISTEN}; ${FOR_EVER}`);
  await rig.end(job, 20);
  assertEquals(runningIn(job.folder), []);
  assertEquals(rig.told, []);
});

Deno.test("supervisor: one that drains goes on, is killed at once when hurried", async () => {
  await using rig = new Rig();
  const job = await rig.run(`trap 'echo >run/draining' TERM; ${LISTEN}
    while :; do sleep 1000 & wait; done`);
  const pid = pidOf(job);
  const hurry = new AbortController();
  const ended = rig.runner.end(
    job,
    () => rig.runner.signal(job, "SIGTERM"),
    HOUR_MS,
    hurry.signal,
  );
  await soon("it drains", written(`${job.folder}/run`, "draining", never));
  assert(runningIn(job.folder).includes(pid), "it has an hour to drain");
  hurry.abort();
  await soon("it is killed", ended);
  assert(!runningIn(job.folder).includes(pid));
  await assertNobodyIn(job.folder);
  assertEquals(rig.told, [], "it is not brought back");
});

Deno.test("supervisor: with no time to drain, or hurried before, it is not asked to", async () => {
  await using rig = new Rig();
  const asked = () => Promise.reject(new Error("asked"));
  for (const [drainMs, hurry] of [[0, never], [HOUR_MS, AbortSignal.abort()]] as const) {
    const job = await rig.run(`${LISTEN}; ${FOR_EVER}`);
    await soon("it is killed", rig.runner.end(job, asked, drainMs, hurry));
    assertEquals(runningIn(job.folder), []);
  }
  assertEquals(rig.told, []);
});

Deno.test("supervisor: one that finishes draining by itself ends the release, with what it left", async () => {
  await using rig = new Rig();
  const job = await rig.run(`trap 'exit 0' TERM; ${LISTEN}; sleep 1000 & wait`);
  await rig.end(job, HOUR_MS);
  await assertNobodyIn(job.folder);
  assertEquals(rig.told, [], "it is not brought back");
});

Deno.test("supervisor: one that cannot be drained is told of, and killed in the end", async () => {
  await using rig = new Rig();
  const job = await rig.run(`${LISTEN}; ${FOR_EVER}`);
  const drain = () => Promise.reject(new Error("it does not answer"));
  await soon("it is killed", rig.runner.end(job, drain, 20, never));
  assertEquals(runningIn(job.folder), []);
  assertEquals(rig.told, ["warn: session 1: it does not answer"]);
});

Deno.test("supervisor: released in the middle of being restarted, nothing runs or is told afterwards", async () => {
  await using rig = new Rig({ firstRetryMs: 1, lastRetryMs: 4 });
  /** Sessions, and how many lines had been told when each was released. */
  const released: [Job, number][] = [];
  for (let n = 0; n < 50; n++) {
    // Every other one cannot start again: it is released while it waits, or is tried.
    const job = await rig.run(`${n % 2 === 0 ? "" : "[ -e run/died ] && exit 1;"} ${LISTEN}
      echo >run/died; ${FOR_EVER}`);
    await soon("it is done", written(`${job.folder}/run`, "died", never));
    const from = rig.told.length;
    Deno.kill(pidOf(job), "SIGKILL");
    await rig.line(/down/, from);
    // Further into the restart each time.
    for (let turn = 0; turn < n; turn++) await new Promise((done) => setImmediate(done));
    released.push([job, rig.told.length]);
    await rig.end(job, n % 3 === 0 ? HOUR_MS : 0);
    assertEquals(runningIn(job.folder), [], `release ${n}`);
    if (n % 4 === 0) Deno.removeSync(job.folder, { recursive: true });
  }
  // Whatever was to come has come when another has been restarted.
  const other = await rig.run(`${LISTEN}; ${FOR_EVER}`);
  Deno.kill(pidOf(other), "SIGKILL");
  await rig.line(new RegExp(`^${other.id} up`));
  for (const [{ id, folder }, at] of released) {
    assertEquals(runningIn(folder), []);
    assertEquals(rig.told.slice(at).filter((line) => line.startsWith(`${id} `)), []);
  }
});

Deno.test("supervisor: a log without end is cut, and goes on being read", async () => {
  await using rig = new Rig({ logCheckMs: 5 });
  await rig.runner.start(fake(["sh"]), undefined, rig.sessions, []);
  const job = await rig.run(`n=0; trap 'n=$((n+1)); echo "answer $n"; echo >run/said-$n' TERM
    trap 'n=$((n+1)); seq ${LONGEST_LOG / 4}; echo >run/said-$n' INT
    ${LISTEN}; while :; do sleep 1000 & wait; done`);
  const log = `${job.folder}/log`;
  const stop = new AbortController();
  const answers: string[] = [];
  const said = async (signal: Deno.Signal, n: number) => {
    const saying = written(`${job.folder}/run`, `said-${n}`, never);
    await rig.runner.signal(job, signal);
    await soon(`said ${n}`, saying);
  };
  let onAnswer = () => {};
  await rig.runner.follow(job, (line) => {
    if (!line.startsWith("answer")) return;
    answers.push(line);
    onAnswer();
  }, stop.signal);
  for (let n = 0; n < 6; n += 2) {
    // Nearly two megabytes at once.
    await said("SIGINT", n + 1);
    await eventually("the log is cut", () => sizeOf(log) <= LONGEST_LOG);
    const answered = new Promise<void>((resolve) => onAnswer = resolve);
    await said("SIGTERM", n + 2);
    await soon("its answer is read", answered);
    assertEquals(answers.at(-1), `answer ${n + 2}`);
    assertEquals((await rig.runner.log(job)).at(-1), `answer ${n + 2}`);
  }
  stop.abort();
  assertEquals(answers.length, 3, "each once");
});

Deno.test("supervisor: its start ends what works in the sessions' folders, and nobody else", async () => {
  await using rig = new Rig();
  await using stack = new AsyncDisposableStack();
  const [one, other, beside] = [
    `${rig.sessions}/one`,
    `${rig.sessions}/other`,
    `${rig.folder}/sessions-2`,
  ];
  const below = `${one}/run`;
  for (const folder of [one, other, below, beside, `${beside}/one`]) Deno.mkdirSync(folder);
  /** A process that gives way to no signal but SIGKILL. */
  const working = (cwd: string) => {
    const args = ["-c", `trap '' TERM HUP; ${FOR_EVER}`, one];
    const child = new Deno.Command("sh", { args, cwd, stdin: "null", detached: true }).spawn();
    stack.defer(async () => {
      try {
        child.kill("SIGKILL");
      } catch {
        // As it should be.
      }
      await child.status;
    });
    return child;
  };
  const left = [working(one), working(one), working(other)];
  const strangers = [
    working(rig.folder),
    working(rig.sessions),
    working(below),
    working(beside),
    working(`${beside}/one`),
  ];
  const all = [one, other, below, rig.folder, rig.sessions, beside, `${beside}/one`];
  await eventually("all work", () => all.flatMap(runningIn).length === 8);
  await rig.runner.start(fake(["sh"]), undefined, rig.sessions, []);
  for (const { status } of left) assertEquals((await soon("it ends", status)).signal, "SIGKILL");
  assertEquals(rig.told, Array(2).fill("warn: ending the sh that an earlier control server left"));

  // By whatever name the folder goes.
  Deno.symlinkSync(rig.folder, `${beside}/link`);
  const again = working(one);
  await eventually("it works", () => runningIn(one).length === 1);
  await using successor = new Rig();
  await successor.runner.start(fake(["sh"]), undefined, `${beside}/link/sessions`, []);
  assertEquals((await soon("it ends", again.status)).signal, "SIGKILL");
  assertEquals(all.flatMap(runningIn).sort(), strangers.map(({ pid }) => pid).sort());
});

Deno.test("supervisor: a program that is not installed: the sentence says what to install", async () => {
  await using rig = new Rig();
  const error = await assertRejects(
    () => rig.runner.start(fake(["no-such-proxy", "-f"]), undefined, rig.sessions, []),
    ScistreamError,
  );
  assertEquals(
    error.details,
    "[CONN_ERROR] no-such-proxy is not installed; on Debian: apt-get install fake-package; " +
      "or run it as a container with --type No-such-proxy",
  );
  assertEquals(rig.told, []);
});
