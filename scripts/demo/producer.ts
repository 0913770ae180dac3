/**
 * The producer's application, a worker: listens on a port a channel and sends to whoever connects.
 * @module
 */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
import { createHash } from "node:crypto";
import { messageOf } from "../../lib/protocol/errors.ts";
import type { ChannelRecord } from "./application.ts";
import { FRAME_BYTES, makeFrames } from "./frames.ts";

/** What to send: made frames for some seconds, or a file. */
export interface ProducerOrder {
  channels: number;
  seconds: number;
  file?: string;
}

/** What the producer tells. */
export interface ProducerReports {
  /** Ports, one a channel. Frames are ready to be sent. */
  listening: number[];
  /** Everything was sent. */
  sent: ChannelRecord[];
  /** Why it could not go on. */
  failed: string;
}

/** Images a channel: while it sends one of them it stamps no other channel's. */
const IMAGES = 2;
const SEED = 20_251_120;

/** Puts out frame `number`: its bytes, valid until the same channel asks again; undefined at the end. */
type Source = (number: number) => Promise<{ bytes: Uint8Array; digest: string } | undefined>;

self.addEventListener("message", ({ data }: MessageEvent<ProducerOrder>) => {
  produce(data).catch((error) =>
    tell({ failed: `the producer's application: ${messageOf(error)}` })
  );
});

async function produce(order: ProducerOrder): Promise<void> {
  const channels = Array.from({ length: order.channels }, (_, i) => i);
  const listeners = channels.map(() => Deno.listen({ hostname: "127.0.0.1", port: 0 }));
  const sources = order.file === undefined
    ? detector(order.channels, order.seconds)
    : channels.map(() => fileBlocks(order.file as string));
  tell({ listening: listeners.map((listener) => listener.addr.port) });
  const conns = await Promise.all(listeners.map((listener) => listener.accept()));
  const sent = await Promise.all(channels.map(async (channel) => {
    using conn = conns[channel] as Deno.TcpConn;
    return await send(conn, sources[channel] as Source, channel, order.channels);
  }));
  for (const listener of listeners) listener.close();
  tell({ sent });
}

/** Channel c sends the frames c, c + n, c + 2n, … of n channels. */
async function send(
  conn: Deno.TcpConn,
  source: Source,
  first: number,
  step: number,
): Promise<ChannelRecord> {
  const record: ChannelRecord = { bytes: 0, digests: [] };
  for (let number = first;; number += step) {
    const frame = await source(number);
    if (!frame) break;
    record.digests.push(frame.digest);
    for (let at = 0; at < frame.bytes.length;) at += await conn.write(frame.bytes.subarray(at));
    record.bytes += frame.bytes.length;
  }
  await conn.closeWrite();
  // The consumer hangs up when it has everything: closing before that could cut what is on its way.
  while (await conn.read(new Uint8Array(1)) !== null);
  return record;
}

function detector(channels: number, seconds: number): Source[] {
  const frames = makeFrames(channels * IMAGES, SEED);
  let end = 0;
  const source: Source = (number) => {
    end ||= performance.now() + seconds * 1000;
    const frame = frames[number % frames.length];
    if (!frame || performance.now() > end) return Promise.resolve(undefined);
    return Promise.resolve({ digest: frame.stamp(number), bytes: frame.bytes });
  };
  return Array(channels).fill(source);
}

function fileBlocks(path: string): Source {
  const file = Deno.openSync(path);
  const block = new Uint8Array(FRAME_BYTES);
  return async (number) => {
    await file.seek(number * FRAME_BYTES, Deno.SeekMode.Start);
    let size = 0;
    while (size < block.length) {
      const n = await file.read(block.subarray(size));
      if (n === null) break;
      size += n;
    }
    if (size === 0) {
      file.close();
      return undefined;
    }
    const bytes = block.subarray(0, size);
    return { bytes, digest: createHash("sha256").update(bytes).digest("hex") };
  };
}

function tell(report: Partial<ProducerReports>): void {
  self.postMessage(report);
}
