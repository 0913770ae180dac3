/**
 * `scistream doctor --s2cs`: what it says of control servers elsewhere, good ones and others.
 * @module
 */
import { assertEquals } from "@std/assert";
import { makeCertificate } from "../lib/certificate.ts";
import { assertFound, doctor, type Examined } from "./doctor.ts";
import { freePort, Gateway } from "./harness.ts";
import { authenticated } from "./oauth/gateway.ts";

const NAMES = ["name", "connection", "tls", "protocol", "authentication", "round-trip"];

/** Nothing is said of what comes after a problem, which is the only one. */
function assertEndsAt(found: Examined, name: string): void {
  assertEquals([...found.reports.keys()], NAMES);
  assertEquals(found.problems, [name]);
  for (const later of NAMES.slice(NAMES.indexOf(name) + 1)) {
    assertFound(found, later, "skip", /before it has to work first/);
  }
}

/** A control server with a certificate for this address and these days. */
async function certified(ip: string, days: number): Promise<Gateway> {
  const gateway = new Gateway();
  const { cert, key } = await makeCertificate({ ips: [ip], names: [], days });
  Deno.writeTextFileSync(gateway.cert, cert);
  Deno.writeTextFileSync(gateway.key, key, { mode: 0o600 });
  await gateway.launch(0, "--type=Mock");
  return gateway;
}

Deno.test("a control server that is well, with callers known or not", async () => {
  await using gateway = await certified("127.0.0.1", 90);
  const open = await doctor(gateway.flags);
  assertEquals([...open.reports.keys()], NAMES);
  assertEquals(open.problems, []);
  assertFound(open, "connection", "ok", /answers after [\d.]+ ms/);
  assertFound(open, "tls", "ok", /is the one in .*server\.crt, for 127\.0\.0\.1$/);
  assertFound(open, "protocol", "ok", /of this implementation/);
  assertFound(open, "authentication", "warn", /can make sessions/, /authentication\.md/);
  assertFound(open, "round-trip", "ok", /^\d[\d.]* ms for a call/);

  await using facility = await authenticated(["--type=Mock"]);
  const closed = await doctor(facility.gateway.flags);
  assertEquals(closed.problems, []);
  assertFound(closed, "authentication", "ok", /wants a token/);
  // The harness' certificates are for a day.
  assertFound(closed, "tls", "warn", /expires on/, /scistream cert --ip 127\.0\.0\.1 --force/);
});

Deno.test("a name that nobody has, and a port where nobody listens", async () => {
  const nobody = await doctor(["--s2cs=gateway.invalid:5000"]);
  assertEndsAt(nobody, "name");
  assertFound(nobody, "name", "fail", /gateway\.invalid has no address/, /getent hosts/);
  const refused = await doctor([`--s2cs=127.0.0.1:${freePort()}`]);
  assertEndsAt(refused, "connection");
  assertFound(refused, "connection", "fail", /refuses connections/, /s2cs runs there/);
});

Deno.test("a certificate that is not the one, not for the address, expired, or not at hand", async () => {
  await using gateway = await certified("127.0.0.1", 90);
  await using other = await certified("203.0.113.9", 90);
  await using old = await certified("127.0.0.1", -1);
  const cases: [flags: string[], found: RegExp, advice: RegExp][] = [
    [[...gateway.flags, "--server-cert", old.cert], /unknown, and not the one in/, /^copy server/],
    [other.flags, /is for 203\.0\.113\.9, and not for 127\.0\.0\.1/, /scistream cert --ip 127/],
    [old.flags, /expired on/, /on that gateway: scistream cert/],
    [[...gateway.flags, "--server-cert", "/nonexistent"], /cannot be read/, /^copy server/],
  ];
  for (const [flags, found, advice] of cases) {
    const examined = await doctor(flags);
    assertEndsAt(examined, "tls");
    assertFound(examined, "tls", "fail", found, advice);
  }
});

Deno.test("no TLS where there should be, and another protocol", async () => {
  await using clear = await Gateway.start("--type=Mock", "--ssl=False");
  const tls = await doctor(clear.flags);
  assertEndsAt(tls, "tls");
  assertFound(tls, "tls", "fail", /there is no TLS/, /--ssl=False/);
  const plain = await doctor([...clear.flags, "--ssl=False"]);
  assertEquals(plain.problems, []);
  assertFound(plain, "tls", "skip", /in the clear/);
  assertFound(plain, "protocol", "ok", /of this implementation/);

  await using web = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("a web server"),
  );
  const other = await doctor([`--s2cs=127.0.0.1:${web.addr.port}`, "--ssl=False"]);
  assertEndsAt(other, "protocol");
  assertFound(other, "protocol", "fail", /./, /that it is an s2cs/);
});
