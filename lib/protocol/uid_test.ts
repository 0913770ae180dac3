import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { ScistreamError, Status } from "./errors.ts";
import { MOCK_UID, Uid } from "./uid.ts";

Deno.test("a uid is 8 to 64 characters of [0-9A-Za-z_-]", () => {
  for (const good of [MOCK_UID, "a".repeat(8), "Z".repeat(64), "0_-azAZ9"]) {
    assertEquals(Uid.parse(good).reveal(), good);
  }
  const bad = [
    "",
    "short",
    "../../etc/x",
    "a".repeat(65),
    "abcdefgh\n",
    "abc defgh",
    "ü".repeat(9),
    "x".repeat(1 << 20),
  ];
  for (const text of bad) {
    const error = assertThrows(() => Uid.parse(text), ScistreamError, "malformed");
    assertEquals([error.code, error.status], ["INVALID_UID", Status.INVALID_ARGUMENT]);
    assertEquals(error.message.length < 300, true);
  }
});

Deno.test("a new uid is 128 random bits, none of them fixed as a version 4 UUID's are", () => {
  const uids = Array.from({ length: 200 }, () => Uid.random().reveal());
  for (const uid of uids) {
    assertMatch(uid, /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
  }
  assertEquals(new Set(uids).size, 200);
  assertEquals(new Set(uids.map((uid) => uid[14])).size > 1, true);
});

Deno.test("a uid prints masked, however it is printed", () => {
  const uid = Uid.parse(MOCK_UID);
  for (const text of [`${uid}`, JSON.stringify({ uid }), Deno.inspect({ uid }), String(uid)]) {
    assertEquals(text.includes(MOCK_UID.slice(0, 8)), false, text);
    assertEquals(text.includes(uid.session), true, text);
  }
  assertMatch(uid.session, /^[0-9a-f]{8}$/);
});

Deno.test("a uid that is short or well known is a weak secret, a random one is not", () => {
  for (let i = 0; i < 20; i++) assertEquals(Uid.random().weakness, "");
  assertEquals(Uid.parse("Z".repeat(22)).weakness, "");
  assertEquals(Uid.parse(MOCK_UID).weakness, "its uid is the well-known one of --mock");
  assertEquals(Uid.parse("session1").weakness, "its uid is short: 8 digits are 48 bits at most");
  assertEquals(
    Uid.parse("0123456789abcdef").weakness,
    "its uid is short: 16 digits are 64 bits at most",
  );
  assertEquals(
    Uid.parse("01234567-89012345").weakness,
    "its uid is short: 16 digits are 53 bits at most",
  );
});
