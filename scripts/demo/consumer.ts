/**
 * The consumer's application, a worker: reads every channel to its end and hashes every byte.
 * @module
 */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
import { createHash } from "node:crypto";
import { messageOf } from "../../lib/protocol/errors.ts";
import type { ChannelRecord } from "./application.ts";
import { FRAME_BYTES } from "./frames.ts";

/** Where to connect. */
export interface ConsumerOrder {
  listeners: { host: string; port: number }[];
}

/** Totals over all channels so far. */
export interface Progress {
  frames: number;
  bytes: number;
  /** Since the first byte. */
  seconds: number;
}

/** What the consumer tells. */
export interface ConsumerReports {
  /** It runs, and takes its order. */
  ready: true;
  /** Several times a second. */
  progress: Progress;
  /** All channels have ended. */
  received: { channels: ChannelRecord[]; seconds: number };
  /** Why it could not go on. */
  failed: string;
}

const BUFFER_BYTES = 1 << 20;
const PROGRESS_MS = 100;

self.addEventListener("message", ({ data }: MessageEvent<ConsumerOrder>) => {
  consume(data).catch((error) =>
    tell({ failed: `the consumer's application: ${messageOf(error)}` })
  );
});
tell({ ready: true });

async function consume({ listeners }: ConsumerOrder): Promise<void> {
  const channels: ChannelRecord[] = listeners.map(() => ({ bytes: 0, digests: [] }));
  let start = 0;
  const seconds = () => start ? (performance.now() - start) / 1000 : 0;
  const timer = setInterval(() => {
    let frames = 0;
    let bytes = 0;
    for (const channel of channels) {
      frames += channel.digests.length;
      bytes += channel.bytes;
    }
    tell({ progress: { frames, bytes, seconds: seconds() } });
  }, PROGRESS_MS);
  await Promise.all(listeners.map(async ({ host: hostname, port }, i) => {
    using conn = await Deno.connect({ hostname, port });
    await receive(conn, channels[i] as ChannelRecord, () => start ||= performance.now());
  }));
  clearInterval(timer);
  tell({ received: { channels, seconds: seconds() } });
}

async function receive(
  conn: Deno.TcpConn,
  record: ChannelRecord,
  onBytes: () => void,
): Promise<void> {
  const buffer = new Uint8Array(BUFFER_BYTES);
  let hash = createHash("sha256");
  let missing = FRAME_BYTES;
  const endFrame = () => {
    record.digests.push(hash.digest("hex"));
    hash = createHash("sha256");
    missing = FRAME_BYTES;
  };
  for (;;) {
    const n = await conn.read(buffer.subarray(0, missing));
    if (n === null) break;
    onBytes();
    hash.update(buffer.subarray(0, n));
    record.bytes += n;
    missing -= n;
    if (missing === 0) endFrame();
  }
  // What is left of a file, or a frame that was cut short: its hash tells.
  if (missing < FRAME_BYTES) endFrame();
}

function tell(report: Partial<ConsumerReports>): void {
  self.postMessage(report);
}
