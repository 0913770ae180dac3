// Where the engine is said to be, and the certificates that go with it.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { makeCertificate } from "../certificate.ts";
import { ScistreamError } from "../protocol/errors.ts";
import { nameOf, type TcpHost } from "../docker/host.ts";
import { dockerHost } from "./docker_host.ts";

type Values = Record<string, string | undefined>;

function find(flag: string | undefined, values: Values, warnings: string[] = []) {
  const env = (name: string) => values[name];
  return dockerHost(flag, env, (sentence) => warnings.push(sentence));
}

const refused = (flag: string | undefined, values: Values) =>
  assertRejects(() => find(flag, values), ScistreamError);

/** A folder with certificates that belong together. */
async function certificates(): Promise<{ path: string } & Disposable> {
  const path = await Deno.makeTempDir();
  const { cert, key } = await makeCertificate({ ips: ["127.0.0.1"], names: [], days: 1 });
  await Deno.writeTextFile(`${path}/ca.pem`, cert);
  await Deno.writeTextFile(`${path}/cert.pem`, cert);
  await Deno.writeTextFile(`${path}/key.pem`, key, { mode: 0o600 });
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

Deno.test("host: flag, then DOCKER_HOST, then Docker's own", async () => {
  const path = async (flag: string | undefined, DOCKER_HOST?: string) =>
    nameOf(await find(flag, { DOCKER_HOST }));
  assertEquals(await path(undefined), "/var/run/docker.sock");
  assertEquals(await path("", ""), "/var/run/docker.sock");
  assertEquals(await path(undefined, "unix:///run/a b.sock"), "/run/a b.sock");
  assertEquals(await path("/x.sock", "tcp://10.0.0.1:2376"), "/x.sock");
  assertEquals(await path("unix:///x.sock"), "/x.sock");
  assertEquals(await path("tcp://127.0.0.1:1", "unix:///x.sock"), "tcp://127.0.0.1:1");
  for (
    const [value, code] of [
      ["ssh://root@host", "NOT_IMPLEMENTED"],
      ["http://10.0.0.1:2375", "NOT_IMPLEMENTED"],
      ["unix://", "BAD_FORMAT"],
      ["unix://relative", "BAD_FORMAT"],
      ["/var/run/docker.sock", "BAD_FORMAT"],
      ["nonsense\n", "BAD_FORMAT"],
      ["tcp://", "BAD_FORMAT"],
      ["tcp://127.0.0.1:1/path", "BAD_FORMAT"],
      ["tcp://::1:2376", "BAD_FORMAT"],
    ] as const
  ) {
    const error = await refused(undefined, { DOCKER_HOST: value });
    assertEquals([value, error.code], [value, code]);
    assertMatch(error.message, /^DOCKER_HOST is "/);
  }
  for (const value of ["tcp://h:0", "tcp://h:65536", "tcp://h:x", "tcp://h:", "tcp://1.2.3:1"]) {
    assertEquals((await refused(value, {})).code, "BAD_FORMAT");
  }
});

Deno.test("host: plain TCP on this machine alone; ports and addresses as Docker has them", async () => {
  const plain = (host: string, port: number) => ({ kind: "tcp", host, port } as const);
  assertEquals(await find("tcp://127.0.0.1:4711", {}), plain("127.0.0.1", 4711));
  assertEquals(await find("tcp://[::1]/", {}), plain("::1", 2375));
  assertEquals(await find("tcp://localhost", {}), plain("localhost", 2375));
  assertEquals(nameOf({ kind: "tcp", host: "::1", port: 1 }), "tcp://[::1]:1");
  for (const value of ["tcp://10.0.0.1:2376", "tcp://engine.example.org", "tcp://0.0.0.0:2375"]) {
    const { code, message } = await refused(undefined, { DOCKER_HOST: value });
    assertEquals(code, "BAD_FORMAT");
    assertMatch(message, /without TLS .* is root .*--tlsverify.* DOCKER_TLS_VERIFY=1 .*ca\.pem/);
  }
});

Deno.test("host: the three files are read, and the key shows itself nowhere", async () => {
  using folder = await certificates();
  const warnings: string[] = [];
  const values = { DOCKER_HOST: "tcp://10.0.0.1", DOCKER_CERT_PATH: `${folder.path}/` };
  const host = await find(undefined, values, warnings) as TcpHost;
  assertEquals([host.host, host.port, host.tls?.folder], ["10.0.0.1", 2376, folder.path]);
  assertEquals(host.tls?.ca, Deno.readTextFileSync(`${folder.path}/ca.pem`));
  assertEquals(host.tls?.key.reveal(), Deno.readTextFileSync(`${folder.path}/key.pem`));
  assert(!(Deno.inspect(host, { depth: 9 }) + JSON.stringify(host)).includes("PRIVATE"));
  assertEquals(warnings, []);
  // Where Docker's own client looks, if nothing else is said.
  await Deno.mkdir(`${folder.path}/.docker`);
  for (const name of ["ca.pem", "cert.pem", "key.pem"]) {
    await Deno.rename(`${folder.path}/${name}`, `${folder.path}/.docker/${name}`);
  }
  const home = { DOCKER_TLS_VERIFY: "1", HOME: folder.path };
  const same = await find("tcp://127.0.0.1:1", home) as TcpHost;
  assertEquals([same.port, same.tls?.folder], [1, `${folder.path}/.docker`]);
  await Deno.chmod(`${folder.path}/.docker/key.pem`, 0o644);
  await find("tcp://127.0.0.1:1", home, warnings);
  assertMatch(warnings.join(), /key \S+key\.pem can be read by other users .*chmod 600/);
});

Deno.test("host: certificate files that cannot be used are named", async () => {
  using folder = await certificates();
  const values = { DOCKER_HOST: "tcp://h", DOCKER_CERT_PATH: folder.path };
  const key = `${folder.path}/key.pem`;
  const { key: other } = await makeCertificate({ ips: [], names: ["x"], days: 1 });
  for (
    const [text, said] of [
      [other, /key\.pem is not the key of \S+cert\.pem/],
      ["nothing", /key\.pem holds no PEM private key/],
      ["x".repeat(1_048_577), /key\.pem has over 1048576 bytes/],
    ] as const
  ) {
    await Deno.writeTextFile(key, text);
    const { code, message } = await refused(undefined, values);
    assertEquals(code, "BAD_FORMAT");
    assertMatch(message, said);
  }
  await Deno.writeTextFile(key, "nothing");
  await Deno.writeTextFile(`${folder.path}/ca.pem`, "nothing");
  assertMatch((await refused(undefined, values)).message, /ca\.pem holds no PEM certificate/);
  await Deno.remove(`${folder.path}/cert.pem`);
  const { message } = await refused(undefined, values);
  assertMatch(message, /cannot read \S+cert\.pem, .*DOCKER_CERT_PATH to a folder with ca\.pem/);
  assertMatch(
    (await refused("tcp://h", { DOCKER_TLS_VERIFY: "1" })).message,
    /neither DOCKER_CERT_PATH nor HOME/,
  );
});
