import type { ChannelRecord } from "./application.ts";

/** Frame by frame, channel by channel: what differs, is missing or too many becomes a problem. */
export function compare(
  sent: ChannelRecord[],
  received: ChannelRecord[],
  problems: string[],
): { verified_frames: number; verified_bytes: number } {
  let verified_frames = 0;
  let verified_bytes = 0;
  sent.forEach(({ digests, bytes }, channel) => {
    const got = received[channel] ?? { digests: [], bytes: 0 };
    const altered = digests.flatMap((digest, i) =>
      i < got.digests.length && got.digests[i] !== digest ? [i] : []
    );
    verified_frames += Math.min(digests.length, got.digests.length) - altered.length;
    if (altered.length > 0) {
      problems.push(
        `channel ${channel}: ${altered.length} of ${digests.length} frames arrived altered, ` +
          `the first is number ${altered[0]} of the channel`,
      );
    }
    if (got.digests.length !== digests.length || got.bytes !== bytes) {
      problems.push(
        `channel ${channel}: ${digests.length} frames of ${bytes} bytes were sent, ` +
          `${got.digests.length} of ${got.bytes} arrived`,
      );
    } else if (altered.length === 0) verified_bytes += bytes;
  });
  return { verified_frames, verified_bytes };
}
