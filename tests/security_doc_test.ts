/**
 * docs/security.md says what is so: limits and their names, and what an operator types after an
 * incident. What it says of permissions is looked at in powers_test.ts.
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { flagName } from "../lib/cli/flags.ts";
import { limitFlags } from "../lib/cli/limit_flags.ts";
import { Uid } from "../lib/protocol/uid.ts";
import { readSources } from "../scripts/guard.ts";
import { assertOk, run } from "./harness.ts";
import { authenticated, call, GATEWAY, refusal, session } from "./oauth/gateway.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const page = Deno.readTextFileSync(`${ROOT}docs/security.md`);

Deno.test("every limit stands in the table, with its default and its name in the metrics", () => {
  const rows = [
    ...page.matchAll(/^\| (`--[a-z-]+`|\(fixed\)) +\| (\d+) +\| .*? \| (`[a-z-]+`|-) +\|$/gm),
  ];
  const told = rows.filter(([, flag]) => flag !== "(fixed)").map((
    [, flag, value],
  ) => [flag?.slice(3, -1), value]);
  assertEquals(
    told,
    Object.entries(limitFlags).map(([key, flag]) => [flagName(key), flag.default]),
  );
  const files = ["s2cs/call_limits.ts", "s2cs/server.ts", "protocol/connections.ts"];
  const sources = [...files, "protocol/server.ts"]
    .map((path) => Deno.readTextFileSync(`${ROOT}lib/${path}`)).join("");
  const names = rows.map(([, , , name]) => name as string).filter((name) => name !== "-");
  for (const name of names) assert(sources.includes(`"${name.slice(1, -1)}"`), name);
  const known = [...sources.matchAll(/#refuse\(\s*"([a-z-]+)"/g)].map((match) => `\`${match[1]}\``);
  assert(known.length >= 6);
  for (const name of known) assert(names.includes(name), name);
});

Deno.test("the audit log is read with jq as the page says", async () => {
  await using facility = await authenticated(["--type=Mock"]);
  const { oauth, gateway } = facility;
  const [alice, bob] = [
    await oauth.token({ user: "alice@anl.gov", server: GATEWAY.id }),
    await oauth.token({ user: "bob@anl.gov", server: GATEWAY.id }),
  ];
  const uid = Uid.random();
  await session(gateway, alice, uid.reveal(), { app: "10.0.0.1:5001" });
  for (let i = 0; i < 3; i++) await refusal(call(gateway, bob, "release", { uid: uid.reveal() }));
  const blocks = [...page.matchAll(/```sh audit\n([\s\S]*?)```/g)].map((match) =>
    match[1] as string
  );
  const [who, refused, where] = await Promise.all(blocks.map(async (block) => {
    const line = block.replaceAll("audit.jsonl", gateway.audit).replace("SESSION", uid.session);
    return assertOk(await run(["bash", "-o", "pipefail", "-c", line])).out;
  }));
  assertEquals(who?.split("\t").slice(1, 2).concat(who.split("\t").slice(3)), [
    "alice@anl.gov",
    uid.session,
    "OK\n",
  ]);
  assertEquals(refused?.trim(), "3 bob@anl.gov 127.0.0.1");
  const calls = where?.trimEnd().split("\n").map((line) => JSON.parse(line)) ?? [];
  assertEquals(calls.map(({ call }) => call).sort(), [
    "hello",
    "release",
    "release",
    "release",
    "req",
    "update",
  ]);
  assertEquals(calls.find(({ call }) => call === "update").addresses, ["10.0.0.1:5001"]);
});

Deno.test("log lines and metrics that are to be watched are ones that are written", () => {
  const watching = /## Watching\n([\s\S]*?)\n## /.exec(page)?.[1] ?? "";
  const told = [...watching.matchAll(/^\| (.*?) +\| /gm)].slice(2).flatMap(([, cell]) =>
    [...(cell as string).matchAll(/`([^`]+)`/g)].map((match) => match[1] as string)
  );
  assert(told.length >= 9, told.join("\n"));
  const sources = readSources(new URL(`file://${ROOT}`)).map(({ text }) => text).join("\n");
  for (const words of told) {
    const parts = words.replace(/^scistream_/, "").replace(/\{.*\}$/, "").split("…");
    for (const part of parts) assert(sources.includes(part.trim()), `${words}: ${part}`);
  }
});
