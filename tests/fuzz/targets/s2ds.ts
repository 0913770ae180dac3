/**
 * What s2ds reads: questions on its control socket, frames between gateways, targets on its stdin.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { CannotListen, takenOf } from "../../../lib/s2ds/forwarder/cannot_listen.ts";
import { Unframer } from "../../../lib/s2ds/forwarder/frames.ts";
import { Link } from "../../../lib/s2ds/forwarder/link.ts";
import { LONGEST_LINE, numberLines, numbersOf } from "../../../lib/s2ds/forwarder/numbers.ts";
import { parseSecretFile, parseSessionFile } from "../../../lib/s2ds/forwarder/session_file.ts";
import { serveStdio } from "../../../lib/s2ds/forwarder/stdio.ts";
import { lines, parseAsk } from "../../../lib/s2ds/forwarder/wire.ts";
import { Peer } from "../../../lib/docker/test_peer.ts";
import { ScistreamError } from "../../../lib/protocol/errors.ts";
import {
  assertSentence,
  attempt,
  attemptLater,
  cuts,
  isDate,
  type Target,
  textOf,
} from "../target.ts";

const SECRET = "0f1e2d3c".repeat(8);
const OPEN = JSON.stringify({
  n: 1,
  op: "open",
  session: "ab12",
  listeners: ["127.0.0.1:5100", "[::1]:5101"],
  share: true,
  role: "PROD",
  secret: SECRET,
  allow: [["10.0.0.0/8", "::1"], []],
  rate: 125.5,
  udp: false,
});

/** A question whose field is something else. */
function openWith(field: "listeners" | "role" | "secret" | "allow", json: string): string {
  return OPEN.replace(`"${field}":`, `"${field}":${json},"x":`);
}

/** So deep that whatever goes into it by calling itself does not come back. */
const DEEP = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;

/** A connection that gives these pieces. */
function connectionOf(pieces: readonly Uint8Array[]): Deno.Conn {
  const left = [...pieces];
  const read = (into: Uint8Array) => {
    const piece = left.shift();
    if (!piece) return Promise.resolve(null);
    into.set(piece.subarray(0, into.length));
    if (piece.length > into.length) left.unshift(piece.subarray(into.length));
    return Promise.resolve(Math.min(piece.length, into.length));
  };
  return { read } as unknown as Deno.Conn;
}

const wire: Target = {
  name: "wire",
  seeds: [
    `${OPEN}\n`,
    '{"n":2,"op":"target","session":"ab12","targets":["h:1"]}\n{"n":3,"op":"test"}\n',
    '{"n":4,"op":"close","session":"ab12","drainMs":10}\n{"n":5,"op":"status","session":"a"}\n',
    '{"n":6,"op":"limit","session":"a","rate":1e9}\n{"n":7,"op":"sessions"}\n',
    '{"n":8,"op":"shutdown"}\nnull\n',
    `${openWith("allow", "[[5]]")}\n`,
    `${openWith("listeners", '[["h:1"]]')}\n`,
    `${openWith("listeners", '[{"toString":1,"valueOf":1}]')}\n`,
    `${openWith("listeners", `[${DEEP}]`)}\n${openWith("role", DEEP)}\n`,
  ],
  dictionary: [
    OPEN,
    '"op":"open"',
    '"listeners":[',
    '"allow":[["',
    '{"n":1,"op":"',
    "[",
    '{"toString":1}',
    '"role":',
    SECRET,
    "\n",
  ],
  async run(bytes) {
    const seen = new Set<string>();
    for (const pieces of cuts(bytes)) {
      let read = "";
      const { error } = await attemptLater(async () => {
        for await (const line of lines(connectionOf(pieces))) read += `${JSON.stringify(line)}\n`;
      }, [Error]);
      seen.add(`${read}${error?.message}`);
    }
    assertEquals(seen.size, 1);
    for (const line of textOf(bytes).split("\n")) {
      // Anywhere else it is no secret.
      const secrets = line.split(SECRET.slice(0, 16)).length === 5 &&
          line.includes(`"secret":"${SECRET}"`)
        ? [SECRET.slice(0, 16)]
        : [];
      const { value } = attempt(() => parseAsk(line), [Error, ScistreamError], secrets);
      if (value) assertEquals(parseAsk(JSON.stringify(value)), value);
    }
  },
};

/** A frame of the data channel. */
function frame(text: string): string {
  return `\0\0\0${String.fromCharCode(text.length)}${text}`;
}

const unframer: Target = {
  name: "data_frames",
  seeds: [`${frame("a")}${frame("bcd")}\0\0\0\0`, frame("no end"), "GET / HTTP/1.1", "\0\0\0\0x"],
  dictionary: ["\0\0\0\0", "\x01\0\0\0", "\x01\0\0\x01", frame("x")],
  run(bytes) {
    const seen = new Set<string>();
    for (const pieces of cuts(bytes)) {
      const frames = new Unframer();
      const got: number[] = [];
      const { error } = attempt(() => {
        for (const piece of pieces) {
          frames.push(piece, (data) => data.forEach((byte) => void got.push(byte)));
        }
      }, [Error]);
      assert(got.length <= bytes.length);
      seen.add(JSON.stringify([got, frames.ended, error?.message]));
    }
    assertEquals(seen.size, 1, [...seen].join("\n").slice(0, 2000));
  },
};

