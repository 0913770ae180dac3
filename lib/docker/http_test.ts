import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  BadResponse,
  type Head,
  MAX_CHUNK_LINE_BYTES,
  MAX_HEAD_BYTES,
  ResponseDecoder,
} from "./http.ts";

interface Decoded {
  status: number;
  headers: Record<string, string>;
  body: string;
  ended: boolean;
}

/** What comes out of these pieces, and of the connection's end if `eof`. */
function decode(pieces: Uint8Array[], eof = false): Decoded {
  const decoder = new ResponseDecoder();
  let head: Head | undefined;
  let body = "";
  let ended = false;
  const take = (parts: ReturnType<ResponseDecoder["push"]>) => {
    for (const part of parts) {
      assert(!ended, "a part after the end");
      if (part.type === "head") {
        assert(!head, "two heads");
        head = part.head;
      } else if (part.type === "body") {
        assert(head && part.bytes.length > 0, "a body without a head, or an empty one");
        body += String.fromCharCode(...part.bytes);
      } else ended = true;
    }
  };
  for (const piece of pieces) take(decoder.push(piece));
  if (eof) take(decoder.finish());
  return {
    status: head?.status ?? 0,
    headers: Object.fromEntries(head?.headers ?? []),
    body,
    ended,
  };
}

const bytes = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const HEAD = "HTTP/1.1 200 OK\r\n";
const CHUNKED = `${HEAD}Transfer-Encoding: chunked\r\n`;

