// What a control server finds while it runs: what nobody has is ended, what is missing comes back.
import { assert, assertEquals } from "@std/assert";
import { LABELS } from "../lib/s2ds/proxy/container_spec.ts";
import { Link } from "../lib/s2ds/forwarder/link.ts";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { Uid } from "../lib/protocol/uid.ts";
import { dial, echoes, EchoServer, roundTrip } from "./echo.ts";
import { Engine, whyNoEngine } from "./engine.ts";
import { eventually, freePort, Gateway, leftOutIf } from "./harness.ts";
import { call, session } from "./oauth/gateway.ts";
import { pidsBelow } from "./pair.ts";

const newUid = () => Uid.random().reveal();
const SOON = "--reconcile-interval=1";
const { ignore, because } = leftOutIf(whyNoEngine());

/** The gateway's folder. */
function folderOf({ stateDir }: Gateway): string {
  return `${stateDir}/${[...Deno.readDirSync(stateDir)].find((each) => each.isDirectory)?.name}`;
}

Deno.test("S2DS: a session that the data server lost comes back, and its streams with it", async () => {
  await using echo = new EchoServer();
  await using gateway = await Gateway.start("--wan=plain", "--workers=1", SOON);
  const uid = newUid();
  const listener = await session(gateway, undefined, uid, { app: String(echo.endpoint) });
  const { pid } = gateway.process.child;
  const [child = 0] = gateway.dataServers();
  // A port that a stranger has when the data server is started again.
  Deno.kill(pid, "SIGSTOP");
  Deno.kill(child, "SIGKILL");
  const { port } = Endpoint.parse(listener);
  const stranger = await eventually("the port is free", () => {
    try {
      return Deno.listen({ hostname: "0.0.0.0", port });
    } catch {
      return undefined;
    }
  });
  Deno.kill(pid, "SIGCONT");
  await gateway.process.line(/streaming → failed: channels could not be brought back/, "err");
  stranger?.close();
  await gateway.process.line(/failed → streaming: recovered; before, channels could not/, "err");
  assert(await echoes(listener));
  assertEquals((await call(gateway, undefined, "status", { uid })).state, "streaming");
});

Deno.test("HaproxySubprocess: what runs in the gateway's folder for no session is ended, and nothing else", async () => {
  await using echo = new EchoServer();
  await using gateway = await Gateway.start("--type=HaproxySubprocess", SOON);
  const listener = await session(gateway, undefined, newUid(), { app: String(echo.endpoint) });
  using established = await dial(listener);
  await roundTrip(established, "before");
  const before = await eventually("master and worker", async () => {
    const pids = await pidsBelow(gateway.stateDir);
    return pids.length === 2 ? pids : undefined;
  });
  const stray = `${folderOf(gateway)}/sessions/0123456789abcdef`;
  Deno.mkdirSync(stray);
  const sleeper = new Deno.Command("sleep", { args: ["600"], cwd: stray }).spawn();
  await gateway.process.line(/ending what is in \S+0123456789abcdef, which no session has/, "err");
  assertEquals((await sleeper.status).signal, "SIGKILL");
  await eventually("its folder is gone", () => {
    return ![...Deno.readDirSync(`${folderOf(gateway)}/sessions`)].some(({ name }) =>
      name.startsWith("0123456789abcdef")
    );
  });
  await roundTrip(established, "after");
  assertEquals(await pidsBelow(gateway.stateDir), before);
});

Deno.test({
  name:
    `Haproxy: a container of this gateway that no session has is removed, and nobody else's${because}`,
  ignore,
  async fn() {
    await using engine = await Engine.start();
    await engine.images();
    await using echo = new EchoServer();
    const flags = ["--type=Haproxy", `--docker-socket=${engine.socket}`, SOON];
    await using gateway = await Gateway.start(...flags);
    const listener = await session(gateway, undefined, newUid(), { app: String(echo.endpoint) });
    const [ours] = await engine.containers();
    const start = (name: string, of: string) =>
      engine.docker(
        ...["run", "--detach", "--name", name, "--label", `${LABELS.gateway}=${of}`],
        ...["--label", `${LABELS.session}=${"0".repeat(64)}`, "haproxy:latest", "haproxy", "-v"],
      );
    await start("of-another-gateway", "127.0.0.1:1");
    await start("stray", gateway.address);
    await gateway.process.line(/removing \/?stray, which no session has/, "err");
    await eventually("it is gone", async () => !(await engine.containers()).includes("stray"));
    assertEquals(await engine.containers(), [ours, "of-another-gateway"].sort());
    assert(await echoes(listener));
  },
});

Deno.test("S2DS: what the data server holds for nobody is closed", async () => {
  await using gateway = await Gateway.start("--wan=plain", "--workers=1", SOON);
  await using echo = new EchoServer();
  const listener = await session(gateway, undefined, newUid(), { app: String(echo.endpoint) });
  const { pid } = gateway.process.child;
  // As an s2cs that is killed between the two would leave it.
  Deno.kill(pid, "SIGKILL");
  await gateway.process.ended;
  const socket = `${folderOf(gateway)}/s2ds-0.sock`;
  const port = freePort();
  const link = await Link.connect(socket, () => {});
  await link.ask({
    op: "open",
    session: "ab12",
    listeners: [`127.0.0.1:${port}`],
    role: "PROD",
    share: false,
    allow: [],
    rate: 0,
    udp: false,
  });
  link.close();
  await gateway.launch(Endpoint.parse(gateway.address).port, "--wan=plain", "--workers=1", SOON);
  assert(await echoes(listener));
  assert(!await echoes(`127.0.0.1:${port}`));
  Deno.listen({ hostname: "127.0.0.1", port }).close();
});
