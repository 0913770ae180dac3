// stunnel between the gateways: who is let in, what is seen on the wire, what is left of the key.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { ControlClient } from "../lib/protocol/client.ts";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { ScistreamError } from "../lib/protocol/errors.ts";
import { Uid } from "../lib/protocol/uid.ts";
import type { Role } from "../lib/protocol/values.ts";
import { releaseSession, requestSession, sayHello, updateSession } from "../lib/s2uc/requests.ts";
import { dial, echoes, EchoServer, readExactly, writeAll } from "./echo.ts";
import { eventually, freePort, processes, run, Running, tempFolder } from "./harness.ts";
import { Pair, pidsBelow } from "./pair.ts";

/** One side's session, and its listener. */
async function side(
  client: ControlClient,
  uid: Uid,
  role: Role,
  target: string,
): Promise<string> {
  const app = role === "PROD" ? [Endpoint.parse(target)] : [];
  const [{ listeners }] = await Promise.all([
    requestSession(client, { uid, role, numConn: 1, rate: 0 }),
    sayHello(client, uid, role, app),
  ]);
  await updateSession(client, uid, role, [target]);
  return listeners[0] as string;
}

async function lastError(client: ControlClient, uid: Uid): Promise<string> {
  const { channels } = await client.call("status", { uid: uid.reveal() });
  return channels[0]?.last_error ?? "";
}

/** A stunnel that is run by hand. */
class ByHand implements AsyncDisposable {
  readonly #folder = tempFolder();
  readonly port = freePort();
  readonly process: Running;

  constructor(uid: Uid, role: Role, target: string, more: string) {
    const { path } = this.#folder;
    const key = uid.reveal().replaceAll("-", "");
    Deno.writeTextFileSync(`${path}/key`, `client1:${key}\n`, { mode: 0o600 });
    Deno.writeTextFileSync(
      `${path}/conf`,
      `foreground = yes
syslog = no
pid =
debug = info
[scistream]
client = ${role === "CONS" ? "yes" : "no"}
accept = 127.0.0.1:${this.port}
connect = ${target}
PSKsecrets = ${path}/key
PSKidentity = client1
${more}
`,
    );
    this.process = new Running(["stunnel", `${path}/conf`]);
  }

  async ready(): Promise<this> {
    await this.process.line(/Configuration successful/, "err");
    await eventually("it listens", async () => {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port: this.port })).close();
        return true;
      } catch {
        return false;
      }
    });
    return this;
  }

  async [Symbol.asyncDispose]() {
    await this.process.stop();
    this.#folder[Symbol.dispose]();
  }
}

/** As contract section 5 describes the reference's; OpenSSL 3 has to be told that no encryption is meant. */
const REFERENCE = "sslVersion = TLSv1.2\nciphers = eNULL\nsecurityLevel = 0";

async function exact(listener: string): Promise<void> {
  using conn = await dial(listener);
  const bytes = crypto.getRandomValues(new Uint8Array(1 << 16));
  for (let i = 0; i < 16; i++) {
    const [answer] = await Promise.all([readExactly(conn, bytes.length), writeAll(conn, bytes)]);
    assertEquals(answer, bytes);
  }
}

/** Talks to a TLS server by OpenSSL's own client until it is echoed or cut; answers what it says of the connection. */
async function openssl(listener: string, ...flags: string[]): Promise<string> {
  const command = ["openssl", "s_client", "-connect", listener, "-ign_eof", ...flags];
  const client = new Running(["timeout", "5", ...command], { stdin: "hello\n" });
  // Who is served would stay connected.
  await client.line(/^hello$/m).catch(() => {});
  const { out, err } = await client.stop();
  return out + err;
}

