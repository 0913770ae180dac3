import { assertEquals, assertThrows } from "@std/assert";
import { Networks } from "./cidr.ts";
import { ScistreamError } from "./errors.ts";

Deno.test("networks have the addresses that they should", () => {
  const networks = Networks.parseList("192.168.20.0/24, 10.0.0.1,fd00::/8");
  for (const address of ["192.168.20.0", "192.168.20.255", "10.0.0.1", "fd12::1"]) {
    assertEquals([address, networks.has(address)], [address, true]);
  }
  // As a listener on :: shows an IPv4 address.
  assertEquals(networks.has("::ffff:10.0.0.1"), true);
  for (const address of ["192.168.21.0", "10.0.0.2", "fe80::1", "::1", "::ffff:10.0.0.2"]) {
    assertEquals([address, networks.has(address)], [address, false]);
  }
  assertEquals(Networks.parseList("0.0.0.0/0").has("203.0.113.9"), true);
  assertEquals(Networks.parseList("0.0.0.0/0").has("2001:db8::1"), false);
  assertEquals(String(networks), "192.168.20.0/24,10.0.0.1,fd00::/8");
});

Deno.test("what is no network is refused, and named", () => {
  const bad = ["", "x", "1.2.3/8", "1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/", "1.2.3.4/8/8", "::/129"];
  for (const text of bad) {
    assertThrows(
      () => Networks.parseList(text),
      ScistreamError,
      `network "${text}" is not ADDRESS/LENGTH, as in 192.168.20.0/24 or fd00::/8`,
    );
  }
  const many = Array.from({ length: 257 }, () => "10.0.0.1");
  assertThrows(() => Networks.parse(many), ScistreamError, "257 networks; name at most 256");
});
