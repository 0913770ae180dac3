/**
 * What goes wrong with a machine, made to go wrong: disks that are full or read-only, processes that
 * stand still, clocks that jump. And streams that say whether they noticed.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { dial, writeAll } from "./echo.ts";
import { assertOk, type Gateway, run } from "./harness.ts";
import { pidsBelow } from "./pair.ts";

/** How long anything may take that is not the fault itself: then it hangs. */
const PATIENCE_MS = 30_000;
const BLOCK = 16 << 10;
/** Bytes that may be on their way. */
const WINDOW = 8 * BLOCK;
const PAUSE_MS = 10;

/** The promise, or an error that says what did not happen. */
export async function soon<T>(what: string, promise: Promise<T>, ms = PATIENCE_MS): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The length of a fault, which is its point; nothing else in these tests waits for a time. */
export function lasts(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

/** The bytes of a flow from `offset` on: no two blocks are alike, so that none can take another's place. */
function pattern(offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    const at = offset + i;
    bytes[i] = (at ^ (at >>> 7) * 31 ^ (at >>> 15) * 101 ^ (at >>> 23) * 59) & 0xff;
  }
  return bytes;
}

/** A connection to an echo server over a session that sends all the time, and checks every byte that comes back. */
export class Flow implements AsyncDisposable {
  sent = 0;
  got = 0;
  #stopping = false;
  #onMove = new Set<() => void>();
  #failure?: Error;
  readonly #conn: Deno.TcpConn;
  readonly #work: Promise<unknown>;

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
    const fail = (error: Error) => {
      this.#failure ??= error;
      this.#tell();
    };
    this.#work = Promise.all([this.#write().catch(fail), this.#read().catch(fail)]);
  }

  /** Comes back once bytes have. */
  static async open(address: string): Promise<Flow> {
    const flow = new Flow(await dial(address));
    await flow.moves();
    return flow;
  }

  /** Resolves when bytes that are sent from now on have come back, each as it was sent. */
  async moves(): Promise<void> {
    const goal = this.sent + BLOCK;
    await soon(
      `the stream moves on from ${this.sent} sent, ${this.got} got`,
      this.#until(() => this.got >= goal),
    );
  }

  /** Says that no more comes, and asserts that every byte has come back. */
  async finish(): Promise<void> {
    this.#stopping = true;
    await soon(`the stream ends: ${this.got} of ${this.sent} came back`, this.#work);
    if (this.#failure) throw this.#failure;
    assert(this.sent > 0);
    assertEquals(this.got, this.sent, "bytes that came back");
  }

  /** Resolves once it has been cut; fails if it moves on instead. */
  async isCut(): Promise<void> {
    await soon("the stream is cut", this.#until(() => false).catch(() => {}));
    // Cut, and not garbled.
    if (/^byte/.test(this.#failure?.message ?? "")) throw this.#failure;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    try {
      this.#conn.close();
    } catch {
      // It is closed.
    }
    this.#tell();
    await this.#work;
  }

  async #write(): Promise<void> {
    while (!this.#stopping && !this.#failure) {
      await writeAll(this.#conn, pattern(this.sent, BLOCK));
      this.sent += BLOCK;
      await this.#until(() => this.#stopping || this.sent - this.got < WINDOW);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    await this.#conn.closeWrite();
  }

  async #read(): Promise<void> {
    const chunk = new Uint8Array(64 << 10);
    for (let n; (n = await this.#conn.read(chunk)) !== null;) {
      const expected = pattern(this.got, n);
      const wrong = chunk.subarray(0, n).findIndex((byte, i) => byte !== expected[i]);
      if (wrong >= 0) throw new Error(`byte ${this.got + wrong} is another than was sent`);
      this.got += n;
      this.#tell();
    }
    if (!this.#stopping) throw new Error(`the stream ended after ${this.got} bytes`);
    this.#conn.close();
  }

  #until(reached: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (this.#failure) reject(this.#failure);
        else if (reached()) resolve();
        else return;
        this.#onMove.delete(look);
      };
      this.#onMove.add(look);
      look();
    });
  }

  #tell(): void {
    for (const look of this.#onMove) look();
  }
}

/** A small disk of its own. */
export class Disk implements AsyncDisposable {
  readonly path = Deno.makeTempDirSync({ prefix: "scistream-disk-" });
  #image?: string;

  private constructor() {}

  /** Why disks cannot be had here, or undefined. */
  static async unavailable(): Promise<string | undefined> {
    const disk = new Disk();
    const mounted = await run([
      "mount",
      "-t",
      "tmpfs",
      "-o",
      "size=256k,mode=700",
      "none",
      disk.path,
    ]);
    await disk[Symbol.asyncDispose]();
    return mounted.code === 0 ? undefined : `no mount: ${mounted.err.trim()}`;
  }

  /** In memory. */
  static async inMemory(): Promise<Disk> {
    const disk = new Disk();
    assertOk(await run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "none", disk.path]));
    return disk;
  }

  /** A file system in a file that can be made to fail: it is read-only from then on, whoever has files open. */
  static async thatFails(): Promise<Disk> {
    const disk = new Disk();
    disk.#image = `${disk.path}.img`;
    using file = Deno.openSync(disk.#image, { create: true, write: true });
    file.truncateSync(8 << 20);
    assertOk(await run(["mkfs.ext4", "-q", "-F", disk.#image]));
    await disk.mount();
    return disk;
  }

  /** Mounts the file system in a file; again after {@linkcode Disk.unmount}. */
  async mount(): Promise<void> {
    assertOk(
      await run(["mount", "-o", "loop,errors=remount-ro", this.#image as string, this.path]),
    );
  }

  /**
   * Nobody may have anything open there. What was broken is mended, in a copy: whoever made a mount
   * namespace meanwhile (an engine of another test) still has the file system mounted in there, and it
   * would come back as it is, read-only.
   */
  async unmount(): Promise<void> {
    const image = this.#image as string;
    assertOk(await run(["umount", this.path]));
    Deno.copyFileSync(image, `${image}.mended`);
    Deno.renameSync(`${image}.mended`, image);
    const { code, out } = await run(["e2fsck", "-f", "-y", image]);
    // 1: errors were corrected (e2fsck(8)).
    assert(code <= 1, out);
  }

  /** What a kernel does that meets an error of the medium. */
  async fail(): Promise<void> {
    const { out } = assertOk(await run(["findmnt", "-no", "SOURCE", this.path]));
    const device = out.trim().replace(/.*\//, "");
    Deno.writeTextFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, "1");
  }

  /** Takes all the room that is left. */
  fill(): void {
    using file = Deno.openSync(`${this.path}/full`, { create: true, append: true });
    for (const size of [4096, 1]) {
      try {
        for (;;) file.writeSync(new Uint8Array(size));
      } catch {
        // Full, as it should be.
      }
    }
  }

  /** Makes room. */
  free(): void {
    Deno.removeSync(`${this.path}/full`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What a test that failed has left would keep it.
    for (const pid of await pidsBelow(this.path)) Deno.kill(pid, "SIGKILL");
    await run(["umount", "--lazy", this.path]);
    Deno.removeSync(this.path);
    if (this.#image) Deno.removeSync(this.#image);
  }
}

/** A clock that a process has for itself, and that can be set. Timers go on as they do when a machine's clock is set. */
export class Clock implements Disposable {
  static readonly library = ["x86_64", "aarch64"].map((machine) =>
    `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`
  ).find((path) => exists(path));
  readonly #file = Deno.makeTempFileSync({ prefix: "scistream-clock-" });

  constructor() {
    this.jump(0);
  }

  /** Sets it so many seconds off the real one. */
  jump(seconds: number): void {
    // Whole or not at all: it is read at every look at the clock.
    Deno.writeTextFileSync(`${this.#file}.new`, `${seconds < 0 ? "" : "+"}${seconds}s\n`);
    Deno.renameSync(`${this.#file}.new`, this.#file);
  }

  /** The environment of a process that has this clock. */
  get env(): Record<string, string> {
    return {
      LD_PRELOAD: Clock.library ?? "",
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      DONT_FAKE_MONOTONIC: "1",
    };
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#file);
  }
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Lines of a control server's log that say this. */
export function said(gateway: Gateway, pattern: RegExp): string[] {
  return gateway.process.err.split("\n").filter((line) => pattern.test(line));
}
