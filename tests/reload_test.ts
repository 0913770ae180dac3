// Certificates and settings that change while a control server runs: no call is dropped.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { makeCertificate } from "../lib/certificate.ts";
import { ControlClient } from "../lib/protocol/client.ts";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { Uid } from "../lib/protocol/uid.ts";
import { Gateway, tempFolder } from "./harness.ts";
import { call, refusal, session } from "./oauth/gateway.ts";

const newUid = () => Uid.random().reveal();

async function renew({ cert, key }: Gateway, how: (path: string, text: string) => void) {
  const fresh = await makeCertificate({ ips: ["127.0.0.1"], names: [], days: 1 });
  how(key, fresh.key);
  how(cert, fresh.cert);
}

/** As most tools do it: nobody ever sees half of the file. */
function replace(path: string, text: string): void {
  Deno.writeTextFileSync(`${path}.new`, text, { mode: 0o600 });
  Deno.renameSync(`${path}.new`, path);
}

for (const how of [replace, (path: string, text: string) => Deno.writeTextFileSync(path, text)]) {
  Deno.test(`a certificate that is ${how === replace ? "replaced" : "written over"} is used from then on, and what is under way goes on`, async () => {
    await using gateway = await Gateway.start("--type=Mock");
    const old = new ControlClient({
      address: Endpoint.parse(gateway.address),
      roots: Deno.readFileSync(gateway.cert),
    });
    const uid = newUid();
    const pending = old.call("req", { uid, role: "PROD", num_conn: 1 });
    await gateway.process.line(/reserved → waiting/, "err");
    await renew(gateway, how);
    await gateway.process.line(
      /a file has changed: certificate and settings were read again/,
      "err",
    );
    const stranger = new ControlClient({
      address: Endpoint.parse(gateway.address),
      roots: new TextEncoder().encode(
        (await makeCertificate({ ips: ["127.0.0.1"], names: [], days: 1 })).cert,
      ),
    });
    assertMatch(await refusal(stranger.call("list", {})), /^CONN_ERROR/);
    stranger.close();
    // With the new certificate, as the file has it now.
    await call(gateway, undefined, "hello", {
      uid,
      role: "PROD",
      prod_listeners: ["127.0.0.1:9"],
    });
    assertEquals((await pending).listeners.length, 1);
    assertEquals((await old.call("list", {})).sessions.length, 1, "the old connection goes on");
    old.close();
  });
}

Deno.test("SIGHUP: what may change is changed, what may not is named, what is wrong changes nothing", async () => {
  using folder = tempFolder();
  const config = `${folder.path}/s2cs.toml`;
  const write = (text: string) => Deno.writeTextFileSync(config, text);
  write('max-sessions = 1\ntype = "Mock"\n');
  await using gateway = await Gateway.start(`--config=${config}`);
  await session(gateway, undefined, newUid());
  const more = () => session(gateway, undefined, newUid());
  assertMatch(await refusal(more()), /^NO_RESOURCE 8 this gateway already has its 1 sessions/);
  write('max-sessions = 2\ncall-rate = 100\ntype = "S2DS"\n');
  await gateway.process.line(/read again: --type, --call-rate, --max-sessions/, "err");
  await gateway.process.line(
    /--type cannot change while it runs; restart s2cs with --keep-sessions/,
    "err",
  );
  await more();
  gateway.process.err = "";
  write("max-sessions = 0\n");
  await gateway.process.line(
    /nothing is changed: .*line 1: max-sessions: "0" is not a whole/,
    "err",
  );
  assertMatch(await refusal(more()), /^NO_RESOURCE 8 this gateway already has its 2 sessions/);
  gateway.process.err = "";
  write("max-sessions = 2\n");
  await gateway.process.line(/were read again/, "err");
  Deno.writeTextFileSync(gateway.key, "no key");
  gateway.process.child.kill("SIGHUP");
  await gateway.process.line(/SIGHUP: nothing is changed: .*server\.key/, "err");
  assertEquals((await call(gateway, undefined, "list")).sessions.length, 2);
});

Deno.test("SIGHUP in the middle of many calls drops none", async () => {
  await using gateway = await Gateway.start("--type=Mock", "--call-rate=0");
  const client = new ControlClient({
    address: Endpoint.parse(gateway.address),
    roots: Deno.readFileSync(gateway.cert),
  });
  let calls = 0;
  let isOver = false;
  const calling = (async () => {
    for (; !isOver; calls++) await client.call("list", {});
  })();
  for (let i = 1; i <= 5; i++) {
    gateway.process.child.kill("SIGHUP");
    await gateway.process.line(new RegExp(`(SIGHUP: certificate[^]*){${i}}`), "err");
    const client = new ControlClient({
      address: Endpoint.parse(gateway.address),
      roots: Deno.readFileSync(gateway.cert),
    });
    await client.call("list", {});
    client.close();
  }
  isOver = true;
  await calling;
  client.close();
  assert(calls > 5);
});
