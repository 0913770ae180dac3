import { assertEquals } from "@std/assert";
import { CannotListen, takenOf } from "./cannot_listen.ts";

Deno.test("cannot listen: what is said is what is read", () => {
  const some = ["10.0.0.1:5100", "[fd00::1]:5101"];
  assertEquals(
    new CannotListen(some).message,
    "cannot listen on 10.0.0.1:5100, [fd00::1]:5101: Address already in use",
  );
  assertEquals(takenOf(new CannotListen(some).message)?.map(String), some);
  const many = Array.from({ length: 1_000 }, (_, i) => `[ffff:ffff:ffff:ffff::1]:${10_000 + i}`);
  assertEquals(takenOf(new CannotListen(many).message)?.map(String), many.slice(0, 200));
});

Deno.test("cannot listen: other lines are none", () => {
  const { message } = new CannotListen(["10.0.0.1:5100"]);
  for (
    const other of [
      "",
      "listening",
      message.slice(0, -1),
      `${message} `,
      `x${message}`,
      message.replace("5100", "99999"),
      message.replace("10.0.0.1", "-"),
      message.replace("5100", "5100,"),
      new CannotListen(["10.0.0.1:5100"], "no such address").message,
      `cannot listen on ${"10.0.0.1:1, ".repeat(2_000)}10.0.0.1:1: Address already in use`,
    ]
  ) assertEquals(takenOf(other), undefined, other.slice(0, 80));
});
