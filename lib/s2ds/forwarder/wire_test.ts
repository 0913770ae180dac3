import { assertEquals, assertThrows } from "@std/assert";
import { answer } from "./control.ts";
import { DescriptorBudget } from "./descriptors.ts";
import { Engine } from "./engine.ts";
import { parseAsk } from "./wire.ts";

/** A session without anything special. */
const OPEN = {
  op: "open" as const,
  session: "ab12",
  listeners: ["127.0.0.1:5100"],
  share: false,
  role: "PROD" as const,
  secret: undefined as string | undefined,
  allow: [] as string[][],
  rate: 0,
  udp: false,
  record: "kept",
};

Deno.test("questions are taken whole or refused", () => {
  const good = [
    { n: 1, ...OPEN },
    { n: 1, ...OPEN, secret: "0f".repeat(32), allow: [["10.0.0.0/8", "::1"], []], rate: 125.5 },
    { n: 1, ...OPEN, role: "CONS", share: true, udp: true },
    { n: 2, op: "limit", session: "ab12", rate: 1e9 },
    { n: 2, op: "test" },
    { n: 2, op: "target", session: "ab12", targets: ["[::1]:5100", "name:1"], record: "" },
    { n: 3, op: "close", session: "ab12", drainMs: 0 },
    { n: 4, op: "status", session: "ab12" },
    { n: 5, op: "sessions" },
    { n: 5, op: "record", session: "ab12" },
    { n: 6, op: "shutdown" },
  ];
  for (const ask of good) assertEquals(parseAsk(JSON.stringify(ask)) as unknown, ask);
  const bad = [
    "",
    "null",
    "[]",
    "{}",
    "x",
    '{"n":1}',
    '{"n":"1","op":"sessions"}',
    '{"n":1,"op":"eval"}',
    '{"n":1,"op":"status","session":"../x"}',
    '{"n":1,"op":"status","session":""}',
    JSON.stringify({ n: 1, ...OPEN, listeners: [] }),
    JSON.stringify({ n: 1, ...OPEN, listeners: "127.0.0.1:1" }),
    JSON.stringify({ n: 1, ...OPEN, listeners: ["127.0.0.1:1\n"] }),
    JSON.stringify({ n: 1, ...OPEN, role: "BOTH" }),
    JSON.stringify({ n: 1, ...OPEN, secret: "0f" }),
    JSON.stringify({ n: 1, ...OPEN, secret: 7 }),
    JSON.stringify({ n: 1, ...OPEN, allow: undefined }),
    JSON.stringify({ n: 1, ...OPEN, allow: ["10.0.0.0/8"] }),
    JSON.stringify({ n: 1, ...OPEN, allow: [["10.0.0.0/33"]] }),
    JSON.stringify({ n: 1, ...OPEN, rate: -1 }),
    JSON.stringify({ n: 1, ...OPEN, rate: "1" }),
    JSON.stringify({ n: 1, ...OPEN, udp: "true" }),
    '{"n":1,"op":"limit","session":"a"}',
    '{"n":1,"op":"close","session":"a","drainMs":-1}',
    '{"n":1,"op":"close","session":"a","drainMs":1e99}',
    '{"n":1,"op":"close","session":"a"}',
  ];
  for (const line of bad) assertThrows(() => parseAsk(line), Error);
});

Deno.test("what goes wrong in the engine is an answer", async () => {
  const engine = new Engine(new DescriptorBudget());
  const unknown = await answer(engine, { n: 1, op: "target", session: "a", targets: ["h:1"] });
  assertEquals(unknown, { error: "no session a", code: "CONN_ERROR" });
  const stranger = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const listeners = [`127.0.0.1:${stranger.addr.port}`];
  assertEquals(await answer(engine, { n: 2, ...OPEN, session: "a", listeners }), {
    portsInUse: [stranger.addr.port],
  });
  stranger.close();
  assertEquals(await answer(engine, { n: 3, ...OPEN, session: "a", listeners }), { ok: true });
  const again = await answer(engine, { n: 4, ...OPEN, session: "a", listeners });
  assertEquals(again, { error: "session a is open already", code: "CONN_ERROR" });
  assertEquals(
    await answer(engine, { n: 5, op: "target", session: "a", targets: ["h:1", "h:2"] }),
    {
      error: "2 targets for 1 channels",
      code: "CONN_ERROR",
    },
  );
  assertEquals(await answer(engine, { n: 6, op: "sessions" }), { sessions: ["a"] });
  assertEquals(await answer(engine, { n: 7, op: "close", session: "a", drainMs: 0 }), { ok: true });
  assertEquals(await answer(engine, { n: 8, op: "sessions" }), { sessions: [] });
});