const stdio: Target = {
  name: "stdio",
  seeds: ["127.0.0.1:80\n", "[::1]:80\r\n\n name:1 \n", "127.0.0.1:80", "x\n"],
  dictionary: ["127.0.0.1:80\n", "\n", "a".repeat(301), "[::1]:1\n"],
  fresh: 40,
  async run(bytes) {
    const seen = new Set<string>();
    for (const pieces of cuts(bytes).slice(0, 3)) {
      let printed = "";
      const stdin = ReadableStream.from(pieces) as ReadableStream<Uint8Array>;
      const write = (text: string) => Promise.resolve(void (printed += text));
      const { signal } = new AbortController();
      const { error } = await attemptLater(
        () => serveStdio({ stdin, write, signal }),
        [ScistreamError],
      );
      assert(/^\d{4,5}\n$/.test(printed), printed);
      // Where a line is too long, it may be refused before its end has come.
      seen.add(error ? "refused" : "good");
    }
    assertEquals(seen.size, 1);
  },
};

let said: Uint8Array = new Uint8Array();
let socket = "";

const link: Target = {
  name: "link",
  seeds: [
    '{"s2ds":2,"pid":7}\n{"n":1,"ok":true}\n{"session":"a","note":"refused"}\n',
    '{"s2ds":2}\nnull\n',
    '{"s2ds":1}\n',
    "null\n",
  ],
  dictionary: ['{"s2ds":2,"pid":7}\n', '{"n":1,"ok":true}\n', '"note":', '{"n":1,', "\n"],
  fresh: 100,
  prepare() {
    const peer = new Peer(async ({ conn }) => {
      for (let at = 0; at < said.length;) at += await conn.write(said.subarray(at));
    });
    socket = peer.socket;
    return Promise.resolve(peer);
  },
  async run(bytes) {
    said = bytes;
    let made: Link | undefined;
    try {
      made = await Link.connect(socket, () => {});
    } catch (error) {
      // Whatever it is, the child is started again.
      assert(error instanceof Error);
    }
    // Its folder is this user's alone, so nobody lies there; but it may break off anywhere.
    if (made) assertSentence(await made.lost);
  },
};

const SESSION = JSON.stringify({
  role: "CONS",
  listeners: ["127.0.0.1:5100", "[::1]:5101"],
  targets: ["name:1", "10.0.0.1:2"],
  allow: [["10.0.0.0/8", "::1"], []],
  rate: 125.5,
  udp: false,
});

const sessionFile: Target = {
  name: "session_file",
  seeds: [
    SESSION,
    SESSION.replace(/"targets":.*?],/, ""),
    SESSION.replace(',"10.0.0.1:2"', ""),
    SESSION.replace("[::1]:5101", "127.0.0.1:5100"),
    SESSION.replace('"rate"', '"__proto__"'),
    SESSION.replace('"CONS"', DEEP),
    `${SECRET}\n`,
    SECRET.slice(1),
    "null",
  ],
  dictionary: ['"listeners":[', '"targets":[', '"allow":[["', '"udp":true', "[", SECRET, "\n"],
  run(bytes) {
    const text = textOf(bytes);
    const { value } = attempt(() => parseSessionFile(text), [Error, ScistreamError]);
    if (value) {
      assertEquals(parseSessionFile(JSON.stringify(value)), value);
      assert(value.targets === undefined || value.targets.length === value.listeners.length);
    }
    const secrets = text.includes(SECRET.slice(0, 16)) ? [SECRET.slice(0, 16)] : [];
    const secret = attempt(() => parseSecretFile(text), [Error], secrets);
    if (secret.value) assertEquals(secret.value.toHex(), text.trim());
  },
};

const NUMBERS =
  '{"first":16,"channels":[{"connectionsTotal":3,"bytesToTarget":1e3,"peers":["10.0.0.1","::1"],' +
  '"lastError":"target h:1: ECONNREFUSED","lastErrorMs":1700000000000},{}]}';

const numbers: Target = {
  name: "numbers",
  seeds: [
    NUMBERS,
    NUMBERS.slice(0, -1),
    '{"first":0,"channels":[{}]}',
    '{"first":0,"channels":[]}',
    '{"first":1,"channels":[{}]}',
    '{"first":0,"channels":[{"peers":["x"]}]}',
    '{"first":0,"channels":[{"lastError":"\\n"}]}',
    `{"first":0,"channels":${DEEP.slice(19_000, 21_000)}}`,
    "listening",
    "cannot listen on 10.0.0.1:5100, [::1]:5101 and 7 more: Address already in use",
  ],
  dictionary: [
    '{"first":',
    '"channels":[{',
    '"peers":["',
    '"lastError":"',
    "-1",
    "1e99",
    "\\u001b",
  ],
  run(bytes) {
    const text = textOf(bytes);
    const taken = takenOf(text);
    if (taken) assertEquals(takenOf(new CannotListen(taken.map(String)).message), taken);
    const said = numbersOf(text);
    if (!said) return;
    const { first, channels } = said;
    assert(first >= 0 && channels.length > 0);
    for (const { lastError, lastErrorMs } of channels) {
      assertSentence(lastError);
      assert(isDate(lastErrorMs));
    }
    // What was read can be told again, within its bounds.
    const [line = ""] = numberLines(channels);
    assert(new TextEncoder().encode(line).length < LONGEST_LINE);
    const again = numbersOf(line)?.channels;
    assertEquals(
      again?.map((each) => ({ ...each, lastError: "" })),
      channels.map((each) => ({ ...each, lastError: "" })),
    );
  },
};

/** Those of this file. */
export const s2dsTargets: readonly Target[] = [wire, unframer, stdio, link, sessionFile, numbers];
