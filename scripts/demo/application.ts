/**
 * The producer's and the consumer's application: each a worker, so that each has a core if there
 * is one, and both are gone with this process.
 * @module
 */

/** What one end of a channel saw. */
export interface ChannelRecord {
  bytes: number;
  /** SHA-256 of each frame in order, in hex. */
  digests: string[];
}

/**
 * A worker that is given one order and reports under names.
 * `Reports` is what it reports, by name; a message is `{ name: report }`. A report `failed` is why
 * there will be no more.
 */
export class Application<Order, Reports extends object> implements Disposable {
  readonly #worker: Worker;
  readonly #awaited = new Map<keyof Reports, PromiseWithResolvers<unknown>>();
  readonly #failed = Promise.withResolvers<never>();
  /** Told of every report as it comes. */
  onReport?: (report: Partial<Reports>) => void;

  constructor(module: URL, signal: AbortSignal) {
    this.#failed.promise.catch(() => {});
    signal.addEventListener("abort", () => this.#failed.reject(signal.reason), { once: true });
    this.#worker = new Worker(module, { type: "module" });
    this.#worker.addEventListener("error", (event) => {
      // Else it would end this process before anything is cleaned up.
      event.preventDefault();
      this.#failed.reject(new Error(event.message));
    });
    this.#worker.addEventListener("message", ({ data }: MessageEvent<Partial<Reports>>) => {
      if ("failed" in data) this.#failed.reject(new Error(String(data.failed)));
      this.onReport?.(data);
      for (const name of Object.keys(data) as (keyof Reports)[]) {
        this.#slot(name).resolve(data[name]);
      }
    });
  }

  start(order: Order): void {
    this.#worker.postMessage(order);
  }

  /** The first report of this name; fails when the application does. */
  report<K extends keyof Reports>(name: K): Promise<Reports[K]> {
    return Promise.race([this.#slot(name).promise as Promise<Reports[K]>, this.#failed.promise]);
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }

  #slot(name: keyof Reports): PromiseWithResolvers<unknown> {
    let slot = this.#awaited.get(name);
    if (!slot) this.#awaited.set(name, slot = Promise.withResolvers());
    return slot;
  }
}
