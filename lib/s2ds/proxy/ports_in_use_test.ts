// What HAProxy 2.6, nginx 1.22 and stunnel 5.68 said where somebody else listened.
import { assertEquals } from "@std/assert";
import { Endpoint } from "../../protocol/endpoint.ts";
import { portsInUse } from "./ports_in_use.ts";

const at = (...texts: string[]) => texts.map((text) => Endpoint.parse(text));

Deno.test("ports in use: each proxy's words, and only of ports that are ours", () => {
  const listeners = at("127.0.0.1:7801", "127.0.0.1:7802", "[::1]:780", "0.0.0.0:5100");
  for (
    const [line, ports] of [
      [
        "[ALERT]    (17942) : Binding [h2.cfg:19] for proxy ch1: cannot bind socket (Address already in use) for [127.0.0.1:7802]",
        [7802],
      ],
      [
        "2026/11/21 21:50:19 [emerg] 1#1: bind() to 0.0.0.0:5100 failed (98: Address already in use)",
        [5100],
      ],
      ["2026/11/21 21:50:19 [emerg] 1#1: bind() to [::1]:780 failed (98: Address already in use)", [
        780,
      ]],
      ["LOG5[ui]: Binding service [ch0] to 127.0.0.1:7801: Address already in use (98)", [7801]],
      ["LOG5[ui]: Binding service [ch0] to ::1:780: Address already in use (98)", [780]],
      ["LOG5[ui]: Binding service [ch0] to 127.0.0.1:7801: Permission denied (13)", []],
      ["bind() to 127.0.0.1:78012 failed (98: Address already in use)", []],
    ] as const
  ) {
    assertEquals([line, portsInUse([line], listeners)], [line, [...ports]]);
  }
  const both = ["127.0.0.1:7801", "127.0.0.1:7802"].map((each) =>
    `bind() to ${each} failed (98: Address already in use)`
  );
  assertEquals(portsInUse([...both, ...both], listeners), [7801, 7802]);
  assertEquals(portsInUse([], listeners), []);
});
