import { assertEquals, assertRejects } from "@std/assert";
import { AtOnce } from "./at_once.ts";

Deno.test("so many are let in at a time, the others in the order in which they came", async () => {
  const room = new AtOnce(2);
  const inside: string[] = [];
  const enter = async (name: string, signal?: AbortSignal) => {
    const leave = await room.enter(signal);
    inside.push(name);
    return leave;
  };
  const [a, b] = await Promise.all([enter("a"), enter("b")]);
  const stop = new AbortController();
  const [c, d, e] = [enter("c"), enter("d", stop.signal), enter("e")];
  stop.abort(new Error("given up"));
  await assertRejects(() => d, Error, "given up");
  assertEquals(inside, ["a", "b"]);
  b();
  (await c)();
  (await e)();
  assertEquals(inside, ["a", "b", "c", "e"]);
  a();
  await Promise.all([enter("f"), enter("g")]);
  assertEquals(inside.slice(4), ["f", "g"]);
});