Deno.test("stunnel: TLS 1.3 with AES, or TLS 1.2; nothing else, and nobody without the key", async () => {
  await using echo = new EchoServer();
  await using pair = await Pair.start("StunnelSubprocess");
  const { client } = pair.prod;
  const uid = Uid.random();
  const listener = (await side(client, uid, "PROD", String(echo.endpoint)))
    .replace("0.0.0.0", "127.0.0.1");
  const key = uid.reveal().replaceAll("-", "");
  const psk = ["-psk_identity", "client1", "-psk", key];

  const newest = await openssl(listener, "-tls1_3", ...psk);
  assertMatch(newest, /TLSv1\.3, Cipher is TLS_AES_128_GCM_SHA256/);
  assertMatch(newest, /^hello$/m);
  const older = await openssl(listener, "-tls1_2", ...psk);
  assertMatch(older, /TLSv1\.2, Cipher is ECDHE-PSK-CHACHA20-POLY1305/);
  assertMatch(older, /^hello$/m);

  const wrong = ["-psk_identity", "client1", "-psk", "0".repeat(32)];
  const another = ["-psk_identity", "client2", "-psk", key];
  const any = ["-cipher", "ALL:eNULL:aNULL:@SECLEVEL=0"];
  for (
    const flags of [
      ["-tls1_3"],
      ["-tls1_2"],
      ["-tls1_3", ...wrong],
      ["-tls1_2", ...wrong],
      ["-tls1_3", ...another],
      ["-tls1_2", "-cipher", "eNULL:@SECLEVEL=0", ...psk],
      ["-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"],
      ["-tls1_1", ...any, ...psk],
    ]
  ) {
    const said = await openssl(listener, ...flags);
    assert(!/^hello$/m.test(said), `${flags.join(" ")} was served:\n${said}`);
  }
  assertMatch(
    await lastError(client, uid),
    /the peer did not prove that it has this session's uid/,
  );
  assert(await serves(listener, psk), "it serves whom it should no more");
});

async function serves(listener: string, psk: string[]): Promise<boolean> {
  return /^hello$/m.test(await openssl(listener, "-tls1_3", ...psk));
}

Deno.test("stunnel, null: no cipher that proves nobody", async () => {
  await using echo = new EchoServer();
  await using pair = await Pair.start("StunnelSubprocess", "--stunnel-ciphers=null");
  const uid = Uid.random();
  const { client } = pair.prod;
  const listener = (await side(client, uid, "PROD", String(echo.endpoint)))
    .replace("0.0.0.0", "127.0.0.1");
  const psk = ["-psk_identity", "client1", "-psk", uid.reveal().replaceAll("-", "")];
  const null12 = ["-tls1_2", "-cipher", "eNULL:@SECLEVEL=0"];
  assertMatch(await openssl(listener, ...null12, ...psk), /Cipher is \S*PSK-NULL-SHA/);
  for (const flags of [null12, ["-tls1_2", "-cipher", "aNULL+eNULL:@SECLEVEL=0"], ["-tls1_3"]]) {
    assert(!/^hello$/m.test(await openssl(listener, ...flags)), flags.join(" "));
  }
});

Deno.test("stunnel: an impostor with any certificate gets nothing from a consumer's side", async () => {
  using folder = tempFolder();
  const { path } = folder;
  const made = await run([
    ...["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"],
    ...["-keyout", `${path}/key`, "-out", `${path}/crt`, "-subj", "/CN=nobody"],
  ]);
  assertEquals(made.code, 0, made.err);
  const certificate = ["-cert", `${path}/crt`, "-key", `${path}/key`];
  for (const ciphers of ["default", "null"]) {
    await using pair = await Pair.start("StunnelSubprocess", `--stunnel-ciphers=${ciphers}`);
    const { client } = pair.cons;
    for (
      const flags of [
        ["-tls1_3", ...certificate],
        ["-tls1_2", ...certificate, "-cipher", "ALL:eNULL:@SECLEVEL=0"],
        ["-tls1_2", "-nocert", "-cipher", "aNULL:eNULL:@SECLEVEL=0"],
        ["-nocert", "-psk", "0".repeat(32), "-psk_identity", "client1"],
      ]
    ) {
      const port = freePort();
      const at = ["-accept", `127.0.0.1:${port}`];
      const impostor = new Running(["openssl", "s_server", "-rev", ...at, ...flags]);
      await impostor.line(/^ACCEPT/m);
      const uid = Uid.random();
      const listener = await side(client, uid, "CONS", `127.0.0.1:${port}`);
      // Cut by its own gateway, which has not been shown the key; that may come before a byte is sent.
      await assertRejects(async () => {
        using conn = await dial(listener);
        await writeAll(conn, new TextEncoder().encode("the consumer's secret\n"));
        await readExactly(conn, 1);
      });
      const { out } = await impostor.stop();
      assert(!out.includes("secret"), `${ciphers} ${flags.join(" ")}: ${out}`);
      assertMatch(await lastError(client, uid), /did not prove|SSL_connect|certificate/);
      await releaseSession(client, uid);
    }
  }
});

