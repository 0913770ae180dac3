/**
 * What an operator finds after an incident, and what nobody may find.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Uid } from "../lib/protocol/uid.ts";
import { Gateway, scistream } from "./harness.ts";
import { authenticated, call, GATEWAY, refusal, session } from "./oauth/gateway.ts";

/** The lines of a control server's audit log. */
function lines({ audit }: Gateway): Record<string, unknown>[] {
  return Deno.readTextFileSync(audit).trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** The parts of lines that are the same every time. */
const shown = (all: Record<string, unknown>[]) =>
  all.map(({ call, caller, outcome, session }) => [call, caller, outcome, session]);

Deno.test("who asked for what, from where, and what became of it; and no secret", async () => {
  await using facility = await authenticated(["--type=Mock", "--hello-timeout=1"]);
  const { oauth, gateway } = facility;
  const [alice, bob] = [
    await oauth.token({ user: "alice@anl.gov", server: GATEWAY.id }),
    await oauth.token({ user: "bob@anl.gov", server: GATEWAY.id }),
  ];
  const unknown = "AgpqQoBo1VvvYkz8yYxyQgkgrW7nobYmG6dno8q8rgKG9";
  const [uid, late] = [Uid.random(), Uid.random()];
  const listener = await session(gateway, alice, uid.reveal(), { rate: 7, app: "10.0.0.1:5001" });
  await refusal(call(gateway, bob, "release", { uid: uid.reveal() }));
  await refusal(call(gateway, unknown, "release", { uid: uid.reveal() }));
  await refusal(call(gateway, bob, "status", { uid: "!" }));
  await call(gateway, alice, "status", { uid: uid.reveal() });
  await refusal(call(gateway, bob, "req", { uid: late.reveal(), role: "CONS", num_conn: 1 }));
  await call(gateway, alice, "release", { uid: uid.reveal() });

  const all = lines(gateway);
  const first = shown(all.slice(0, 2)).sort();
  assertEquals(first, [
    ["hello", "alice@anl.gov", "OK", uid.session],
    ["req", "alice@anl.gov", "OK", uid.session],
  ]);
  assertEquals(shown(all.slice(2)), [
    ["update", "alice@anl.gov", "OK", uid.session],
    ["release", "bob@anl.gov", "AUTH_ERROR", uid.session],
    ["release", "", "AUTH_ERROR", ""],
    ["status", "bob@anl.gov", "INVALID_UID", ""],
    ["expire", "bob@anl.gov", "expired", late.session],
    ["req", "bob@anl.gov", "TIMEOUT", late.session],
    ["release", "alice@anl.gov", "OK", uid.session],
  ]);
  const req = all.find((line) => line.call === "req");
  assertEquals([req?.role, req?.num_conn, req?.rate, req?.listeners], ["PROD", 1, 7, [listener]]);
  assertEquals(all.find((line) => line.call === "update")?.addresses, ["10.0.0.1:5001"]);
  for (const line of all) {
    assertMatch(String(line.time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    if (line.call !== "expire") assertMatch(String(line.peer), /^127\.0\.0\.1:\d+$/);
  }
  const text = Deno.readTextFileSync(gateway.audit);
  for (const secret of [uid.reveal(), late.reveal(), alice, bob, unknown, GATEWAY.secret]) {
    assert(!text.includes(secret));
  }
});

Deno.test("it goes on after a restart, beside the gateway's own files if nothing else is said", async () => {
  await using gateway = await Gateway.start("--type=Mock", "--audit-log=");
  await session(gateway, undefined, Uid.random().reveal());
  assertEquals((await gateway.process.stop()).code, 0);
  const [file, more] = [...Deno.readDirSync(gateway.stateDir)].map(({ name }) => name);
  assertMatch(file ?? "", /^audit-127\.0\.0\.1-\d+\.jsonl$/);
  assertEquals(more, undefined);
  const path = `${gateway.stateDir}/${file}`;
  const before = Deno.readTextFileSync(path);
  await gateway.launch(
    Number(/-(\d+)\.jsonl$/.exec(file ?? "")?.[1]),
    "--type=Mock",
    "--audit-log=",
  );
  await session(gateway, undefined, Uid.random().reveal());
  const after = Deno.readTextFileSync(path);
  assert(after.startsWith(before) && after.length > before.length);
});

Deno.test("where it cannot be written the control server does not start, and says why", async () => {
  await using gateway = await Gateway.start("--type=Mock");
  const refused = await scistream([
    "s2cs",
    "--port=0",
    "--type=Mock",
    `--server-crt=${gateway.cert}`,
    `--server-key=${gateway.key}`,
    `--state-dir=${gateway.stateDir}/other`,
    "--audit-log=/nonexistent/audit.jsonl",
  ]);
  assertEquals(refused.code, 2);
  assertMatch(refused.err, /cannot write the audit log \/nonexistent\/audit\.jsonl: No such file/);
});
