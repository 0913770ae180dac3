/**
 * Whole processes for tests: started as a user would, watched by their lines, gone afterwards.
 * @module
 */
import { assertEquals } from "@std/assert";

const ROOT = new URL("..", import.meta.url).pathname;
const ENTRY = `${ROOT}cmd/scistream.ts`;

/** The command line that runs scistream from source, with the permissions of `deno task scistream`. */
export const SCISTREAM = [Deno.execPath(), ...taskFlags(), ENTRY];

function taskFlags(): string[] {
  const config = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  const words: string[] = config.tasks.scistream.split(" ");
  return [...words.slice(1, -1), "--cached-only", "--config", `${ROOT}deno.json`];
}

/** What comes later than this is not coming: the process hangs, and with it whatever waits. */
const HANG_MS = 120_000;

/** What a process that has ended left. */
export interface Ended {
  code: number;
  out: string;
  err: string;
}

/** A running process whose lines can be waited for. */
export class Running {
  /**
   * Whether processes have a group of their own from now on: a terminal's Ctrl-C is then for this
   * process alone, which ends the others in their order.
   */
  static detached = false;
  readonly child: Deno.ChildProcess;
  out = "";
  err = "";
  #onText = new Set<() => void>();
  /** Resolves when the process and its output have ended. */
  readonly ended: Promise<Ended>;

  constructor(command: readonly string[], options: RunOptions = {}) {
    const [program, ...args] = command;
    const child = this.child = new Deno.Command(program as string, {
      args,
      cwd: options.cwd,
      // The configuration of whoever runs the tests is none of theirs.
      env: { XDG_CONFIG_HOME: "/nonexistent", ...options.env },
      stdin: options.stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
      detached: Running.detached,
    }).spawn();
    const status = this.child.status;
    const reading = [
      this.#read(this.child.stdout, (text) => this.out += text),
      this.#read(this.child.stderr, (text) => this.err += text),
    ];
    const { stdin } = options;
    const writing = typeof stdin === "string" ? this.#write(stdin) : undefined;
    this.ended = (async () => {
      const { code } = await status;
      if (stdin === KEYBOARD) await child.stdin.close().catch(() => {});
      await Promise.all([...reading, writing]);
      return { code, out: this.out, err: this.err };
    })();
  }

  /**
   * Resolves with the match once stdout holds it; fails with everything printed if the process ends
   * first, or hangs.
   */
  line(
    pattern: RegExp,
    from: "out" | "err" = "out",
    hangMs = HANG_MS,
  ): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const over = () => {
        clearTimeout(hang);
        this.#onText.delete(look);
      };
      const look = () => {
        const match = pattern.exec(this[from]);
        if (!match) return;
        over();
        resolve(match);
      };
      const fail = (how: string) => {
        over();
        const said = `stdout:\n${this.out}\nstderr:\n${this.err}`;
        reject(new Error(`${how} without ${pattern}\n${said}`));
      };
      const hang = setTimeout(() => fail(`hangs after ${hangMs / 1000} s`), hangMs);
      this.#onText.add(look);
      look();
      this.ended.then(({ code }) => {
        look();
        fail(`ended (${code})`);
      });
    });
  }

  /** Types a line, where stdin is a keyboard. */
  async type(line: string): Promise<void> {
    const writer = this.child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(`${line}\n`));
    writer.releaseLock();
  }

  async stop(signal: Deno.Signal = "SIGTERM"): Promise<Ended> {
    try {
      this.child.kill(signal);
    } catch {
      // It has ended by itself.
    }
    return await this.ended;
  }

  async #read(stream: ReadableStream<Uint8Array>, take: (text: string) => void) {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      take(text);
      for (const look of this.#onText) look();
    }
  }

  async #write(text: string) {
    const writer = this.child.stdin.getWriter();
    // A process that refuses its arguments does not read.
    await writer.write(new TextEncoder().encode(text)).catch(() => {});
    await writer.close().catch(() => {});
  }
}

/** A stdin that stays open for what is typed. */
export const KEYBOARD = Symbol("keyboard");

/** How to run a process. */
export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** Written to stdin, which is then closed, or a keyboard; without it stdin is empty. */
  stdin?: string | typeof KEYBOARD;
}

/** Runs a command to its end. */
export function run(command: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return new Running(command, options).ended;
}

/** Runs `scistream` to its end. */
export function scistream(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return run([...SCISTREAM, ...args], options);
}

/** Asserts that a process ended well, and shows what it said if not. */
export function assertOk(ended: Ended): Ended {
  assertEquals(ended.code, 0, `exit ${ended.code}\nstdout:\n${ended.out}\nstderr:\n${ended.err}`);
  return ended;
}

/** A folder that is gone when the test ends. */
export function tempFolder(): { path: string } & Disposable {
  const path = Deno.makeTempDirSync({ prefix: "scistream-test-" });
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

/** A port that nothing listens on. */
export function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  return listener.addr.port;
}

