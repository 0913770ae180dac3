import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { parseSecretFile, parseSessionFile, readBounded } from "./session_file.ts";

const GOOD = {
  role: "PROD",
  listeners: ["127.0.0.1:5100", "[::1]:5100"],
  targets: ["name:1", "10.0.0.1:2"],
  allow: [["10.0.0.0/8"], ["::1"]],
  rate: 125_000,
  udp: true,
};

Deno.test("session file: taken whole", () => {
  assertEquals(parseSessionFile(JSON.stringify(GOOD)) as unknown, GOOD);
  const { targets: _, ...without } = GOOD;
  assertEquals(parseSessionFile(JSON.stringify(without)) as unknown, without);
});

const BAD: [what: string, change: Record<string, unknown>, message: RegExp][] = [
  ["a key too many", { wan: "tls" }, /^unknown key "wan"; there are role, listeners, targets,/],
  ["no role", { role: undefined }, /role "" is neither/],
  ["no listeners", { listeners: undefined }, /not a list of 1 to 10,000/],
  ["too many listeners", { listeners: Array(10_001).fill("h:1") }, /not a list of 1 to 10,000/],
  ["a listener without a port", { listeners: ["127.0.0.1"] }, /"127.0.0.1" is not HOST:PORT/],
  ["a listener that is a number", { listeners: [5100] }, /not a list of strings/],
  ["a listener twice", { listeners: ["[::1]:1", "[::1]:1"] }, /listener \[::1\]:1 is there twice/],
  ["a target too few", { targets: ["h:1"] }, /^1 targets for 2 listeners$/],
  ["no target", { targets: [] }, /not a list of 1 to 10,000/],
  ["targets that are null", { targets: null }, /not a list of 1 to 10,000/],
  ["no networks", { allow: undefined }, /allow is not a list of two lists at most/],
  ["three lists of networks", { allow: [[], [], []] }, /allow is not a list of two lists at most/],
  ["a network that is none", { allow: [["10.0.0.0/33"]] }, /"10.0.0.0\/33" is not ADDRESS/],
  ["a rate below zero", { rate: -1 }, /rate is not a number of bytes per second/],
  ["no rate", { rate: undefined }, /rate is not a number of bytes per second/],
  ["udp that is a word", { udp: "yes" }, /udp is neither true nor false/],
];

for (const [what, change, message] of BAD) {
  Deno.test(`session file: refused with ${what}`, () => {
    const text = JSON.stringify({ ...GOOD, ...change });
    assertMatch(assertThrows(() => parseSessionFile(text), Error).message, message);
  });
}

Deno.test("session file: refused where it is no object", () => {
  for (const text of ["", "{", "[]", "null", "7", '"x"']) {
    assertThrows(() => parseSessionFile(text), Error, "not");
  }
});

Deno.test("secret file: 32 bytes in hex, and never quoted", () => {
  const hex = "0f1e2d3c".repeat(8);
  assertEquals(parseSecretFile(`${hex}\n`).toHex(), hex);
  for (const bad of ["", hex.slice(1), `${hex}0`, hex.toUpperCase(), `${hex}\n${hex}`]) {
    const { message } = assertThrows(() => parseSecretFile(bad), Error, "not 32 bytes in hex");
    assert(!message.includes("2d3c"));
  }
});

Deno.test("readBounded: up to its bound, also of a file without end", async () => {
  const path = Deno.makeTempFileSync();
  Deno.writeTextFileSync(path, "x".repeat(100));
  assertEquals((await readBounded(path, 100)).length, 100);
  await assertRejects(() => readBounded(path, 99), Error, "longer than 99 bytes");
  await assertRejects(() => readBounded("/dev/zero", 1 << 20), Error, "longer than 1048576 bytes");
  Deno.removeSync(path);
});
