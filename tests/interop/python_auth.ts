/**
 * A Python C-core client against our s2cs where callers are authenticated (contract sections 2 and 4).
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { Uid } from "../../lib/protocol/uid.ts";
import { Gateway, tempFolder } from "../harness.ts";
import { GATEWAY, globus, globusFlags } from "../oauth/gateway.ts";
import { type Answer, PythonClient } from "./peers.ts";

Deno.test("a C-core client with a good and a bad authorization entry, bare and with Bearer", async (t) => {
  await using oauth = await globus();
  using folder = tempFolder();
  await using gateway = await Gateway.start("--type=Mock", ...globusFlags(oauth, folder.path));
  await using client = new PythonClient(gateway);
  const token = await oauth.token({ user: "alice@anl.gov", server: GATEWAY.id });
  const uid = Uid.random().reveal();
  const req = { uid, role: "CONS", num_conn: 1, rate: 10000 };

  const refused = (answer: Answer, sentence: string) => {
    assert("error" in answer, JSON.stringify(answer));
    assertEquals(answer.error, {
      status: "UNAUTHENTICATED",
      details: `[AUTH_ERROR] ${sentence}`,
      code: "AUTH_ERROR",
    });
  };
  const invalid = `Authentication token is invalid for scope ${GATEWAY.id}`;
  const missing = `Authentication token is missing for scope ${GATEWAY.id}`;
  const bad: [name: string, entry: string | undefined, sentence: string][] = [
    ["no entry", undefined, missing],
    ["an empty one", "", missing],
    ["Bearer without a token", "Bearer ", missing],
    ["the reference's INVALID_TOKEN", "INVALID_TOKEN", invalid],
    ["a token that nobody has", "Agpq0Bo1VvvYkz8yYxyQgkgrW7nobYmG6dno8q8rgKG9", invalid],
    ["that with Bearer", "Bearer Agpq0Bo1VvvYkz8yYxyQgkgrW7nobYmG6dno8q8rgKG9", invalid],
    ["a good token with Basic", `Basic ${token}`, invalid],
    ["a good token and more", `${token}x`, invalid],
  ];
  for (const [name, entry, sentence] of bad) {
    await t.step(`${name} is refused`, async () => {
      refused(await client.call("req", req, entry), sentence);
    });
  }
  await t.step("a good one is taken, both ways, for a whole session", async () => {
    const pending = client.call("req", req, `Bearer ${token}`);
    const hello = await client.call("hello", { uid, role: "CONS" }, token);
    assert("response" in hello, JSON.stringify(hello));
    const answer = await pending;
    assert("response" in answer, JSON.stringify(answer));
    const update = { uid, role: "CONS", remote_listeners: ["192.168.20.10:5100"] };
    assert("response" in await client.call("update", update, `bearer ${token}`));
    refused(await client.call("release", { uid }, "INVALID_TOKEN"), invalid);
    assert("response" in await client.call("release", { uid }, token));
  });
});
