import { assert, assertEquals } from "@std/assert";
import { type ChannelStatus, idleChannel } from "../data_server.ts";
import { CHANNELS_A_LINE, LONGEST_LINE, numberLines, numbersOf } from "./numbers.ts";

const BUSY: ChannelStatus = {
  ...idleChannel(),
  connectionsOpen: 2,
  connectionsTotal: 7,
  bytesToTarget: 2 ** 40,
  speedFromTarget: 12.4,
  peers: ["10.0.0.1", "fd00::1"],
  lastError: "target h:1: ECONNREFUSED",
  lastErrorMs: 1_700_000_000_000,
};

Deno.test("numbers: what is told is what is read, without what is zero or empty", () => {
  assertEquals(numberLines([idleChannel(), BUSY]), [
    '{"first":0,"channels":[{},{"connectionsOpen":2,"connectionsTotal":7,' +
    '"bytesToTarget":1099511627776,"speedFromTarget":12,"lastErrorMs":1700000000000,' +
    '"peers":["10.0.0.1","fd00::1"],"lastError":"target h:1: ECONNREFUSED"}]}',
  ]);
  const [line = ""] = numberLines([idleChannel(), BUSY]);
  assertEquals(numbersOf(line), {
    first: 0,
    channels: [idleChannel(), { ...BUSY, speedFromTarget: 12 }],
  });
});

Deno.test("numbers: however much there is, lines are short, and all of them make the whole", () => {
  const most = Number.MAX_SAFE_INTEGER;
  const full = Object.fromEntries(
    Object.entries(BUSY).map(([name, value]) => [name, typeof value === "number" ? most : value]),
  ) as unknown as ChannelStatus;
  for (const letter of ["x", '"', "é", "\u{1f600}", "\ud800"]) {
    const worst: ChannelStatus = {
      ...full,
      lastErrorMs: 8.64e15,
      peers: Array(8).fill("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%enp0s31f6"),
      lastError: letter.repeat(5_000),
    };
    const lines = numberLines(Array(40).fill(worst));
    assertEquals(lines.length, 3);
    for (const line of lines) assert(new TextEncoder().encode(line).length < LONGEST_LINE);
    const read = lines.map(numbersOf);
    assertEquals(read.map((each) => each?.first), [0, CHANNELS_A_LINE, 2 * CHANNELS_A_LINE]);
    assertEquals(read.flatMap((each) => each?.channels ?? []).length, 40);
    assertEquals(read[0]?.channels[0]?.bytesToTarget, most);
  }
});

Deno.test("numbers: lines that are cut, or something else, are none", () => {
  const [line = ""] = numberLines([BUSY]);
  for (let length = 0; length < line.length; length++) {
    assertEquals(numbersOf(line.slice(0, length)), undefined);
  }
  const other = (field: string) => `{"first":0,"channels":[{${field}}]}`;
  assert(numbersOf(other("")));
  for (
    const bad of [
      "listening",
      "null",
      '{"first":0}',
      '{"first":0,"channels":{}}',
      '{"first":0,"channels":[]}',
      '{"first":0,"channels":[null]}',
      '{"first":0,"channels":["x"]}',
      `{"first":0,"channels":[${Array(CHANNELS_A_LINE + 1).fill("{}")}]}`,
      '{"first":1,"channels":[{}]}',
      '{"first":-16,"channels":[{}]}',
      '{"first":"0","channels":[{}]}',
      '{"first":160000,"channels":[{}]}',
      other('"bytesToTarget":-1'),
      other('"bytesToTarget":0.5'),
      other('"bytesToTarget":1e99'),
      other('"bytesToTarget":"1"'),
      other('"lastErrorMs":8640000000000001'),
      other('"peers":"10.0.0.1"'),
      other('"peers":["h"]'),
      other('"peers":[1]'),
      other(`"peers":[${Array(5).fill('"::1"')}]`),
      other('"lastError":1'),
      other('"lastError":"\\u001b[2J"'),
      other(`"lastError":"${"x".repeat(241)}"`),
      `{"first":0,"channels":[{}]${" ".repeat(LONGEST_LINE)}}`,
    ]
  ) assertEquals(numbersOf(bad), undefined, bad.slice(0, 80));
});