/** Answers, and what they say; those that end with the connection are marked. */
const GOOD: { text: string; eof?: true; status?: number; body: string }[] = [
  { text: `${HEAD}Content-Length: 5\r\n\r\nhello`, body: "hello" },
  { text: `${HEAD}Content-Length: 0\r\nX: a\r\nx:\tb \r\n\r\n`, body: "" },
  {
    text: `${CHUNKED}\r\n5\r\nhello\r\n6;name="va;lue"\r\n world\r\n0\r\n\r\n`,
    body: "hello world",
  },
  {
    text: `${CHUNKED}Trailer: T\r\n\r\n0a\r\n\r\n\r\n\r\n\r\n\r\r\r\n0\r\nT: 1\r\n\r\n`,
    body: "\r\n\r\n\r\n\r\n\r\r",
  },
  {
    text: `${HEAD}Connection: close\r\n\r\nup to the end\r\n`,
    eof: true,
    body: "up to the end\r\n",
  },
  { text: "HTTP/1.0 200 \r\n\r\nold", eof: true, body: "old" },
  { text: "HTTP/1.1 204 No Content\r\nX-Y: z\r\n\r\n", status: 204, body: "" },
  { text: "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", status: 304, body: "" },
  {
    text:
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nL: m\r\n\r\n${HEAD}Content-Length: 1\r\n\r\nx`,
    body: "x",
  },
  { text: "HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nraw", eof: true, status: 101, body: "raw" },
  { text: "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}", status: 404, body: "{}" },
];

for (const { text, eof, status = 200, body } of GOOD) {
  Deno.test(`http: the same at every split: ${JSON.stringify(text.slice(0, 60))}`, () => {
    const all = bytes(text);
    const whole = decode([all], eof);
    assertEquals([whole.status, whole.body, whole.ended], [status, body, true]);
    for (let i = 0; i <= all.length; i++) {
      assertEquals(decode([all.subarray(0, i), all.subarray(i)], eof), whole, `split at ${i}`);
      for (let j = i; j <= all.length; j++) {
        const pieces = [all.subarray(0, i), all.subarray(i, j), all.subarray(j)];
        assertEquals(decode(pieces, eof), whole, `splits at ${i} and ${j}`);
      }
    }
    assertEquals(decode([...all].map((byte) => Uint8Array.of(byte)), eof), whole);
  });

  Deno.test(`http: cut short anywhere is early: ${JSON.stringify(text.slice(0, 60))}`, () => {
    const all = bytes(text);
    // What ends with the connection is whole once its head is.
    const until = eof ? text.indexOf("\r\n\r\n") + 4 : all.length;
    for (let i = 0; i < until; i++) {
      const error = assertThrows(() => decode([all.subarray(0, i)], true), BadResponse);
      assert(error.early, `${i}: ${error.message}`);
    }
  });
}

Deno.test("http: repeated fields are joined, names are in lower case", () => {
  const { headers } = decode([bytes(`${HEAD}A: 1\r\na: 2\r\nContent-Length: 0\r\n\r\n`)]);
  assertEquals(headers, { a: "1, 2", "content-length": "0" });
});

const BAD: Record<string, string> = {
  "another protocol": "SSH-2.0-OpenSSH\r\n",
  "HTTP/2": "HTTP/2 200 OK\r\n\r\n",
  "a status of two digits": "HTTP/1.1 20 OK\r\n\r\n",
  "a status of 600": "HTTP/1.1 600 X\r\n\r\n",
  "a bare LF": "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
  "a bare CR": `${HEAD}A: b\rContent-Length: 0\r\n\r\n`,
  "NUL in a field": `${HEAD}A: b\0c\r\n\r\n`,
  "a space before the colon": `${HEAD}Content-Length : 1\r\n\r\nx`,
  "a field without a name": `${HEAD}: x\r\n\r\n`,
  "a folded field": `${HEAD}A: b\r\n c\r\n\r\n`,
  "both framings": `${HEAD}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  "two lengths": `${HEAD}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`,
  "a length twice": `${HEAD}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`,
  "a negative length": `${HEAD}Content-Length: -1\r\n\r\n`,
  "a signed length": `${HEAD}Content-Length: +1\r\n\r\nx`,
  "a hexadecimal length": `${HEAD}Content-Length: 0x1\r\n\r\nx`,
  "a length beyond numbers": `${HEAD}Content-Length: 99999999999999999999\r\n\r\n`,
  "another coding": `${HEAD}Transfer-Encoding: gzip, chunked\r\n\r\n`,
  "chunks in HTTP/1.0": "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  "a chunk without size": `${CHUNKED}\r\n\r\nx`,
  "a negative chunk": `${CHUNKED}\r\n-1\r\n`,
  "a chunk of 0x1": `${CHUNKED}\r\n0x1\r\nx\r\n`,
  "a chunk beyond numbers": `${CHUNKED}\r\nfffffffffffffffff\r\n`,
  "a chunk longer than it says": `${CHUNKED}\r\n1\r\nxy\r\n`,
  "a chunk that ends with LF": `${CHUNKED}\r\n1\nx\r\n`,
  "a malformed trailer": `${CHUNKED}\r\n0\r\nno colon\r\n\r\n`,
  "more than the answer": `${HEAD}Content-Length: 1\r\n\r\nxy`,
  "a chunk line without end": `${CHUNKED}\r\n1;${"x".repeat(MAX_CHUNK_LINE_BYTES)}`,
  "a status line without end": "HTTP/1.1 200 " + "x".repeat(MAX_HEAD_BYTES),
  "fields without end": HEAD + "A: b\r\n".repeat(MAX_HEAD_BYTES / 3),
  "trailers without end": `${CHUNKED}\r\n0\r\n` + "A: b\r\n".repeat(MAX_HEAD_BYTES / 3),
  "interim answers without end": "HTTP/1.1 100 C\r\n\r\n".repeat(MAX_HEAD_BYTES / 8),
};

for (const [what, text] of Object.entries(BAD)) {
  Deno.test(`http: refused: ${what}`, () => {
    const all = bytes(text);
    const error = assertThrows(() => decode([all]), BadResponse);
    assert(!error.early);
    if (all.length > 2_000) return;
    for (let i = 0; i <= all.length; i++) {
      const other = assertThrows(() => decode([all.subarray(0, i), all.subarray(i)]), BadResponse);
      assertEquals(other.message, error.message);
    }
  });
}

Deno.test("http: once refused, refused for ever", () => {
  const decoder = new ResponseDecoder();
  assertThrows(() => [...decoder.push(bytes("nonsense\r\n"))], BadResponse);
  assertThrows(() => [...decoder.push(bytes(HEAD))], BadResponse);
  assertThrows(() => [...decoder.finish()], BadResponse);
});

Deno.test("http: fuzzed: ends, decodes or refuses, the same however it is split", () => {
  const random = seeded(20261120);
  const pick = (most: number) => Math.floor(random() * most);
  const PIECES = [
    "\r\n",
    "\n",
    "\r",
    " ",
    ":",
    ";",
    "0",
    "-1",
    "ffffffff",
    "\0",
    "HTTP/1.1 200 OK\r\n",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "\r\n\r\n",
    "ÿ",
  ];
  let decoded = 0;
  for (let round = 0; round < 20_000; round++) {
    let text = GOOD[pick(GOOD.length)]?.text ?? "";
    for (let edits = pick(4); edits > 0; edits--) {
      const at = pick(text.length + 1);
      const kind = pick(4);
      if (kind === 0) text = text.slice(0, at) + PIECES[pick(PIECES.length)] + text.slice(at);
      else if (kind === 1) text = text.slice(0, at) + text.slice(at + 1 + pick(8));
      else if (kind === 2) {
        text = text.slice(0, at) + String.fromCharCode(pick(256)) + text.slice(at + 1);
      } else text = text.slice(0, at) + text.slice(pick(text.length + 1));
    }
    const all = bytes(text);
    const outcome = (pieces: Uint8Array[]) => {
      try {
        return decode(pieces, true);
      } catch (error) {
        if (!(error instanceof BadResponse)) throw error;
        return error.message;
      }
    };
    const whole = outcome([all]);
    if (typeof whole !== "string") {
      decoded++;
      assert(whole.body.length <= all.length);
    }
    const cut = pick(all.length + 1);
    assertEquals(outcome([all.subarray(0, cut), all.subarray(cut)]), whole, JSON.stringify(text));
  }
  // Neither all nor nothing: else the fuzzing looks at one side only.
  assert(decoded > 2_000 && decoded < 18_000, `${decoded} decoded`);
});

/** mulberry32: the same numbers in every run. */
function seeded(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
