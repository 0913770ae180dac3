/**
 * The container image, on a real engine: without network at the start, without root, without a
 * writable root, it serves a session.
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { VERSION } from "../lib/version.ts";
import { numbersOf } from "../lib/s2ds/forwarder/numbers.ts";
import { channelSecret } from "../lib/s2ds/forwarder/secret.ts";
import { dial, echoes, EchoServer, roundTrip } from "./echo.ts";
import { type Daemon, Engine, whyNoEngine } from "./engine.ts";
import {
  assertOk,
  eventually,
  freePort,
  Gateway,
  leftOutIf,
  listeningPorts,
  portRange,
  run,
  scistream,
  tempFolder,
} from "./harness.ts";
import { Pair } from "./pair.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const IMAGE = `scistream:${VERSION}`;
/** Its user's number. */
const USER = 10001;

const { ignore, because } = leftOutIf(whyNoEngine());

/** A control server in a container. */
class ContainerGateway extends Gateway {
  constructor(readonly engine: Daemon) {
    super();
  }

  override async launch(port: number, ...flags: string[]): Promise<void> {
    Deno.chmodSync(this.folder.path, 0o755);
    Deno.chownSync(this.key, USER, USER);
    const page = Deno.readTextFileSync(`${ROOT}docs/install.md`);
    const [, words = ""] = /^ +(docker run [\s\S]*?)\n\n/m.exec(page) ?? [];
    // As the page has it, with folder and address of this test, and its output here.
    const command = words.replaceAll("\\\n", " ").replaceAll('"', "")
      .replace(" -d ", " --rm ")
      .replace("$PWD/gateway", this.folder.path)
      .replace("192.168.10.11", "127.0.0.1")
      .replace("5007", String(port))
      .trim().split(/\s+/).slice(1);
    await this.run(["docker", "-H", this.engine.host, ...command, ...flags], {});
  }
}

Deno.test({
  name: `the image runs a control server that streams, and stops well${because}`,
  ignore,
  async fn() {
    await using engine = await Engine.start();
    const env = {
      DOCKER_HOST: engine.host,
      PATH: `${Deno.execPath().replace(/\/[^/]+$/, "")}:${Deno.env.get("PATH")}`,
    };
    const made = assertOk(await run([`${ROOT}scripts/image.sh`], { env }));
    assertMatch(made.out, new RegExp(`^${IMAGE} {2}[0-9]+ MB\n$`));
    console.log(made.out.trim());

    const { out } = await engine.docker("image", "inspect", IMAGE, "scistream:latest");
    const [{ Config: image, Id: id }, latest] = JSON.parse(out);
    assertEquals(latest.Id, id);
    assertEquals(image.User, `${USER}:${USER}`);
    assertEquals(image.Labels["org.opencontainers.image.version"], VERSION);
    assertMatch(image.Labels["org.opencontainers.image.revision"], /^[0-9a-f]{12,40}$/);
    assertMatch(image.Labels["org.opencontainers.image.created"], /^20\d\d-\d\d-\d\dT.*Z$/);
    assertEquals(Object.keys(image.ExposedPorts), ["5000/tcp", ...range(5100, 5200)]);

    // Without any network it finds everything within itself.
    const alone = ["run", "--rm", "--network=none", "--read-only", IMAGE];
    assertMatch((await engine.docker(...alone, "--version")).out, /^scistream 0\./);
    assertMatch((await engine.docker(...alone, "help", "appctrl")).out, /Usage/);

    const { first, text } = portRange(20);
    await using echo = new EchoServer();
    const inside = new ContainerGateway(engine);
    await inside.certify();
    await inside.launch(0, `--port-range=${text}`);
    await using pair = Pair.of(inside, await Gateway.start());
    const stream = await pair.connect(echo.endpoint);
    assert(await echoes(stream.cons[0] as string, "through a container"));
    assert(listeningPorts({ first, text }).size > 0);
    // Its state is in the volume, for the next one.
    const listed = await engine.docker(
      ...["run", "--rm", "--volume=scistream-state:/state:ro", "--entrypoint=sh", IMAGE, "-c"],
      "cd /state && echo */*",
    );
    assertMatch(listed.out, /sessions\.db/);

    await servesAlone(engine, inside, echo.endpoint);

    await engine.docker("stop", "-t", "30", "s2cs");
    assertEquals((await inside.process.ended).code, 0);
    assertEquals(listeningPorts({ first, text }), new Set());
    await inside.launch(Endpoint.parse(inside.address).port, `--port-range=${text}`);
    assertEquals(await engine.containers(), ["s2cs"]);
  },
});

