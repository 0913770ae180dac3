// Strangers at a producer's gateway, beside a session that streams; and OpenSSL as the other gateway,
// with certificates that it makes as docs/data-channel.md says.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { createHash, randomBytes } from "node:crypto";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { Uid } from "../lib/protocol/uid.ts";
import { dial, EchoServer, readExactly, writeAll } from "./echo.ts";
import { assertOk, run, tempFolder } from "./harness.ts";
import { Pair } from "./pair.ts";

/** HKDF by OpenSSL, hex. */
async function hkdf(key: string, info: string): Promise<string> {
  const options = ["digest:SHA256", key, `info:${info}`].flatMap((each) => ["-kdfopt", each]);
  const { out } = assertOk(
    await run(["openssl", "kdf", "-keylen", "32", ...options, "HKDF"]),
  );
  return out.replaceAll(/[^0-9A-F]/gi, "").toLowerCase();
}

/** A certificate of the authority that this uid means, made by OpenSSL alone. */
async function certificate(cwd: string, uid: Uid, ...flags: string[]): Promise<string[]> {
  const openssl = async (...args: string[]) =>
    void assertOk(await run(["openssl", ...args], { cwd }));
  const secret = await hkdf(`key:${uid.reveal()}`, "scistream data channel 1");
  const seed = await hkdf(`hexkey:${secret}`, "certificate authority");
  const der = Uint8Array.fromHex(`302e020100300506032b657004220420${seed}`);
  Deno.writeFileSync(`${cwd}/ca.der`, der);
  await openssl("pkey", "-inform", "DER", "-in", "ca.der", "-out", "ca.key");
  // Names are compared as they are written, and this one is a PrintableString.
  Deno.writeTextFileSync(
    `${cwd}/ca.cnf`,
    "[req]\ndistinguished_name=dn\nstring_mask=nombstr\nprompt=no\n[dn]\nCN=SciStream session\n",
  );
  await openssl(
    ...["req", "-new", "-x509", "-key", "ca.key", "-out", "ca.crt", "-days", "2"],
    ...["-config", "ca.cnf"],
  );
  await openssl(
    ...["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ...["-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=anything"],
  );
  Deno.writeTextFileSync(`${cwd}/ext`, "extendedKeyUsage=clientAuth\n");
  await openssl(
    ...["x509", "-req", "-in", "leaf.csr", "-CA", "ca.crt", "-CAkey", "ca.key"],
    ...["-set_serial", "7", "-extfile", "ext", "-out", "leaf.crt", ...flags],
  );
  return ["-cert", "leaf.crt", "-key", "leaf.key", "-CAfile", "ca.crt", "-verify_return_error"];
}

const CLIENT = [
  ...["openssl", "s_client", "-quiet", "-alpn", "scistream/1"],
  ...["-servername", "producer.scistream.invalid"],
];
const MESSAGE = "\0\0\0\x05hello\0\0\0\0";

Deno.test("OpenSSL that knows the uid is proven, and proves the producer's gateway", async () => {
  await using pair = await Pair.start("S2DS");
  await using echo = new EchoServer();
  const stream = await pair.connect(echo.endpoint);
  using folder = tempFolder();
  const proof = await certificate(folder.path, stream.uid);
  const { out, err } = await run(
    [...CLIENT, "-tls1_3", "-connect", stream.prod[0] as string, ...proof],
    { cwd: folder.path, stdin: MESSAGE },
  );
  assertEquals(out, MESSAGE, err);
  assert(!/verify error/.test(err), err);
});

Deno.test("strangers are refused and counted, the application sees none, and the good session streams on", async () => {
  await using pair = await Pair.start("S2DS");
  await using echo = new EchoServer();
  const stream = await pair.connect(echo.endpoint);
  const at = stream.prod[0] as string;
  using good = await dial(stream.cons[0] as string);
  const chunk = randomBytes(1 << 20);
  let rounds = 0;
  const over = new AbortController();
  const streaming = (async () => {
    const digest = createHash("sha256").update(chunk).digest("hex");
    while (!over.signal.aborted) {
      const [back] = await Promise.all([readExactly(good, chunk.length), writeAll(good, chunk)]);
      assertEquals(createHash("sha256").update(back).digest("hex"), digest);
      rounds++;
    }
  })();

  using folder = tempFolder();
  const cwd = folder.path;
  const openssl = (...flags: string[]) =>
    run([...CLIENT, "-connect", at, ...flags], { cwd, stdin: MESSAGE });
  /** Sends this and reads to the end. */
  const raw = async (...parts: Uint8Array[]) => {
    using conn = await dial(at);
    let got = "";
    try {
      for (const part of parts) await writeAll(conn, part);
      const into = new Uint8Array(999);
      for (let n; (n = await conn.read(into)) !== null;) got += into.subarray(0, n).toHex();
    } catch {
      // Cut.
    }
    return got;
  };
  let strangers = 0;
  const count = <T>(done: T): T => (strangers++, done);

  // No certificate; one of another session; an expired one; TLS 1.2; another protocol.
  const mine = await certificate(cwd, stream.uid);
  count(await openssl("-tls1_3"));
  count(await openssl("-tls1_2", ...mine));
  count(await openssl("-tls1_3", "-alpn", "h2", ...mine));
  count(await openssl("-tls1_3", ...await certificate(cwd, Uid.random())));
  const expired = ["-not_after", "20260101000000Z", "-not_before", "20250101000000Z"];
  const dated = await certificate(cwd, stream.uid, ...expired).catch(() => undefined);
  // OpenSSL before 3.4 has no such option: the unit tests of TLS have that case.
  if (dated) count(await openssl("-tls1_3", ...dated));
  // What is no TLS: an alert and nothing more is answered.
  for (const text of ["GET / HTTP/1.1\r\n\r\n", "\0\0\0\x05hello", "SSH-2.0-x\r\n"]) {
    assertMatch(count(await raw(new TextEncoder().encode(text))), /^(15030[0-3]0002....)?$/);
  }
  for (let i = 0; i < 50; i++) count(await raw(randomBytes(1 + i * 40)));
  // A hello that comes byte by byte, and stops: it hangs beside the rest.
  const slow = await Promise.all(Array.from({ length: 100 }, () => dial(at)));
  for (const conn of slow) await writeAll(conn, new Uint8Array([22]));
  for (const conn of slow) await writeAll(conn, new Uint8Array([3]));

  const before = rounds;
  while (rounds < before + 5) await new Promise((resolve) => setTimeout(resolve, 5));
  // Another connection of the good session finds its way in between.
  using another = await dial(stream.cons[0] as string);
  await writeAll(another, new Uint8Array([7]));
  assertEquals(await readExactly(another, 1), new Uint8Array([7]));
  over.abort();
  await streaming;
  const [prod, cons] = await pair.status(stream);
  assertEquals(prod?.channels[0]?.connections_refused, strangers);
  assertEquals(prod?.channels[0]?.connections_failed, 0);
  assertEquals(prod?.channels[0]?.connections_total, strangers + slow.length + 2);
  assertEquals(prod?.channels[0]?.bytes_to_target, cons?.channels[0]?.bytes_to_target);
  assertEquals(cons?.channels[0]?.connections_refused, 0);
  for (const conn of slow) conn.close();
});

Deno.test("a producer's gateway that cannot prove itself is sent nothing", async () => {
  await using pair = await Pair.start("S2DS");
  await using echo = new EchoServer();
  const stream = await pair.connect(echo.endpoint);
  using folder = tempFolder();
  // Somebody else's certificate authority, at an address that the consumer's gateway is led to.
  const proof = await certificate(folder.path, Uid.random());
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const child = new Deno.Command("openssl", {
    args: [
      ...["s_server", "-accept", `127.0.0.1:${port}`, "-tls1_3", "-alpn", "scistream/1", "-quiet"],
      ...proof.slice(0, 6),
    ],
    cwd: folder.path,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  await pair.cons.client.call("update", {
    uid: stream.uid.reveal(),
    role: "CONS",
    remote_listeners: [String(new Endpoint("127.0.0.1", port))],
    rate: 0,
  });
  using conn = await dial(stream.cons[0] as string);
  await writeAll(conn, new TextEncoder().encode("secret"));
  const got = await conn.read(new Uint8Array(9)).catch((error) => error.name);
  assertEquals(got, "ConnectionReset");
  child.kill("SIGTERM");
  const { stdout } = await child.output();
  assertEquals(new TextDecoder().decode(stdout), "");
  const [, cons] = await pair.status(stream);
  assertMatch(cons?.channels[0]?.last_error ?? "", /is not proven by this session's uid|refused/i);
});
