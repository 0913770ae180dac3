import { assertEquals, assertThrows } from "@std/assert";
import { Endpoint, parseHost } from "./endpoint.ts";
import { ScistreamError } from "./errors.ts";

Deno.test("an endpoint is an IPv4 address, a bracketed IPv6 address or a name, with a port", () => {
  const good: [string, string, number][] = [
    ["192.168.10.11:5100", "192.168.10.11", 5100],
    ["[fd00::1]:65535", "fd00::1", 65535],
    ["[::]:1", "::", 1],
    ["gateway-1.example.org:5000", "gateway-1.example.org", 5000],
    ["localhost:5000", "localhost", 5000],
    ["node_7:80", "node_7", 80],
  ];
  for (const [text, host, port] of good) {
    const endpoint = Endpoint.parse(text);
    assertEquals([endpoint.host, endpoint.port], [host, port]);
    assertEquals(String(endpoint), text);
  }
});

Deno.test("what is no endpoint is BAD_FORMAT and quoted on one line", () => {
  const bad = [
    "",
    ":",
    ":5000",
    "host",
    "host:",
    "host:0",
    "host:65536",
    "host:-1",
    "host:+1",
    "host:1e3",
    "host: 80",
    "host:80 ",
    "host:0x50",
    "1.2.3:80",
    "1.2.3.4.5:80",
    "256.1.1.1:80",
    "fd00::1:5000",
    "[fd00::1]",
    "[fd00::1:5000",
    "[1.2.3.4]:80",
    "[host]:80",
    "ho st:80",
    "-host:80",
    "host\n:80",
    "host:80\nserver evil 1.2.3.4:80",
    'a";b:80',
    "a/b:80",
    "ü.example:80",
    `${"a".repeat(64)}:80`,
    `${"a.".repeat(200)}a:80`,
    "x".repeat(1 << 20),
  ];
  for (const text of bad) {
    const error = assertThrows(() => Endpoint.parse(text), ScistreamError);
    assertEquals(error.code, "BAD_FORMAT", text);
    assertEquals(/\p{Cc}/u.test(error.message), false, error.message);
    assertEquals(error.message.length < 300, true);
  }
});

Deno.test("a list names the part that is wrong", () => {
  assertEquals(Endpoint.parseList("a:1, b:2").map(String), ["a:1", "b:2"]);
  assertThrows(() => Endpoint.parseList("a:1,,b:2", "target"), ScistreamError, 'target ""');
});

Deno.test("a host may stand with or without brackets if it is IPv6", () => {
  assertEquals(parseHost("[::1]"), "::1");
  assertEquals(parseHost("::1"), "::1");
  assertThrows(() => parseHost("[::1"), ScistreamError);
});