/** That a container holds one session by itself, and another takes its place. */
async function servesAlone(engine: Daemon, prod: Gateway, receiver: Endpoint): Promise<void> {
  const at = ["--remote_ip=127.0.0.1", `--receiver_ports=${receiver.port}`, "--num_conn=1"];
  const inbound = ["s2uc", "inbound-request", "--json", ...prod.flags, ...at];
  const made = assertOk(await scistream(inbound)).out.trim().split("\n").at(-1) as string;
  const { uid, listeners: [target] } = JSON.parse(made);
  const page = Deno.readTextFileSync(`${ROOT}docs/data-servers.md`);
  const [, json = ""] = /^```json\n([\s\S]*?)^```/m.exec(page) ?? [];
  const [, words = ""] = /^ +(docker run [\s\S]*?)\n\n/m.exec(page) ?? [];
  using folder = tempFolder();
  Deno.chmodSync(folder.path, 0o755);
  const listener = `127.0.0.1:${freePort()}`;
  const files = {
    "session.json": json.replace("192.168.30.10:5100", listener)
      .replace("192.168.20.10:5100", target).replace("192.168.30.0/24", "127.0.0.0/8"),
    secret: channelSecret(uid).toHex(),
  };
  for (const [name, text] of Object.entries(files)) {
    Deno.writeTextFileSync(`${folder.path}/${name}`, text);
    Deno.chownSync(`${folder.path}/${name}`, USER, USER);
    Deno.chmodSync(`${folder.path}/${name}`, 0o400);
  }
  // As the page has it, with folder of this test.
  const command = words.replaceAll("\\\n", " ").replaceAll('"', "").replaceAll("$PWD", folder.path)
    .trim().split(/\s+/).slice(1);
  const log = async (name: string) => (await engine.docker("logs", name)).out.split("\n");
  const listens = (name: string) =>
    eventually(`${name} listens`, async () => (await log(name))[0] === "listening");
  await engine.docker(...command);
  await listens("s2ds");
  using conn = await dial(listener);
  await roundTrip(conn, "before");
  await engine.docker(...command.join(" ").replace("--name s2ds", "--name next").split(" "));
  await listens("next");
  const stopping = engine.docker("stop", "-t", "60", "s2ds");
  await eventually("new connections are the next one's", async () => {
    assert(await echoes(listener, "after"));
    return (await log("next")).some((line) => numbersOf(line)?.channels[0]?.bytesToTarget);
  });
  await roundTrip(conn, "meanwhile");
  conn.close();
  await stopping;
  const { out } = await engine.docker("wait", "s2ds");
  assertEquals(out.trim(), "0");
  const last = (await log("s2ds")).map(numbersOf).findLast((told) => told)?.channels[0];
  assert(last && last.bytesToTarget >= "beforemeanwhile".length);
  assertEquals([last.bytesToTarget, last.connectionsOpen], [last.bytesFromTarget, 0]);
  assertEquals((await engine.docker("volume", "ls", "-q")).out.trim(), "scistream-state");
  await engine.docker("rm", "--force", "s2ds", "next");
}

/** As Docker names them. */
function range(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, i) => `${first + i}/tcp`);
}
