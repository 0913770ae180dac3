/**
 * `scistream doctor` on this machine: each problem is there for real, and is what it finds.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { makeCertificate } from "../lib/certificate.ts";
import { assertFound, doctor, Plan } from "./doctor.ts";
import { EchoServer } from "./echo.ts";
import { Engine, whyNoEngine } from "./engine.ts";
import { assertOk, Gateway, leftOutIf, run, SCISTREAM, scistream, tempFolder } from "./harness.ts";

const NAMES = [
  ...["runtime", "configuration", "certificate", "key", "client-secret", "identity-provider"],
  ...["listener", "control-port", "port-range", "ephemeral-ports", "state-folder"],
  ...["docker", "image", "haproxy", "nginx", "stunnel", "clock"],
  ...["socket-buffers", "backlog", "congestion-control", "mtu", "open-files", "conntrack"],
  ...["firewall", "systemd"],
];
const { ignore, because } = leftOutIf(
  Deno.uid() === 0 ? undefined : "it takes root to take rights and networks away",
);
const engine = leftOutIf(whyNoEngine());

Deno.test("a good gateway has no problem, and is left as it was", async () => {
  using plan = await Plan.make();
  const before = [...Deno.readDirSync(plan.folder.path)].map(({ name }) => name).sort();
  const found = await doctor(plan.flags);
  assertEquals(found.problems, []);
  assertEquals([...found.reports.keys()], NAMES);
  assertFound(found, "certificate", "ok", /for 127\.0\.0\.1, valid for 89 days/);
  assertFound(found, "key", "ok", /server\.key/);
  assertFound(found, "control-port", "ok", /is free/);
  assertFound(found, "port-range", "ok", /20 ports, .* are free$/);
  assertFound(found, "state-folder", "ok", /still to be made\) has \d+ MiB/);
  assertEquals([...Deno.readDirSync(plan.folder.path)].map(({ name }) => name).sort(), before);
});

Deno.test("for people each check is a line, with what to do below it", async () => {
  using plan = await Plan.make();
  const { code, out } = await scistream(["doctor", ...plan.flags, "--server-key=/nonexistent"]);
  assertEquals(code, 1);
  assertMatch(
    out,
    /^PROBLEM {2}key {17}\/nonexistent cannot be read: .*\n {9}-> .*scistream cert /m,
  );
  assertMatch(out, /^ok {7}runtime /m);
  assertMatch(out, /^1 problem, (no|\d+) warnings?\n$/m);
});

Deno.test("what s2cs reads it reads: the same file, and the same mistakes in it", async () => {
  using plan = await Plan.make();
  const file = `${plan.folder.path}/gateway.toml`;
  // A table for s2cs' command, and an option that is nothing to check.
  Deno.writeTextFileSync(
    file,
    `verbose = true\nserver-crt = "${plan.cert}"\nserver-key = "${plan.key}"\n` +
      `state-dir = "${plan.stateDir}"\n[start]\nlistener-ip = "127.0.0.1"\nport = ${plan.port}\n`,
  );
  const found = await doctor(["--config", file]);
  assertFound(found, "configuration", "ok", /gateway\.toml is read/);
  assertFound(found, "control-port", "ok", new RegExp(`127.0.0.1:${plan.port} is free`));
  assertEquals(found.problems, []);

  const home = `${plan.folder.path}/scistream`;
  Deno.mkdirSync(home);
  Deno.renameSync(file, `${home}/s2cs.toml`);
  const own = await doctor([], { env: { XDG_CONFIG_HOME: plan.folder.path } });
  assertFound(own, "configuration", "ok", /scistream\/s2cs\.toml is read/);

  Deno.writeTextFileSync(file, "listener-up = 1\n");
  const { code, err } = await doctor(["--config", file]);
  assertEquals(code, 2);
  assertMatch(JSON.parse(err).error.message, /gateway\.toml, line 1: unknown key "listener-up"/);
  const conflict = await doctor([...plan.flags, "--udp"]);
  assertEquals(conflict.problems, ["configuration"]);
  assertFound(conflict, "configuration", "fail", /--udp forwards/, /add --wan plain/);
});

Deno.test("ports that another program has, and those of a control server of ours", async () => {
  using plan = await Plan.make();
  {
    using _held = Deno.listen({ hostname: "127.0.0.1", port: plan.port });
    const found = await doctor(plan.flags);
    assertEquals(found.problems, ["control-port"]);
    const me = new RegExp(`${plan.port} is taken by .*process ${Deno.pid}\\)`);
    assertFound(found, "control-port", "fail", me, /another --port/);
  }
  const { first } = plan.range;
  {
    using _held = Deno.listen({ hostname: "127.0.0.1", port: first + 3 });
    const found = await doctor(plan.flags);
    assertEquals(found.problems, []);
    assertFound(
      found,
      "port-range",
      "warn",
      new RegExp(`1 taken by others \\(${first + 3}: .*process ${Deno.pid}\\)`),
      /another --port-range/,
    );
    const only = await doctor([...plan.flags, `--port-range=${first + 3}`]);
    assertEquals(only.problems, ["port-range"]);
    assertFound(only, "port-range", "fail", /none is free/, /another --port-range/);
  }
  await using gateway = await Gateway.start(`--port-range=${plan.range.text}`);
  await using echo = new EchoServer();
  const { host, port } = echo.endpoint;
  assertOk(
    await scistream([
      ...["s2uc", "inbound-request", ...gateway.flags],
      ...["--num-conn=1", `--remote-ip=${host}`, `--receiver-ports=${port}`],
    ]),
  );
  const found = await doctor([...plan.flags, `--port=${gateway.address.split(":")[1]}`]);
  assertEquals(found.problems, []);
  assertFound(found, "control-port", "ok", /an s2cs listens at .* already/);
  assertFound(found, "port-range", "ok", /sessions of a control server here hold 1$/);
});

Deno.test("an address that is none of this machine", async () => {
  using plan = await Plan.make();
  const found = await doctor([...plan.flags, "--wan-ip=192.0.2.200"]);
  assertEquals(found.problems, ["listener"]);
  assertFound(found, "listener", "fail", /--wan-ip 192\.0\.2\.200/, /address of this machine/);
});

Deno.test("a certificate that clients will refuse, or soon", async () => {
  using plan = await Plan.make();
  const look = () => doctor(plan.flags);
  const remade = /^scistream cert --ip 127\.0\.0\.1 --out-crt \S+ --out-key \S+ --force/;
  await plan.certify(["127.0.0.1"], -1);
  let found = await look();
  assertEquals(found.problems, ["certificate"]);
  assertFound(found, "certificate", "fail", /expired on/, remade);
  await plan.certify(["203.0.113.9"], 90);
  found = await look();
  assertEquals(found.problems, ["certificate"]);
  assertFound(found, "certificate", "fail", /is for 203\.0\.113\.9, and this machine/, remade);
  await plan.certify(["127.0.0.1"], 7);
  assertFound(await look(), "certificate", "warn", /expires in 6 days/, remade);
  await plan.certify(["127.0.0.1"], 90);
  const wan = await doctor([...plan.flags, "--wan-ip=127.0.0.2"]);
  assertFound(wan, "certificate", "warn", /not for 127\.0\.0\.2/, /--ip 127.0.0.1 --ip 127.0.0.2/);

  Deno.writeTextFileSync(plan.key, (await makeCertificate({ ips: [], names: ["a"], days: 1 })).key);
  found = await look();
  assertEquals(found.problems, ["key"]);
  assertFound(found, "key", "fail", /is not the key of/, /scistream cert/);
  await plan.certify(["127.0.0.1"], 90);
  Deno.chmodSync(plan.key, 0o644);
  assertFound(await look(), "key", "warn", /other users/, /^chmod 600/);
  Deno.writeTextFileSync(plan.cert, "no certificate");
  found = await look();
  assertEquals(found.problems, ["certificate", "key"]);
  assertFound(found, "certificate", "fail", /holds no PEM certificate/, remade);
});

Deno.test("a state folder that others could put things into", async () => {
  using plan = await Plan.make();
  Deno.mkdirSync(plan.stateDir);
  Deno.chmodSync(plan.stateDir, 0o777);
  const found = await doctor(plan.flags);
  assertEquals(found.problems, ["state-folder"]);
  assertFound(found, "state-folder", "fail", /other users can write/, /^chmod go-w/);
});

Deno.test("an identity provider that is away, or whose clock is another", async () => {
  using plan = await Plan.make();
  const secret = `${plan.folder.path}/secret`;
  Deno.writeTextFileSync(secret, "sesame\n", { mode: 0o600 });
  let ahead = 0;
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
    const date = new Date(Date.now() + ahead).toUTCString();
    return Response.json({}, { headers: { date } });
  });
  const issuer = `http://127.0.0.1:${server.addr.port}`;
  const flags = [...plan.flags, "--client-id=a", `--client-secret-file=${secret}`];
  const look = () => doctor([...flags, `--issuer=${issuer}`]);
  const good = await look();
  assertEquals(good.problems, []);
  assertFound(good, "identity-provider", "ok", /answers, and its clock is this one's/);
  assertFound(good, "client-secret", "ok", /holds a secret/);
  ahead = 3_600_000;
  const late = await look();
  assertEquals(late.problems, ["identity-provider"]);
  assertFound(late, "identity-provider", "fail", /\d{4} s behind/, /set the clock/);
  await server.shutdown();
  const away = await doctor([...flags, `--issuer=${issuer}`, "--client-secret-file=/nonexistent"]);
  assertEquals(away.problems, ["client-secret", "identity-provider"]);
  assertFound(away, "identity-provider", "fail", /does not answer: .*refused/i, /--issuer/);
  assertFound(away, "client-secret", "fail", /\/nonexistent/, /client's secret/);
});

Deno.test("a proxy that is not installed, or lacks what it needs", async () => {
  using plan = await Plan.make();
  // Of a PATH that has nothing, only what is for root is found: the other programs say nothing then.
  const none = await doctor([...plan.flags, "--type=StunnelSubprocess"], {
    env: { PATH: plan.folder.path },
  });
  assertEquals(none.problems, ["stunnel"]);
  assertFound(none, "stunnel", "fail", /not installed/, /^sudo apt-get install stunnel4$/);
  const flags = [...plan.flags, "--type=nginxsubprocess"];
  const there = await doctor(flags);
  assertEquals(there.problems, []);
  assertFound(there, "nginx", "ok", /^version 1\./);
  // As nginx says it that was built without.
  const other = `${plan.folder.path}/nginx`;
  Deno.writeTextFileSync(other, "#!/bin/sh\necho 'nginx version: nginx/1.22.1' >&2\n", {
    mode: 0o755,
  });
  const plain = await doctor(flags, { env: { PATH: `${plan.folder.path}:/usr/bin:/bin` } });
  assertEquals(plain.problems, ["nginx"]);
  assertFound(plain, "nginx", "fail", /without its stream module/, /libnginx-mod-stream/);
});

Deno.test({ name: `a Docker socket that is away, or forbidden${because}`, ignore }, async () => {
  using plan = await Plan.make();
  const flags = [...plan.flags, "--type=Nginx", `--docker-socket=${plan.folder.path}/s`];
  const away = await doctor(flags);
  assertEquals(away.problems, ["docker"]);
  assertFound(away, "docker", "fail", /no such socket/, /systemctl start docker/);
  assertFound(away, "image", "skip", /no engine/);
  assertEquals((await doctor([...flags, "--type=S2DS"])).problems, []);
  // Root may open everything; without that right it is a user like any other.
  using _listener = Deno.listen({ transport: "unix", path: `${plan.folder.path}/s` });
  Deno.chownSync(`${plan.folder.path}/s`, 65534, 65534);
  Deno.chmodSync(`${plan.folder.path}/s`, 0o600);
  const prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"];
  const forbidden = await doctor(flags, { prefix });
  assertEquals(forbidden.problems, ["docker"]);
  assertFound(forbidden, "docker", "fail", /no permission/, /member of the socket's group/);
});

Deno.test({
  name: `a Docker Engine without the image, and with it${engine.because}`,
  ignore: engine.ignore,
}, async () => {
  using plan = await Plan.make();
  await using docker = await Engine.start();
  const look = () =>
    doctor([...plan.flags, "--type=Haproxy"], { env: { DOCKER_HOST: docker.host } });
  const bare = await look();
  assertEquals(bare.problems, ["image"]);
  assertMatch(bare.reports.get("docker")?.found ?? "", /^version \d+\..*, API 1\.\d+, at /);
  assertFound(
    bare,
    "image",
    "fail",
    /no such image "haproxy:latest"/,
    /docker pull haproxy:latest/,
  );
  await docker.images();
  const good = await look();
  assertEquals(good.problems, []);
  assertFound(good, "image", "ok", /^haproxy:latest \(sha256:/);
});

Deno.test("interrupted it ends at once, and says so", async () => {
  using plan = await Plan.make();
  using folder = tempFolder();
  // A program that does not end.
  Deno.writeTextFileSync(`${folder.path}/id`, "#!/bin/sh\nkill -INT $PPID\nexec sleep 600\n", {
    mode: 0o755,
  });
  const env = { PATH: `${folder.path}:${Deno.env.get("PATH")}` };
  const { code, err } = await run([...SCISTREAM, "doctor", ...plan.flags], { env });
  assertEquals(code, 130, err);
  assert(err.includes("interrupted"), err);
});