/** A port range of this size that no other test of this process was given. */
export function portRange(size: number): { first: number; text: string } {
  const first = nextRange;
  nextRange += size;
  return { first, text: `${first}-${first + size - 1}` };
}
// Below the ports that the system gives out by itself (ip_local_port_range), apart for every test process:
// three lanes of scripts/run_tests.ts side by side, with room above for a file of many gateways.
const lane = Number(Deno.env.get("SCISTREAM_TEST_LANE") ?? 0);
let nextRange = 10_000 + lane * 6_000 + (Deno.pid % 20) * 200;

/** A control server of its own, with certificate and state in a folder of its own. */
export class Gateway implements AsyncDisposable {
  readonly folder = tempFolder();
  readonly cert = `${this.folder.path}/server.crt`;
  readonly key = `${this.folder.path}/server.key`;
  stateDir = `${this.folder.path}/state`;
  /** What its process is started with, beside its own command line. */
  prefix: string[] = [];
  env: Record<string, string> = {};
  audit = `${this.folder.path}/audit.jsonl`;
  /** Undefined until it is launched. */
  process!: Running;
  /** Where it works, and what it starts; where this process does if not given. */
  cwd?: string;
  /** `127.0.0.1:PORT`. */
  address = "";

  static async start(...flags: string[]): Promise<Gateway> {
    const gateway = await Gateway.prepare();
    await gateway.launch(0, ...flags);
    return gateway;
  }

  /** One that is still to be launched, perhaps with something of its own. */
  static async prepare(): Promise<Gateway> {
    const gateway = new Gateway();
    await gateway.certify();
    return gateway;
  }

  /** Gives it a certificate, in place of an earlier one. */
  async certify(): Promise<void> {
    const { makeCertificate } = await import("../lib/certificate.ts");
    const { cert, key } = await makeCertificate({
      ips: ["127.0.0.1"],
      names: ["localhost"],
      days: 1,
    });
    Deno.writeTextFileSync(this.cert, cert);
    Deno.writeTextFileSync(this.key, key, { mode: 0o600 });
  }

  /** Starts the process; used again to start it anew after its death. */
  async launch(port: number, ...flags: string[]): Promise<void> {
    const words = [...this.prefix, ...SCISTREAM, ...this.s2cs(port, flags)];
    await this.run(words, { env: this.env, cwd: this.cwd });
  }

  /** The words that run it, after those that run `scistream`. */
  protected s2cs(port: number, flags: readonly string[]): string[] {
    const hasRange = flags.some((flag) => flag.startsWith("--port-range"));
    return [
      "s2cs",
      "--listener-ip=127.0.0.1",
      `--port=${port}`,
      `--server-crt=${this.cert}`,
      `--server-key=${this.key}`,
      `--state-dir=${this.stateDir}`,
      `--audit-log=${this.audit}`,
      ...hasRange ? [] : [`--port-range=${portRange(20).text}`],
      ...flags,
    ];
  }

  /** Runs these words until it listens. */
  protected async run(words: readonly string[], options: RunOptions): Promise<void> {
    this.process = new Running(words, options);
    this.address = (await this.process.line(/gRPC Server started on (\S+)/))[1] as string;
  }

  /** Flags with which a client reaches it. */
  get flags(): string[] {
    return ["--s2cs", this.address, "--server-cert", this.cert];
  }

  /** Process ids of the data servers that it, or its predecessors, started. */
  dataServers(): number[] {
    return processes().filter(({ args }) => args.includes(this.stateDir) && args.includes(" s2ds "))
      .map(({ pid }) => pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process?.stop();
    for (const pid of this.dataServers()) Deno.kill(pid, "SIGKILL");
    this.folder[Symbol.dispose]();
  }
}

/** The ports of a range that somebody listens on, at whatever address. */
export function listeningPorts({ first, text }: { first: number; text: string }): Set<number> {
  const last = Number(text.split("-")[1]);
  const ports = new Set<number>();
  for (const table of ["tcp", "tcp6"]) {
    for (const line of Deno.readTextFileSync(`/proc/net/${table}`).split("\n")) {
      // Local address, remote address, state; 0A is LISTEN.
      const hex = /^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) \S+ 0A /.exec(line)?.[1];
      const port = parseInt(hex ?? "0", 16);
      if (port >= first && port <= last) ports.add(port);
    }
  }
  return ports;
}

/** Every process of this machine that can be seen. */
export function processes(): { pid: number; args: string }[] {
  const result = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const args = Deno.readTextFileSync(`/proc/${name}/cmdline`).replaceAll("\0", " ");
      result.push({ pid: Number(name), args });
    } catch {
      // It has ended.
    }
  }
  return result;
}

/** Looks again and again, at most 10 s, until `look` answers something true; the last resort where nothing tells of the event. */
export async function eventually<T>(what: string, look: () => T | Promise<T>): Promise<T> {
  const end = Date.now() + 10_000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`did not happen within 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** For a test that cannot run everywhere: the runner lists what was left out by its name, so the reason is in it. */
export function leftOutIf(reason: string | undefined): { ignore: boolean; because: string } {
  return { ignore: reason !== undefined, because: reason === undefined ? "" : ` (${reason})` };
}
