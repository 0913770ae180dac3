/**
 * What comes from the Docker Engine bit by bit: a container's output in frames, events as lines.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { readEvents } from "../../../lib/docker/answers.ts";
import { DockerError } from "../../../lib/docker/errors.ts";
import { BadFrame, FrameDecoder, MAX_FRAME_BYTES } from "../../../lib/docker/frames.ts";
import { jsonLines } from "../../../lib/docker/json_lines.ts";
import { readLogs } from "../../../lib/docker/logs.ts";
import type { LogLine } from "../../../lib/docker/types.ts";
import { attempt, attemptLater, cuts, latin1, stream, type Target, textOf } from "../target.ts";

/** A frame of a container's output. */
function frame(kind: number, text: string): string {
  return `${String.fromCharCode(kind)}\0\0\0\0\0\0${String.fromCharCode(text.length)}${text}`;
}

/** Frames, found in a simpler way: their streams and bytes, and whether something else follows. */
function framesOf(bytes: Uint8Array): { frames: [number, Uint8Array][]; bad: boolean } {
  const frames: [number, Uint8Array][] = [];
  for (let at = 0; at + 8 <= bytes.length;) {
    const [kind = 0, a, b, c, ...length] = bytes.subarray(at, at + 8);
    const size = length.reduce((sum, byte) => sum * 256 + byte, 0);
    if (kind > 3 || a || b || c || size > MAX_FRAME_BYTES) return { frames, bad: true };
    if (at + 8 + size <= bytes.length) frames.push([kind, bytes.subarray(at + 8, at + 8 + size)]);
    at += 8 + size;
  }
  return { frames, bad: false };
}

/** The lines of one stream of a container's output. */
function linesOf(frames: readonly [number, Uint8Array][], isWanted: (kind: number) => boolean) {
  const bytes = frames.flatMap(([kind, each]) => isWanted(kind) ? [...each] : []);
  const lines = textOf(Uint8Array.from(bytes)).split("\n");
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}

const frames: Target = {
  name: "log_frames",
  seeds: [
    frame(1, "hello\nworld") + frame(2, "oh\n\n") + frame(1, "") + frame(3, "engine\n"),
    frame(0, "x") + frame(1, "no end"),
    "2026-11-20 plain text",
    new Uint8Array([1, 0, 0, 0, 0, 0, 0, 2, 97, 0xc3, 1, 0, 0, 0, 0, 0, 0, 2, 0xb6, 10]),
  ],
  dictionary: [frame(1, "x\n"), frame(2, ""), "\x01\0\0\0", "\0\x10\0\0", "\0\x10\0\x01"],
  async run(bytes) {
    const seen = new Set<string>();
    const expected = framesOf(bytes);
    for (const pieces of cuts(bytes)) {
      const lines: LogLine[] = [];
      const take = (line: LogLine) => void lines.push(line);
      const { error } = await attemptLater(
        () => readLogs(stream(pieces), take),
        [DockerError],
      );
      assertEquals(error !== undefined, expected.bad);
      if (!error) {
        const of = (stream: string) =>
          lines.filter((each) => each.stream === stream).map(({ text }) => text);
        assertEquals(of("stdout"), linesOf(expected.frames, (kind) => kind < 2));
        assertEquals(of("stderr"), linesOf(expected.frames, (kind) => kind >= 2));
      }
      seen.add(JSON.stringify([lines, error?.message]));
      const bounded: LogLine[] = [];
      await attemptLater(
        () => readLogs(stream(pieces), (line) => bounded.push(line), 7),
        [DockerError],
      );
      // A byte that is no UTF-8 is one character.
      assert(bounded.reduce((sum, { text }) => sum + text.length, 0) <= 7);
      const decoder = new FrameDecoder();
      attempt(() => pieces.forEach((piece) => [...decoder.push(piece)]), [BadFrame]);
    }
    assertEquals(seen.size, 1, [...seen].join("\n"));
  },
};

const EVENT =
  '{"Type":"container","Action":"died","Actor":{"ID":"a","Attributes":{"n":"v"}},"timeNano":17e17}';

/** The values of lines, found in a simpler way, and whether a line is none. */
function valuesOf(bytes: Uint8Array): { values: unknown[]; bad: boolean } {
  const values: unknown[] = [];
  const lines = latin1(bytes).split("\n");
  for (const line of lines) {
    const own = Uint8Array.from(line, (letter) => letter.charCodeAt(0));
    if (own.every((byte) => byte <= 0x20)) continue;
    try {
      values.push(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(own)));
    } catch {
      return { values, bad: true };
    }
  }
  return { values, bad: false };
}

const events: Target = {
  name: "events",
  seeds: [`${EVENT}\n\n${EVENT}`, '{"status":"x"}\n \n[1]\n', "\xff\n"],
  dictionary: ['"Actor":', '"Attributes":null', '{"a":', "[", "\n", EVENT],
  async run(bytes) {
    for (const read of [jsonLines, readEvents]) {
      const seen = new Set<string>();
      for (const pieces of cuts(bytes)) {
        const values: unknown[] = [];
        const { error } = await attemptLater(async () => {
          for await (const value of read(stream(pieces), "tell events")) values.push(value);
        }, [DockerError]);
        seen.add(`${values.length} ${error?.message}`);
        if (read !== jsonLines) continue;
        const { values: expected, bad } = valuesOf(bytes);
        assertEquals(values, expected);
        assertEquals(error !== undefined, bad);
      }
      assertEquals(seen.size, 1, [...seen].join("\n"));
    }
  },
};

/** Those of this file. */
export const dockerStreamTargets: readonly Target[] = [frames, events];
