/**
 * Processes that stand still for half a minute, a link that loses every packet, clocks that jump, and
 * processes that are killed: streams go on or resume with every byte, calls are answered, and nothing
 * is taken for dead that is not.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { dial, echoes, EchoServer, nameAt, NamedServer } from "./echo.ts";
import { Flow, lasts, said, soon } from "./faults.ts";
import { hello, newUid, req, status, update } from "./faults_calls.ts";
import {
  assertOk,
  eventually,
  Gateway,
  KEYBOARD,
  leftOutIf,
  portRange,
  SCISTREAM,
} from "./harness.ts";
import { call, refusal, session } from "./oauth/gateway.ts";
import { pidsBelow } from "./pair.ts";
import { onNetwork, unavailable, USER } from "./topology.ts";

const PAUSE_S = 30;
const LOSS_S = 20;

/** Stops these processes for as long as the pause is. */
async function pause(pids: readonly number[], meanwhile: () => Promise<void>): Promise<void> {
  for (const pid of pids) Deno.kill(pid, "SIGSTOP");
  const over = lasts(PAUSE_S);
  try {
    await meanwhile();
    await over;
  } finally {
    for (const pid of pids) Deno.kill(pid, "SIGCONT");
  }
}

/** The control server stands still. */
async function pausedServer(): Promise<void> {
  await using echo = new EchoServer();
  // The application says hello within its time: while nobody listens.
  await using gateway = await Gateway.start("--wan=plain", "--workers=2", "--hello-timeout=20");
  const app = String(echo.endpoint);
  const [streams, waits, released, lonely] = [newUid(), newUid(), newUid(), newUid()];
  const at = await session(gateway, undefined, streams, { app });
  await session(gateway, undefined, released, { app });
  const pending = req(gateway, waits);
  const alone = refusal(req(gateway, lonely));
  await gateway.process.line(/(reserved → waiting[^]*){4}/, "err");
  await using flow = await Flow.open(at);
  const children = gateway.dataServers();
  let calls: Promise<unknown>[] = [];
  await pause([gateway.process.child.pid], async () => {
    calls = [
      hello(gateway, waits),
      status(gateway, streams),
      session(gateway, undefined, newUid(), { app }),
      call(gateway, undefined, "release", { uid: released }),
    ];
    for (const each of calls) each.catch(() => {});
    await flow.moves();
    assert(await echoes(at), "new connections are served meanwhile");
  });
  await soon("calls of meanwhile are answered", Promise.all(calls));
  await soon("its hello was in time", pending);
  await update(gateway, waits, echo.endpoint);
  assertMatch(await soon("nobody said hello for this one", alone), /^TIMEOUT 4 no hello/);
  assertEquals((await call(gateway, undefined, "list")).sessions.length, 3);
  await flow.moves();
  await flow.finish();
  assertEquals(gateway.dataServers(), children);
  assertEquals(said(gateway, / ERROR /), []);
}

/** One session's proxy stands still. */
async function pausedProxy(): Promise<void> {
  await using echo = new EchoServer();
  await using named = new NamedServer("old");
  await using other = new NamedServer("new");
  await using gateway = await Gateway.start("--type=HaproxySubprocess");
  const app = String(echo.endpoint);
  const [stopped, retargeted] = [newUid(), newUid()];
  const at = await session(gateway, undefined, stopped, { app });
  const leads = await session(gateway, undefined, retargeted, { app: String(named.endpoint) });
  const pids = await pidsBelow(gateway.stateDir);
  const fine = newUid();
  const well = await session(gateway, undefined, fine, { app });
  await using flow = await Flow.open(at);
  await using otherFlow = await Flow.open(well);
  await pause(pids, async () => {
    const asked = status(gateway, stopped);
    assertEquals((await status(gateway, fine)).channels[0]?.last_error, "");
    const { state, channels } = await soon("its status is answered", asked);
    assertEquals(state, "streaming");
    assertMatch(channels[0]?.last_error ?? "", /haproxy does not answer/);
    const { sessions } = await soon("all are listed", call(gateway, undefined, "list"));
    assertEquals(sessions.length, 3);
    assert(await echoes(await session(gateway, undefined, newUid(), { app })));
    const refused = await soon("told", refusal(update(gateway, retargeted, other.endpoint)));
    assertMatch(refused, /^CONN_ERROR .*haproxy does not answer within/);
    await otherFlow.moves();
  });
  await flow.moves();
  // What was refused is not done later.
  await eventually("it leads where it led", async () => await nameAt(leads) === "old");
  await update(gateway, retargeted, named.endpoint);
  assertEquals(await nameAt(leads), "old");
  await Promise.all([flow.finish(), otherFlow.finish()]);
  const alive = await pidsBelow(gateway.stateDir);
  assert(pids.every((pid) => alive.includes(pid)), "nothing was started again");
  assertEquals((await status(gateway, stopped)).reason, "");
}

