/**
 * Processes that a benchmark starts: watched by their lines, gone with the benchmark.
 * @module
 */

const ECHO = new URL("echo.ts", import.meta.url).pathname;

/** A running process. */
export class Process implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #what: string;
  readonly pid: number;
  #out = "";
  #err = "";
  #onText = new Set<() => void>();
  readonly #ended: Promise<Deno.CommandStatus>;

  /** @param signal ends it when aborted */
  constructor(command: readonly string[], signal: AbortSignal) {
    signal.throwIfAborted();
    const [program, ...args] = command as [string, ...string[]];
    this.#what = program;
    this.#child = new Deno.Command(program, {
      args,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      // A Ctrl-C is for the benchmark, which ends its processes itself.
      detached: true,
    }).spawn();
    this.pid = this.#child.pid;
    signal.addEventListener("abort", () => this.kill("SIGTERM"), { once: true });
    const reading = [
      this.#read(this.#child.stdout, (text) => this.#out += text),
      this.#read(this.#child.stderr, (text) => this.#err += text),
    ];
    this.#ended = Promise.all([this.#child.status, ...reading]).then(([status]) => status);
  }

  /**
   * Resolves once the output holds the `count`th match.
   * @throws {Error} with everything printed, if it ends first
   */
  async line(pattern: RegExp, count = 1): Promise<RegExpMatchArray> {
    const matches = () => [...(this.#out + this.#err).matchAll(new RegExp(pattern, "gm"))];
    let ended = false;
    this.#ended.then(() => {
      ended = true;
      for (const look of this.#onText) look();
    });
    for (;;) {
      const match = matches()[count - 1];
      if (match) return match;
      if (ended) throw new Error(`${this.#what} ended without ${pattern}:\n${this.#err}`);
      await new Promise<void>((resolve) => {
        const look = () => {
          this.#onText.delete(look);
          resolve();
        };
        this.#onText.add(look);
      });
    }
  }

  /** What it printed, once it has ended well. */
  async output(): Promise<string> {
    const { code, success } = await this.#ended;
    if (!success) throw new Error(`${this.#what} ended with ${code}:\n${this.#out}\n${this.#err}`);
    return this.#out;
  }

  kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended by itself.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGTERM");
    await this.#ended;
  }

  async #read(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      take(text);
      for (const look of this.#onText) look();
    }
  }
}

/** Runs a command to its end; answers what it printed. */
export async function run(command: readonly string[], signal: AbortSignal): Promise<string> {
  await using process = new Process(command, signal);
  return await process.output();
}

// Deno shows /proc only to processes that may do everything; cat reads it for those that may run
// something. A process that has ended meanwhile is left out.
const read = (paths: string[], signal: AbortSignal) =>
  run(["sh", "-c", 'cat "$@" 2>/dev/null || :', "sh", ...paths], signal);

/**
 * Processor seconds, user and system, that these processes have used so far, and those of their
 * children that have ended.
 */
export async function cpuSeconds(pids: readonly number[], signal: AbortSignal): Promise<number> {
  if (pids.length === 0) return 0;
  const text = await read(pids.map((pid) => `/proc/${pid}/stat`), signal);
  const ticks = text.trim().split("\n").map((line) => {
    // proc(5): utime, stime, cutime and cstime are fields 14 to 17; the name in field 2 may hold
    // spaces.
    const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
    return fields.slice(11, 15).reduce((sum, each) => sum + Number(each), 0);
  });
  // USER_HZ is 100 on every Linux that Deno runs on.
  return ticks.reduce((sum, each) => sum + each, 0) / 100;
}

/** Resident memory of these processes together, in megabytes (10^6 bytes). */
export async function residentMegabytes(
  pids: readonly number[],
  signal: AbortSignal,
): Promise<number> {
  const text = await read(pids.map((pid) => `/proc/${pid}/status`), signal);
  const sizes = [...text.matchAll(/^VmRSS:\s+(\d+) kB$/gm)].map(([, size]) => Number(size));
  return sizes.reduce((sum, each) => sum + each, 0) * 1024 / 1e6;
}

/** A process's children. */
export async function children(pid: number, signal: AbortSignal): Promise<number[]> {
  const text = await read([`/proc/${pid}/task/${pid}/children`], signal);
  return text.trim().split(" ").filter(Boolean).map(Number);
}

/** A process and its descendants. */
export async function family(pid: number, signal: AbortSignal): Promise<number[]> {
  const below = (await children(pid, signal)).map((child) => family(child, signal));
  return [pid, ...(await Promise.all(below)).flat()];
}

/** A server that sends back what it gets, until the stack is disposed of; answers its port. */
export async function startEcho(
  stack: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<number> {
  const command = [Deno.execPath(), "run", "--quiet", "--no-prompt", "--allow-net=127.0.0.1", ECHO];
  const [, port] = await stack.use(new Process(command, signal)).line(/^listening on (\d+)$/);
  return Number(port);
}

/** A port that nobody listens on. */
export function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  return listener.addr.port;
}

/** Resolves when somebody listens there. */
export async function listening(port: number, process: Process): Promise<void> {
  const ended = process.output().then(() => "ended");
  // How it ends once it has listened is told where it is disposed of.
  ended.catch(() => {});
  for (;;) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch {
      // HAProxy and nginx print nothing when they are ready: asking is all there is.
      const look = new Promise((resolve) => setTimeout(resolve, 10));
      if (await Promise.race([ended, look]) === "ended") throw new Error("it ended");
    }
  }
}
