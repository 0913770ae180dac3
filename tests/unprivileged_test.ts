/**
 * What a control server needs of its machine: nothing but a user; and what it asks of that user's
 * files.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { echoes, EchoServer } from "./echo.ts";
import { eventually, Gateway, leftOutIf, Running, SCISTREAM, tempFolder } from "./harness.ts";
import { Pair, pidsBelow } from "./pair.ts";
import { NOBODY, UnprivilegedGateway, whyNot } from "./unprivileged.ts";

const { ignore, because } = leftOutIf(whyNot());

for (
  const [type, umask] of [
    ["S2DS", "0"],
    ["S2DS", "077"],
    ["HaproxySubprocess", "0"],
    ["HaproxySubprocess", "077"],
    ["NginxSubprocess", "022"],
    ["StunnelSubprocess", "022"],
  ] as const
) {
  Deno.test({
    name:
      `nobody, umask ${umask}: ${type} streams, survives kill -9, and its files are its owner's alone${because}`,
    ignore,
    async fn() {
      await using echo = new EchoServer();
      const prod = await UnprivilegedGateway.of(umask, `--type=${type}`);
      const cons = await UnprivilegedGateway.of(umask, `--type=${type}`);
      await using pair = Pair.of(prod, cons);
      // By name: looking it up must work without netlink too.
      const stream = await pair.connect(new Endpoint("localhost", echo.endpoint.port), 2);
      for (const listener of stream.cons) assert(await echoes(listener, "x".repeat(1 << 20)));

      const { address, process } = prod;
      assertEquals(await process.stop("SIGKILL").then(({ code }) => code), 137);
      await prod.launch(Number(address.split(":")[1]), `--type=${type}`);
      assertEquals((await pair.status(stream)).map(({ state }) => state), [
        "streaming",
        "streaming",
      ]);
      assert(await echoes(stream.cons[0] as string));

      for (const gateway of [prod, cons]) {
        const pids = [
          gateway.process.child.pid,
          ...gateway.dataServers(),
          ...await pidsBelow(gateway.stateDir),
        ];
        assert(pids.length >= 2);
        for (const pid of pids) assertPowerless(pid);
        const files = below(gateway.stateDir);
        assert(files.length >= 6, files.join(" "));
        for (const path of files) assertPrivate(path);
      }
      await pair.release(stream);
      assertEquals(await pair.left(), []);
      for (const gateway of [prod, cons]) {
        assertEquals((await gateway.process.stop()).code, 0);
        await eventually("no process", () => gateway.dataServers().length === 0);
        assertEquals(
          below(gateway.stateDir).map((path) =>
            path.replace(/.*\//, "").replace(/\d+(?=\.jsonl)/, "PORT")
          ),
          ["audit-127.0.0.1-PORT.jsonl"],
        );
      }
    },
  });
}

/** As the kernel sees it: nobody, without a capability, never to have one, and filtered. */
function assertPowerless(pid: number): void {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  assertMatch(status, /^Uid:\t65534\t65534\t65534\t65534$/m);
  for (const set of ["CapPrm", "CapEff", "CapBnd", "CapAmb"]) {
    assertMatch(status, new RegExp(`^${set}:\t0{16}$`, "m"));
  }
  assertMatch(status, /^NoNewPrivs:\t1$/m);
  // The filter of system calls is on.
  assertMatch(status, /^Seccomp:\t2$/m);
}

function assertPrivate(path: string): void {
  const { mode, uid, isDirectory, isSocket } = Deno.lstatSync(path);
  assertEquals(uid, NOBODY, path);
  const bits = ((mode ?? 0) & 0o777).toString(8);
  // HAProxy makes its socket with what the umask leaves; a proxy's folder keeps others out.
  assertEquals(bits, isDirectory || (isSocket && bits !== "600") ? "700" : "600", path);
}

/** Every path below a folder. */
function below(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    return isDirectory ? [path, ...below(path)] : [path];
  });
}

Deno.test("a state folder, a proxies' folder and an audit log that others could put something in: one line, exit code 2", async () => {
  await using gateway = await Gateway.start("--type=Mock");
  using temp = tempFolder();
  const open = `${temp.path}/open`;
  Deno.mkdirSync(open);
  Deno.chmodSync(open, 0o777);
  Deno.writeTextFileSync(`${temp.path}/log`, "");
  Deno.chmodSync(`${temp.path}/log`, 0o666);
  const own = `--state-dir=${temp.path}/own`;
  const folder =
    /\[BAD_FORMAT\] the folder \S+ can be written to by other users \(mode 1?777\): chmod go-w it; choose another --/;
  for (
    const [flags, sentence] of [
      [["--type=Mock", `--state-dir=${open}`], folder],
      [["--type=Mock", "--state-dir=/tmp"], folder],
      [
        ["--type=Mock", `--state-dir=${open}/below`],
        /is not safe: other users can replace what is in \S+\/open/,
      ],
      [["--type=HaproxySubprocess", own, `--proxy-dir=${open}`], folder],
      [
        ["--type=Mock", own, `--audit-log=${temp.path}/log`],
        /cannot write the audit log \S+: other users can write to it \(mode 666\)/,
      ],
      [
        ["--type=Mock", own, "--audit-log=/dev/null"],
        /cannot write the audit log \/dev\/null: it is not a file/,
      ],
    ] as const
  ) {
    const process = new Running([
      ...SCISTREAM,
      ...["s2cs", "--listener-ip=127.0.0.1", "--port=0"],
      ...[`--server-crt=${gateway.cert}`, `--server-key=${gateway.key}`],
      ...flags,
    ]);
    // One that is not refused runs until it is stopped.
    await process.line(/Server started/).then(() => process.stop("SIGKILL"), () => {});
    const refused = await process.ended;
    assertMatch(refused.err, sentence);
    assertEquals([refused.code, refused.out], [2, ""], refused.err);
    assertEquals(refused.err.trimEnd().split("\n").length, 1, refused.err);
  }
});

Deno.test("a private key or client secret that everybody can read is served, with a warning that says what to do", async () => {
  await using gateway = await Gateway.start("--type=Mock");
  const port = Number(gateway.address.split(":")[1]);
  for (
    const [mode, warning] of [
      [
        0o644,
        /WARNING: the private key \S+\/server\.key can be read by other users of this machine; chmod 600 it, and make a new one/,
      ],
      [0o660, /server\.key can be written to by a group/],
      [0o640, undefined],
    ] as const
  ) {
    await gateway.process.stop();
    Deno.chmodSync(gateway.key, mode);
    await gateway.launch(port, "--type=Mock");
    const { err } = await gateway.process.stop();
    if (warning) assertMatch(err, warning);
    else assertEquals(/server\.key/.test(err), false, err);
  }
});
