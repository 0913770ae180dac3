import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import type { JanusProfile } from "../../../janus/client.ts";
import { Secret } from "../../../protocol/secret.ts";
import { ScistreamError } from "../../../protocol/errors.ts";
import { doubtsOf, janusUrl, mountedAt, parseJanusNodes } from "./settings.ts";

Deno.test("nodes have a WAN address, and a LAN address where they differ", () => {
  const [a, b] = parseJanusNodes("dtn1=203.0.113.5/192.168.20.5, dtn-2.x=2001:db8::1");
  assertEquals(a, {
    name: "dtn1",
    PROD: { told: "203.0.113.5", bound: "203.0.113.5" },
    CONS: { told: "192.168.20.5", bound: "192.168.20.5" },
    capacity: 0,
  });
  assertEquals([b?.name, b?.PROD.told, b?.CONS.bound], ["dtn-2.x", "2001:db8::1", "2001:db8::1"]);
});

Deno.test("a node that cannot be read is named", () => {
  for (
    const text of ["", "dtn1", "=1.2.3.4", "a=host", "a=1.2.3.4/", "a=1.2.3.4/b", "a b=1.2.3.4"]
  ) {
    const error = assertThrows(() => parseJanusNodes(text), ScistreamError);
    assertEquals(error.code, "BAD_FORMAT");
    assertMatch(error.message, /is not NAME=WAN_IP or NAME=WAN_IP\/LAN_IP/);
  }
  assertThrows(() => parseJanusNodes("a=1.1.1.1,a=1.1.1.2"), ScistreamError, 'names "a" twice');
});

Deno.test("where the shared folder is in containers", () => {
  const profile = (...volumes: string[]): JanusProfile => ({ name: "p", network: "host", volumes });
  const volumes = [
    { name: "one", source: "/data/", target: "/in/one/" },
    { name: "two", source: "/other", target: "/in/two" },
  ];
  const at = (folder: string, ...names: string[]) => mountedAt(folder, profile(...names), volumes);
  assertEquals(at("/data", "one"), "/in/one");
  assertEquals(at("/data/configs/", "two", "one"), "/in/one/configs");
  assertEquals(at("/other", "one", "two"), "/in/two");
  // Mounted elsewhere on this host: there is only one that it can be.
  assertEquals(at("/mnt/data", "one"), "/in/one");
  for (const names of [[], ["one", "two"], ["three"]]) {
    assertThrows(() => at("/database", ...names), ScistreamError, '"/database" is no folder');
  }
});

Deno.test("a password that goes in the clear, or to anybody, is doubtful", () => {
  const doubts = (url: string, insecure = false) =>
    doubtsOf({ url: janusUrl(url), user: "u", password: new Secret("p"), insecure }).join();
  assertEquals(doubts("https://a"), "");
  assertEquals(doubts("http://127.0.0.1:5000"), "");
  assertMatch(doubts("http://127.example.org"), /plain HTTP/);
  assertMatch(doubts("https://a", true), /is not verified/);
});
