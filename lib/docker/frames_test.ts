import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DockerError } from "./errors.ts";
import { BadFrame, FrameDecoder, MAX_FRAME_BYTES } from "./frames.ts";
import { readLogs } from "./logs.ts";
import type { LogLine } from "./types.ts";

function frame(stream: number, text: string): Uint8Array {
  const content = new TextEncoder().encode(text);
  const bytes = new Uint8Array(8 + content.length);
  bytes[0] = stream;
  new DataView(bytes.buffer).setUint32(4, content.length);
  bytes.set(content, 8);
  return bytes;
}

const OUTPUT = new Uint8Array([
  ...frame(1, "hello\nwör"),
  ...frame(2, "oh\n\n"),
  ...frame(1, ""),
  ...frame(1, "ld\nrest"),
  ...frame(3, "engine\n"),
]);

async function* pieces(...all: Uint8Array[]) {
  for (const piece of all) yield await Promise.resolve(piece);
}

Deno.test("frames: the same at every pair of splits", () => {
  const decode = (...all: Uint8Array[]) => {
    const decoder = new FrameDecoder();
    const frames = all.flatMap((piece) => [...decoder.push(piece)]);
    assert(decoder.whole);
    return frames.map(({ stream, bytes }) => [stream, new TextDecoder().decode(bytes)]);
  };
  const whole = decode(OUTPUT);
  assertEquals(whole.map(([stream]) => stream), [1, 2, 1, 1, 3]);
  assertEquals(whole[3], [1, "ld\nrest"]);
  for (let i = 0; i <= OUTPUT.length; i++) {
    for (let j = i; j <= OUTPUT.length; j++) {
      const cut = [OUTPUT.subarray(0, i), OUTPUT.subarray(i, j), OUTPUT.subarray(j)];
      assertEquals(decode(...cut), whole, `${i} ${j}`);
    }
  }
});

Deno.test("frames: lines of both streams, also where a frame or a letter is cut", async () => {
  const expected: LogLine[] = [
    { stream: "stdout", text: "hello" },
    { stream: "stderr", text: "oh" },
    { stream: "stderr", text: "" },
    { stream: "stdout", text: "wörld" },
    { stream: "stderr", text: "engine" },
    { stream: "stdout", text: "rest" },
  ];
  for (let i = 0; i <= OUTPUT.length; i++) {
    const lines: LogLine[] = [];
    await readLogs(pieces(OUTPUT.subarray(0, i), OUTPUT.subarray(i)), (line) => lines.push(line));
    assertEquals(lines, expected);
  }
});

Deno.test("frames: a letter that two frames share", async () => {
  const [first, second] = [frame(1, "x"), frame(1, "x\n")];
  first[8] = 0xc3;
  second[8] = 0xb6;
  const lines: LogLine[] = [];
  await readLogs(pieces(first, frame(2, "y\n"), second), (line) => lines.push(line));
  assertEquals(lines, [{ stream: "stderr", text: "y" }, { stream: "stdout", text: "ö" }]);
});

Deno.test("frames: reading ends at the bound", async () => {
  const lines: LogLine[] = [];
  await readLogs(pieces(OUTPUT), (line) => lines.push(line), 7);
  assertEquals(lines, [{ stream: "stdout", text: "hello" }, { stream: "stdout", text: "w" }]);
});

Deno.test("frames: what is none is refused", async () => {
  const unpadded = frame(1, "x");
  unpadded[2] = 1;
  for (const bad of [frame(4, "x"), unpadded, new TextEncoder().encode("2026-11-20 plain text")]) {
    assertThrows(() => [...new FrameDecoder().push(bad)], BadFrame);
    await assertRejects(() => readLogs(pieces(bad), () => {}), DockerError, "frames");
  }
  const long = frame(1, "");
  new DataView(long.buffer).setUint32(4, MAX_FRAME_BYTES + 1);
  assertThrows(() => [...new FrameDecoder().push(long)], BadFrame);
});

Deno.test("frames: fuzzed: decoded or refused, and never held beyond the bound", () => {
  const random = new Uint8Array(64);
  for (let round = 0; round < 5_000; round++) {
    crypto.getRandomValues(random);
    // Mostly valid beginnings, or nearly all would be refused at the first byte.
    random[0] = round % 5;
    if (round % 3) random.set([0, 0, 0, 0, 0], 1);
    try {
      for (const { bytes } of new FrameDecoder().push(random)) assert(bytes.length <= 64);
    } catch (error) {
      assert(error instanceof BadFrame);
    }
  }
});
