/**
 * Notices an input that never comes to an end: nothing else in its thread could. A worker looks from
 * time to time whether the input is still the same, keeps it in the corpus, and ends the process.
 * @module
 */
import { keep } from "./corpus.ts";

/** An input takes less than a millisecond, with files or sockets some; a busy machine is no hang. */
const HANG_MS = 20_000;
/** Longest input, and of the target's name. */
const MOST_BYTES = 1 << 20;

/** Shared with the worker: how many inputs there were, and the length of what is in `bytes`. */
interface Shared {
  numbers: Int32Array;
  bytes: Uint8Array;
}

/** Looks after the inputs of one target at a time. */
export class Watchdog implements Disposable {
  readonly #shared: Shared = {
    numbers: new Int32Array(new SharedArrayBuffer(8)),
    bytes: new Uint8Array(new SharedArrayBuffer(MOST_BYTES)),
  };
  readonly #worker = new Worker(import.meta.url, { type: "module" });

  constructor() {
    this.#worker.postMessage(this.#shared);
  }

  /** The input is about to be tried. */
  readonly onInput = (target: string, input: Uint8Array): void => {
    const { numbers, bytes } = this.#shared;
    const name = new TextEncoder().encode(`${target}\n`);
    bytes.set(name);
    bytes.set(input.subarray(0, MOST_BYTES - name.length), name.length);
    Atomics.store(numbers, 1, Math.min(MOST_BYTES, name.length + input.length));
    Atomics.add(numbers, 0, 1);
  };

  /** Looks no more. */
  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

function watch({ numbers, bytes }: Shared): void {
  for (;;) {
    const before = Atomics.load(numbers, 0);
    // Nobody notifies: this is the interval at which it looks.
    Atomics.wait(numbers, 0, before, HANG_MS);
    if (before === 0 || Atomics.load(numbers, 0) !== before) continue;
    const all = bytes.slice(0, Atomics.load(numbers, 1));
    const cut = all.indexOf(10);
    const target = new TextDecoder().decode(all.subarray(0, cut));
    const path = keep(target, all.slice(cut + 1));
    console.error(`${target}: an input has no end within ${HANG_MS / 1000} s; it is in ${path}`);
    Deno.kill(Deno.pid, "SIGKILL");
  }
}

if (typeof WorkerGlobalScope !== "undefined" && self instanceof WorkerGlobalScope) {
  self.addEventListener("message", (event) => watch((event as MessageEvent<Shared>).data));
}

/** What a worker's global object is an instance of; the page's types lack it. */
declare const WorkerGlobalScope: { new (): object; prototype: object };
