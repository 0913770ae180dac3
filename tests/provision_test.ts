/**
 * What docs/install.md has done to real machines, on a Debian of the test's own: scripts/provision.sh, and
 * scripts/install.sh with the service.
 * @module
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Debian, whyNoDebian } from "./debian.ts";
import { assertOk, leftOutIf } from "./harness.ts";
import { releaseIn } from "./installed.ts";

const SERVICE = "scistream-s2cs.service";

const { ignore, because } = leftOutIf(whyNoDebian());

Deno.test({
  name: `a fresh Debian becomes a gateway of the tutorial, and then one with the service${because}`,
  ignore,
  async fn() {
    using debian = await Debian.make();
    await provisions(debian);
    await serves(debian);
  },
});

async function provisions(debian: Debian): Promise<void> {
  const provision = (...args: string[]) => debian.run("/vagrant/scripts/provision.sh", ...args);
  const wrong = await provision("--user", "nobody-of-that-name", "192.168.10.11");
  assertEquals(wrong.code, 1);
  assertMatch(wrong.err, /there is no user "nobody-of-that-name"/);
  assertEquals((await provision()).code, 2);
  assertOk(await debian.run("useradd", "--create-home", "vagrant"));

  const gateway = ["--user", "vagrant", "192.168.10.11", "192.168.20.10"];
  assertOk(await provision(...gateway));
  assertMatch(assertOk(await debian.run("s2cs", "--version")).out, /^s2cs, version: 0\./);
  assertMatch(assertOk(await debian.run("iperf3", "--version")).out, /^iperf 3/);
  const home = "/home/vagrant";
  const shown = [
    "openssl",
    "x509",
    "-noout",
    "-ext",
    "subjectAltName",
    "-in",
    `${home}/server.crt`,
  ];
  const { out } = assertOk(await debian.run(...shown));
  for (const address of gateway.slice(2)) assertStringIncludes(out, `IP Address:${address}`);
  const { out: modes } = assertOk(
    await debian.run("stat", "-c", "%U %a", `${home}/server.crt`, `${home}/server.key`),
  );
  assertEquals(modes, "vagrant 644\nvagrant 600\n");

  const before = await debian.files();
  assert(before.length > 5_000);
  assertOk(await provision(...gateway));
  assertEquals(difference(before, await debian.files()), []);
  // A host of one application has no certificate to make.
  assertOk(await debian.run("sh", "-c", `rm ${home}/server.*`));
  assertOk(await provision("--user", "vagrant", "192.168.10.10"));
  assertEquals((await debian.run("test", "-e", `${home}/server.crt`)).code, 1);
}

async function serves(debian: Debian): Promise<void> {
  const before = await debian.files();
  const install = (...args: string[]) => debian.run("/vagrant/scripts/install.sh", ...args);
  const refused = await install("--systemd", "/opt/scistream");
  assertEquals(refused.code, 1);
  assertMatch(refused.err, /a service needs the executable/);

  Deno.mkdirSync(`${debian.root}/srv/release`);
  const archive = releaseIn(`${debian.root}/srv/release`, debian.scistream)
    .slice(debian.root.length);
  const { out } = assertOk(await install("--from", archive, "--systemd", "/opt/scistream"));
  const unit = `/etc/systemd/system/${SERVICE}`;
  assertStringIncludes(
    Deno.readTextFileSync(debian.root + unit),
    "ExecStart=/opt/scistream/bin/s2cs --config",
  );
  assertMatch(assertOk(await debian.run("id", "scistream")).out, /^uid=\d+\(scistream\)/);

  // What it says comes next, as far as there is no systemd that runs; then what the unit would do.
  const next = out.split("\n").filter((line) => line.startsWith("  "))
    .map((line) => line.trim().replaceAll("ADDRESS", "127.0.0.1"));
  assertEquals(next.pop(), "systemctl enable --now scistream-s2cs");
  assertEquals(next.length, 3);
  assertOk(await debian.run("sh", "-ec", ["umask 077", ...next].join("\n")));
  const folders = "install -d -m 700 -o scistream /var/lib/scistream /var/log/scistream";
  assertOk(await debian.run("sh", "-c", folders));
  const setting = (name: string) =>
    [...Deno.readTextFileSync(debian.root + unit).matchAll(new RegExp(`^${name}=(.*)$`, "gm"))]
      .map(([, value]) => (value as string).replace("%S", "/var/lib").replace("%L", "/var/log"));
  const s2cs = debian.start([
    ...["setpriv", "--reuid=scistream", "--regid=scistream", "--init-groups", "--no-new-privs"],
    ...["env", ...setting("Environment")],
    ...setting("ExecStart").flatMap((line) => line.split(" ")),
    ...["--port", "0"],
  ]);
  await s2cs.line(/^Secure gRPC Server started on 127\.0\.0\.1:\d+$/m);
  await debian.kill(s2cs);

  assertOk(await install("--uninstall", "/opt/scistream"));
  assertOk(await debian.run("sh", "-c", "rm -r /etc/scistream /var/l??/scistream /srv/release"));
  assertOk(await debian.run("userdel", "scistream"));
  const left = difference(before, await debian.files());
  assertEquals(left.filter((line) => !/\/etc\/(group|passwd|g?shadow|sub[ug]id)-?/.test(line)), []);
}

function difference(before: readonly string[], after: readonly string[]): string[] {
  const [was, is] = [new Set(before), new Set(after)];
  return [...before.filter((line) => !is.has(line)), ...after.filter((line) => !was.has(line))];
}
