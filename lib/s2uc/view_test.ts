import { assert, assertEquals } from "@std/assert";
import { idle, sessionOf } from "./test_sessions.ts";
import { History } from "./rates.ts";
import { Screen } from "./screen.ts";
import { fit, sessionLine, viewLines } from "./view.ts";

const seenOf = (...sessions: ReturnType<typeof sessionOf>[]) =>
  new History().take({ at_ms: 5000, sessions });

/** As bad as it gets: long addresses, wide characters, control characters. */
const WORST = sessionOf({
  reason: "\x1b[2J" + "because ".repeat(30),
  type: "HaproxyContainer".repeat(3),
  channels: [
    idle({
      listener: "[2001:db8:1111:2222:3333:4444:5555:6666]:65535",
      target: "[2001:db8:1111:2222:3333:4444:5555:7777]:65535",
      connections_open: 123_456,
      connections_total: 123_456_789,
      connections_failed: 99_999,
      connections_refused: 99_999,
      bytes_to_target: 999_999_999_999_999,
      speed_to_target: 123_456_789_012,
      last_error: "目标拒绝连接".repeat(20) + "\n🙂",
      last_error_ms: 1,
    }),
    idle({ uncounted: true }),
  ],
});

/** Columns, counted as a terminal counts them where it is most generous. */
const columnsOf = (line: string) =>
  [...line].reduce((sum, each) => sum + (/[\u2e80-\u{1ffff}]/u.test(each) ? 2 : 1), 0);

Deno.test("no line is wider than the terminal, whatever servers say", () => {
  const server = { s2cs: "192.168.10.11:5007", atMs: 5000, sessions: seenOf(WORST), trouble: "" };
  const broken = { ...server, trouble: "reconnecting: " + "why ".repeat(50) };
  for (const columns of [20, 40, 80, 81, 200]) {
    for (const inFull of [true, false]) {
      for (const line of viewLines([server, broken], { columns, inFull })) {
        assert(columnsOf(line) <= columns, `${columns}: ${line}`);
        assert(!/\p{Cc}/u.test(line), JSON.stringify(line));
      }
    }
  }
});

Deno.test("one session in full, and all of them in short", () => {
  const session = sessionOf({
    channels: [
      idle({ speed_to_target: 1_250_000_000, bytes_to_target: 5e9, connections_open: 4 }),
      idle({ last_error: "target 10.0.0.1:1: ECONNREFUSED", last_error_ms: 2000 }),
    ],
  });
  const server = { s2cs: "10.0.0.9:5000", atMs: 5000, sessions: seenOf(session), trouble: "" };
  const show = (inFull: boolean) => viewLines([server], { columns: 60, inFull });
  assertEquals(show(true), [
    "10.0.0.9:5000: 1 session",
    "  1a2b3c4d streaming, PROD, S2DS, 4s old",
    "    10.0.0.9:5100 → 10.0.0.1:1  4 open, 4 total",
    "      to target 10.0 Gbit/s                    █ 5.00 GB",
    "      back          0 bit/s                    ▁ 0 B",
    "    10.0.0.9:5100 → 10.0.0.1:1  0 open, 4 total",
    "      to target     0 bit/s                    ▁ 0 B",
    "      back          0 bit/s                    ▁ 0 B",
    "      last error 3s ago: target 10.0.0.1:1: ECONNREFUSED",
  ]);
  assertEquals(show(false), [
    "10.0.0.9:5000: 1 session",
    "  1a2b3c4d streaming, PROD, S2DS, 4s old",
    "    2 channels, 4 open, 8 total",
    "    to target 10.0 Gbit/s       █  back     0 bit/s       ▁",
    "    last error 3s ago: target 10.0.0.1:1: ECONNREFUSED",
  ]);
  assertEquals(
    sessionLine(seenOf(session)[0] as ReturnType<typeof seenOf>[0]),
    "1a2b3c4d streaming, PROD, S2DS; to target 10.0 Gbit/s, back 0 bit/s; 4 open, 8 total; " +
      "last error: target 10.0.0.1:1: ECONNREFUSED",
  );
});

Deno.test("of a session on a node it tells which, and of one that has moved its listeners", () => {
  const there = sessionOf({ type: "Haproxy", node: "gw2", moved_ms: 2000 });
  const server = { s2cs: "10.0.0.9:5000", atMs: 5000, sessions: seenOf(there), trouble: "" };
  for (const inFull of [true, false]) {
    assertEquals(viewLines([server], { columns: 80, inFull }).slice(1, 3), [
      "  1a2b3c4d streaming, PROD, Haproxy on gw2, 4s old",
      "    moved 3s ago, its listeners are now 10.0.0.9:5100",
    ]);
  }
  assertEquals(
    sessionLine(seenOf(there)[0] as ReturnType<typeof seenOf>[0]),
    "1a2b3c4d streaming, PROD, Haproxy on gw2; to target 0 bit/s, back 0 bit/s; 0 open, 4 total; " +
      "moved, its listeners are now 10.0.0.9:5100",
  );
});

Deno.test("fit cuts at the column, and shows that it did", () => {
  assertEquals(fit("abcdef", 6), "abcdef");
  assertEquals(fit("abcdefg", 6), "abcde…");
  assertEquals(fit("目标拒绝", 6), "目标…");
  assertEquals(fit("a\x1bb\tc", 9), "a?b c");
});

Deno.test("a screen draws over what it drew, also in a terminal that has become narrower", () => {
  const terminal = { columns: 10, rows: 5 };
  let painted = "";
  const screen = new Screen({ paint: (text) => painted = text, terminal: () => terminal });
  const draw = (...lines: string[]) => {
    screen.draw(lines);
    return painted;
  };
  assertEquals(draw("one", "0123456789"), "\r\x1b[Jone\n0123456789\n");
  assertEquals(draw("two"), "\x1b[2A\r\x1b[Jtwo\n");
  draw("one", "0123456789");
  terminal.columns = 5;
  assertEquals(draw("two"), "\x1b[3A\r\x1b[Jtwo\n");
  terminal.columns = 40;
  assertEquals(draw("1", "2", "3", "4", "5", "6"), "\x1b[1A\r\x1b[J1\n2\n3\n… 3 more lines\n");
});
