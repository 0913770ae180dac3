/**
 * What the demo shows.
 * @module
 */
import { humanBytes } from "../../lib/s2uc/status.ts";
import type { Progress } from "./consumer.ts";

/** What came of one demo; `--json` prints it as it is. */
export interface Summary {
  ok: boolean;
  /** Everything that was off, a sentence each. */
  problems: string[];
  /** What was streamed. */
  source: string;
  steps: { step: string; ms: number }[];
  /** From the first byte that the consumer read to the last. */
  seconds: number;
  gbit_per_second: number;
  frames: number;
  bytes: number;
  /** Those whose SHA-256 at the consumer is the producer's. */
  verified_frames: number;
  verified_bytes: number;
  /** Bytes that each gateway says it forwarded. */
  gateway_bytes: { producer: number; consumer: number };
  channels: Path[];
  /** What was there while it ran, and was looked for afterwards. */
  cleaned_up: { processes: number; listeners: number; folder: string };
}

/** Where one channel's data went. */
export interface Path {
  producer: string;
  producer_gateway: string;
  consumer_gateway: string;
  frames: number;
  bytes: number;
}

/** Gigabits per second. */
export function gbitPerSecond(bytes: number, seconds: number): number {
  return seconds > 0 ? bytes * 8 / seconds / 1e9 : 0;
}

/** A line on stderr that tells how the stream goes: redrawn on a terminal, else a line a second. */
export class LiveLine {
  readonly #terminal = Deno.stderr.isTerminal();
  #last: Progress = { frames: 0, bytes: 0, seconds: 0 };
  #ended = false;

  show(now: Progress): void {
    if (
      this.#ended || now.seconds === 0 || (!this.#terminal && now.seconds - this.#last.seconds < 1)
    ) return;
    const rate = gbitPerSecond(now.bytes - this.#last.bytes, now.seconds - this.#last.seconds);
    this.#last = now;
    this.#write(
      `${this.#terminal ? "\r\x1b[K" : ""}  ${now.seconds.toFixed(1)} s  ${
        rate.toFixed(2)
      } Gbit/s` +
        `  ${now.frames} frames  ${humanBytes(now.bytes)}${this.#terminal ? "" : "\n"}`,
    );
  }

  /** Wipes the line of a terminal, and draws no more. */
  end(): void {
    if (!this.#ended && this.#terminal) this.#write("\r\x1b[K");
    this.#ended = true;
  }

  #write(text: string): void {
    try {
      Deno.stderr.writeSync(new TextEncoder().encode(text));
    } catch {
      // Whoever looked at it has gone; the stream goes on.
    }
  }
}

/** The summary for people. */
export function summaryLines(summary: Summary): string[] {
  const { steps, seconds, frames, bytes, gateway_bytes: gateways, cleaned_up: cleaned } = summary;
  const width = Math.max(...steps.map(({ step }) => step.length));
  return [
    ...steps.map(({ step, ms }) => `  ${step.padEnd(width)}  ${ms.toFixed(0).padStart(5)} ms`),
    "",
    ...picture(summary.channels),
    "",
    `streamed   ${humanBytes(bytes)} of ${summary.source} in ${seconds.toFixed(2)} s: ` +
    `${summary.gbit_per_second.toFixed(2)} Gbit/s`,
    `forwarded  ${gateways.producer} bytes by the producer's gateway, ${gateways.consumer} by the consumer's`,
    `verified   ${summary.verified_frames} of ${frames} frames, ` +
    `${summary.verified_bytes} of ${bytes} bytes, by SHA-256`,
    ...summary.problems.length > 0 ? [] : [
      `left       nothing: ${cleaned.processes} processes gone, ${cleaned.listeners} listeners ` +
      `closed, ${cleaned.folder} removed`,
    ],
  ];
}

/** The channels from left to right, as the data flows; the connections are made from right to left. */
function picture(channels: Path[]): string[] {
  const head = ["producer", "its gateway", "consumer's gateway", "consumer"];
  const rows = channels.map((channel) => [
    channel.producer,
    channel.producer_gateway,
    channel.consumer_gateway,
    `${channel.frames} frames, ${humanBytes(channel.bytes)}`,
  ]);
  const widths = head.map((word, i) =>
    Math.max(word.length, ...rows.map((row) => row[i]?.length ?? 0))
  );
  const line = (cells: string[], between: string) =>
    "  " + cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(between).trimEnd();
  return [line(head, "      "), ...rows.map((row) => line(row, " ---> "))];
}