/** One of two data servers stands still. */
async function pausedDataServer(): Promise<void> {
  await using echo = new EchoServer();
  await using named = new NamedServer("old");
  await using other = new NamedServer("new");
  const range = portRange(4);
  await using gateway = await Gateway.start(
    ...["--wan=plain", "--workers=2", `--port-range=${range.text}`, "--drain-timeout=0"],
  );
  const uid = newUid();
  const retargeted = newUid();
  const at = await session(gateway, undefined, uid, { app: String(echo.endpoint) });
  const leads = await session(gateway, undefined, retargeted, { app: String(named.endpoint) });
  // The kernel shares them out; so some are with either of the two.
  const flows = await Promise.all(Array.from({ length: 8 }, () => Flow.open(at)));
  const children = gateway.dataServers();
  await pause(children.slice(0, 1), async () => {
    const [told, refused, newTarget] = await soon(
      "calls are answered",
      Promise.all([
        status(gateway, uid),
        refusal(req(gateway, newUid(), 2)),
        refusal(update(gateway, retargeted, other.endpoint)),
        call(gateway, undefined, "list"),
      ]),
    );
    assertEquals(told.state, "streaming");
    assertMatch(told.channels[0]?.last_error ?? "", /the data server \(s2ds\) does not answer/);
    assertMatch(refused, /^CONN_ERROR 14 the data server \(s2ds\) does not answer/);
    assertMatch(newTarget, /^CONN_ERROR 14 the data server \(s2ds\) does not answer/);
  });
  for (const flow of flows) await flow.moves();
  for (const flow of flows) await flow.finish();
  assertEquals(gateway.dataServers(), children);
  assertEquals(said(gateway, / ERROR (?!.*clean-up: )/), []);
  // What was refused is not done later: neither its ports are held nor its targets set. A status is
  // answered by both after all that was asked before.
  assertEquals((await status(gateway, uid)).channels[0]?.last_error, "");
  for (let i = 0; i < 8; i++) assertEquals(await nameAt(leads), "old");
  for (const port of [range.first + 2, range.first + 3]) {
    await eventually(
      `port ${port} is free`,
      () => dial(`127.0.0.1:${port}`).then((conn) => conn.close(), () => true),
    );
  }
}

const ROOT = new URL("..", import.meta.url).pathname;
const FLOW = [
  ...[Deno.execPath(), "run", "--quiet", "--no-prompt", "--cached-only"],
  ...[
    "--config",
    `${ROOT}deno.json`,
    "--allow-net",
    "--allow-read",
    "--allow-env",
    `${ROOT}tests/faults_flow.ts`,
  ],
];
const noNetwork = unavailable();

/** Every packet between the gateways is lost, and between the user and the consumer's gateway. */
function lostPackets(): Promise<void> {
  return onNetwork(USER, 120_000, async (network) => {
    const { producer, producers2, consumers2, consumer } = network;
    const user = network.host("user");
    for (
      const [host, ip, ...more] of [
        [producers2, "192.168.10.11", "--wan-ip=192.168.20.10"],
        [consumers2, "192.168.30.10"],
      ] as const
    ) {
      assertOk(await host.run([...SCISTREAM, "cert", "--ip", ip]));
      const s2cs = host.start(["s2cs", "--port=5007", `--listener-ip=${ip}`, ...more]);
      await s2cs.line(/Secure gRPC Server started on /);
      user.copy(host, "server.crt", `${host.name}.crt`);
    }
    const echo = producer.start([...FLOW, "echo", "192.168.10.10"]);
    const [, app] = await echo.line(/echo at (\S+)/);
    const { port } = Endpoint.parse(app as string);
    const { out } = assertOk(
      await user.run(
        "s2uc connect --prod-s2cs 192.168.10.11:5007 --cons-s2cs 192.168.30.10:5007 --json " +
          `--remote_ip 192.168.10.10 --receiver_ports ${port} --num_conn 1 ` +
          "--server-cert producers2.crt --cons-server-cert consumers2.crt",
      ),
    );
    const { uid, listeners }: { uid: string; listeners: [string] } = JSON.parse(out);
    const flow = consumer.start([...FLOW, "flow", listeners[0]], { stdin: KEYBOARD });
    await flow.line(/^open$/m);

    const drop = (what: "-A" | "-D") =>
      Promise.all(
        ["wan", "user"].flatMap((device) =>
          ["INPUT -i", "OUTPUT -o"].map(async (chain) =>
            assertOk(await consumers2.run(`iptables -w ${what} ${chain} ${device} -j DROP`))
          )
        ),
      );
    await drop("-A");
    const over = lasts(LOSS_S);
    const ask = (command: string, host: string, ip: string) =>
      user.run(`s2uc ${command} ${uid} --s2cs ${ip}:5007 --server-cert ${host}.crt`);
    const lost = ask("check-status", "consumers2", "192.168.30.10");
    // Who can be reached answers.
    const near = assertOk(await ask("check-status", "producers2", "192.168.10.11"));
    assertMatch(near.out, /streaming/);
    await over;
    await drop("-D");
    const { code, err, out: told } = await soon("the call comes to an end", lost, 60_000);
    if (code === 0) assertMatch(told, /streaming/);
    else assertMatch(err, /^error: \[(CONN_ERROR|TIMEOUT)\] .*192\.168\.30\.10:5007[^\n]*\n$/);
    await flow.type("moves");
    await soon("the stream resumes", flow.line(/moves: done/), 60_000);
    await flow.type("finish");
    assertEquals((await soon("it ends", flow.ended)).code, 0, flow.err);
    for (const [host, ip] of [["producers2", "192.168.10.11"], ["consumers2", "192.168.30.10"]]) {
      assertMatch(
        assertOk(await ask("check-status", host as string, ip as string)).out,
        /streaming/,
      );
      assertOk(await ask("release", host as string, ip as string));
    }
  });
}

const network = leftOutIf(noNetwork);
Deno.test({
  name:
    `all packets lost for 20 s; for 30 s stopped: s2cs, a proxy, a data server${network.because}`,
  ignore: network.ignore,
  async fn() {
    // At once and not as steps, of which Deno allows one at a time to open and close things.
    await Promise.all([pausedServer(), pausedProxy(), pausedDataServer(), lostPackets()]);
  },
});