Deno.test("stunnel: sessions with different uids do not meet, and the application sees nobody", async () => {
  using app = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let seen = 0;
  (async () => {
    for await (const conn of app) {
      seen++;
      conn.close();
    }
  })().catch(() => {});
  await using pair = await Pair.start("StunnelSubprocess");
  const [mine, other] = [Uid.random(), Uid.random()];
  const prod = await side(pair.prod.client, mine, "PROD", `127.0.0.1:${app.addr.port}`);
  const at = prod.replace("0.0.0.0", "127.0.0.1");
  const cons = await side(pair.cons.client, other, "CONS", at);
  assert(!await echoes(cons));
  assertMatch(
    await lastError(pair.prod.client, mine),
    /the peer did not prove that it has this session's uid/,
  );
  assertEquals(seen, 0);
});

Deno.test("stunnel, null: a stunnel set up like the reference's, as either side", async () => {
  await using echo = new EchoServer();
  await using pair = await Pair.start("StunnelSubprocess", "--stunnel-ciphers=null");
  {
    const uid = Uid.random();
    const at = await side(pair.prod.client, uid, "PROD", String(echo.endpoint));
    await using consumer = new ByHand(uid, "CONS", at, REFERENCE);
    await consumer.ready();
    await exact(`127.0.0.1:${consumer.port}`);
  }
  {
    const uid = Uid.random();
    await using producer = new ByHand(uid, "PROD", String(echo.endpoint), REFERENCE);
    await producer.ready();
    await exact(await side(pair.cons.client, uid, "CONS", `127.0.0.1:${producer.port}`));
    assertMatch(producer.process.err, /TLSv1\.2 ciphersuite: \S*PSK-NULL-SHA/);
  }
  // A reference that is asked for encryption does not talk with one that has none.
  const uid = Uid.random();
  const at = await side(pair.prod.client, uid, "PROD", String(echo.endpoint));
  await using encrypting = new ByHand(uid, "CONS", at, "sslVersion = TLSv1.3");
  await encrypting.ready();
  assert(!await echoes(`127.0.0.1:${encrypting.port}`));
});

Deno.test("stunnel: the key is its owner's alone, stands nowhere else but in s2cs' own files, and goes with its session", async () => {
  await using echo = new EchoServer();
  await using pair = await Pair.start("StunnelSubprocess", "--verbose");
  const stream = await pair.connect(echo.endpoint);
  await exact(stream.cons[0] as string);
  const secrets = [stream.uid.reveal(), stream.uid.reveal().replaceAll("-", "")];
  for (const { gateway } of [pair.prod, pair.cons]) {
    const { out } = await run(["find", gateway.stateDir, "-type", "f", "-printf", "%p %m\n"]);
    const files = out.split("\n").filter(Boolean).map((line) => line.split(" "));
    const holding = files.filter(([path]) =>
      secrets.some((secret) => Deno.readTextFileSync(path as string).includes(secret))
    );
    for (const [, mode] of holding) assertEquals(mode, "600");
    // For the next control server: sessions.db and what SQLite has beside it, and the session's record.
    const [key, ...more] = holding.map(([path]) => path as string)
      .filter((path) => !/\/sessions\.db(-wal|-shm)?$|\/[0-9a-f]{16}\.record$/.test(path));
    assertMatch(key ?? "", /\/stunnel\.key$/);
    assertEquals(more, []);
    assertEquals(Deno.readTextFileSync(key as string), `client1:${secrets[1]}\n`);
    const said = gateway.process.out + gateway.process.err;
    assert(!secrets.some((secret) => said.includes(secret)), "a log tells the uid");
    assert((await pidsBelow(gateway.stateDir)).length > 0);
  }
  const lines = processes().map(({ args }) => args);
  assert(lines.some((line) => line.includes("stunnel")));
  assert(!lines.some((line) => secrets.some((secret) => line.includes(secret))));
  await pair.release(stream);
  assertEquals(await pair.left(), []);
});

Deno.test("stunnel: a uid that makes too short a key is refused, a longer one of any letters is not", async () => {
  await using echo = new EchoServer();
  await using pair = await Pair.start("StunnelSubprocess");
  for (const text of ["shortuid", "0123456789abcdef0123456789abcd", "a-b-c-d-e-f-g-h-"]) {
    const error = await assertRejects(
      () => pair.connect(echo.endpoint, 1, Uid.parse(text)),
      ScistreamError,
    );
    assertEquals(error.code, "BAD_FORMAT");
    assertMatch(error.message, /stunnel's key is made of the uid/);
    assert(!error.message.includes(text));
  }
  assertEquals(await pair.left(), []);
  for (const text of ["sixteen_letters_", "0123456789ABCDEF0123456789abcdef", "k".repeat(64)]) {
    await exact((await pair.connect(echo.endpoint, 1, Uid.parse(text))).cons[0] as string);
  }
});
