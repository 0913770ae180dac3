import { assertEquals } from "@std/assert";
import type { Channel, SessionStatus } from "../../proto/messages.ts";
import { History, humanRate, sparkline, sumOf } from "./rates.ts";

const status = (bytes: number, more: Partial<Channel> = {}) =>
  ({
    session: "1a2b3c4d",
    created_ms: 1,
    channels: [{ bytes_to_target: bytes, bytes_from_target: 0, speed_to_target: 0, ...more }],
  }) as SessionStatus;

Deno.test("rates are what was carried since the update before, by the server's clock", () => {
  const history = new History();
  const rate = (at_ms: number, bytes: number, more: Partial<Channel> = {}) =>
    history.take({ at_ms, sessions: [status(bytes, more)] })[0]?.rates[0]?.toTarget.at(-1);
  assertEquals(rate(1000, 7_000, { speed_to_target: 125 }), 1000, "the first is the gateway's");
  assertEquals(rate(2000, 8_000), 8_000);
  assertEquals(rate(4000, 8_000), 0);
  assertEquals(rate(4500, 9_000), 16_000);
  assertEquals(rate(5500, 10), 80, "a data server that was started anew counts anew");
  assertEquals(rate(5000, 20, { speed_to_target: 2 }), 16, "the clock was set back");
  const [seen] = history.take({ at_ms: 6000, sessions: [status(20)] });
  assertEquals(seen?.rates[0]?.toTarget, [1000, 8_000, 0, 16_000, 80, 16, 0]);
});

Deno.test("a session that came later has no past, and a past is not kept for ever", () => {
  const history = new History();
  for (let i = 0; i < 500; i++) history.take({ at_ms: 1000 * i, sessions: [status(i)] });
  const other = { ...status(5), created_ms: 2 };
  const seen = history.take({ at_ms: 500_000, sessions: [status(500), other] });
  assertEquals(seen.map(({ rates }) => rates[0]?.toTarget.length), [120, 1]);
});

Deno.test("channels are added from now on backwards", () => {
  const sum = sumOf([
    { toTarget: [1, 2, 3], fromTarget: [] },
    { toTarget: [10], fromTarget: [] },
  ]);
  assertEquals(sum, { toTarget: [1, 2, 13], fromTarget: [] });
});

Deno.test("humanRate", () => {
  const shown = [
    0,
    12,
    999,
    999.6,
    1000,
    9_994,
    9_996,
    99_940,
    99_960,
    999_600,
    9_412_345_678,
    1e15,
  ];
  assertEquals(shown.map(humanRate), [
    "0 bit/s",
    "12 bit/s",
    "999 bit/s",
    "1.00 kbit/s",
    "1.00 kbit/s",
    "9.99 kbit/s",
    "10.0 kbit/s",
    "99.9 kbit/s",
    "100 kbit/s",
    "1.00 Mbit/s",
    "9.41 Gbit/s",
    "1000 Tbit/s",
  ]);
});

Deno.test("a sparkline is as wide as it is told, its latest value at the right", () => {
  assertEquals(sparkline([], 3, 0), "   ");
  assertEquals(sparkline([0, 0], 3, 0), " ▁▁");
  assertEquals(sparkline([1, 2, 4, 8], 4, 8), "▂▃▅█");
  assertEquals(sparkline([9, 9, 0, 8], 2, 8), "▁█");
  assertEquals(sparkline([1, 1000], 2, 1000), "▂█", "what moves at all is seen to");
});
