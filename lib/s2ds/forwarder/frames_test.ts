import { assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { END, HEADER, LARGEST_FRAME, Unframer, writeHeader } from "./frames.ts";

function frame(text: string): Uint8Array {
  const block = Buffer.alloc(HEADER + text.length);
  writeHeader(block, text.length);
  block.write(text, HEADER);
  return block;
}

/** What comes of bytes that arrive in these pieces. */
function unframed(pieces: Uint8Array[]): { text: string; ended: boolean } {
  const unframer = new Unframer();
  let text = "";
  for (const piece of pieces) {
    unframer.push(piece, (data) => text += new TextDecoder().decode(data));
  }
  return { text, ended: unframer.ended };
}

Deno.test("frames come apart however their bytes arrive", () => {
  const bytes = Buffer.concat([frame("a"), frame("bcd"), frame("e".repeat(300)), END]);
  const expected = { text: `abcd${"e".repeat(300)}`, ended: true };
  for (let first = 0; first <= bytes.length; first++) {
    for (let second = first; second <= bytes.length; second += 7) {
      const pieces = [
        bytes.subarray(0, first),
        bytes.subarray(first, second),
        bytes.subarray(second),
      ];
      assertEquals(unframed(pieces), expected);
    }
  }
  assertEquals(unframed([...bytes].map((byte) => Uint8Array.of(byte))), expected);
});

Deno.test("without its end a direction is not whole", () => {
  const bytes = Buffer.concat([frame("abc"), END]);
  for (let n = 0; n < bytes.length; n++) {
    assertEquals(unframed([bytes.subarray(0, n)]).ended, false);
  }
});

Deno.test("what no gateway sends is refused", () => {
  const tooLarge = Buffer.alloc(HEADER);
  writeHeader(tooLarge, LARGEST_FRAME + 1);
  assertThrows(() => unframed([tooLarge]), Error, "a frame of 16777217 bytes");
  assertThrows(() => unframed([END, Uint8Array.of(0)]), Error, "bytes after the end");
  assertThrows(() => unframed([new TextEncoder().encode("GET / HTTP/1.1")]), Error, "a frame of");
});
