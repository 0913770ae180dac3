/**
 * One iperf3 test at a time, and what it took the proxies.
 * @module
 */
import { cpuSeconds, Process, run } from "./process.ts";

/** What one test shows. */
export interface Measurement {
  gbit: number;
  /** Of the proxies; 10^9 bytes. */
  cpuPerGb: number;
  /** Of the flows' bytes: the least over the most. */
  fairness: number;
}

/** What `iperf3 -J` says, of what is used here. */
interface Report {
  end: {
    sum_received: { bits_per_second: number; bytes: number };
    streams: { receiver: { bytes: number } }[];
  };
}

/** A server that clients are measured against. */
export class Iperf implements AsyncDisposable {
  readonly #server: Process;
  #tests = 0;

  constructor(port: number, readonly signal: AbortSignal) {
    this.#server = new Process(
      ["iperf3", "-s", "-B", "127.0.0.1", "-p", `${port}`, "--forceflush"],
      signal,
    );
  }

  /**
   * Sends for some seconds to a port that leads to the server; counts these processes' time, and that
   * of those which they started meanwhile.
   */
  async measure(
    port: number,
    { flows, seconds, pids }: { flows: number; seconds: number; pids: () => Promise<number[]> },
  ): Promise<Measurement> {
    // It says so again after each test, and turns clients away until then.
    await this.#server.line(/^Server listening on/, ++this.#tests);
    const before = await cpuSeconds(await pids(), this.signal);
    const json = await run([
      "iperf3",
      "-J",
      ...["-c", "127.0.0.1", "-p", `${port}`],
      ...["-P", `${flows}`, "-t", `${seconds}`],
    ], this.signal);
    const cpu = await cpuSeconds(await pids(), this.signal) - before;
    const { sum_received, streams } = (JSON.parse(json) as Report).end;
    const bytes = streams.map(({ receiver }) => receiver.bytes);
    return {
      gbit: sum_received.bits_per_second / 1e9,
      cpuPerGb: cpu / (sum_received.bytes / 1e9),
      fairness: Math.min(...bytes) / Math.max(...bytes),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }
}
