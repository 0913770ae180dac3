/**
 * docs/scale.md, command for command, on real Docker Engines that become a Swarm as the page says.
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import { type Engine, whyNoEngine } from "./engine.ts";
import { assertOk, eventually, leftOutIf } from "./harness.ts";
import { BLOCKS, Machines, SCALE } from "./scale_machines.ts";
import { GATEWAYS } from "./swarm_network.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const { ignore, because } = leftOutIf(whyNoEngine());

/** An address's metrics, as somebody on that machine reads them. */
async function metrics(machines: Machines, on: string): Promise<string> {
  const { out } = await machines.type(on, "curl --silent http://127.0.0.1:5080/metrics").ended;
  return out;
}

/** The dashboard's page of all sessions, and that of one. */
async function pages(machines: Machines, on: string): Promise<string[]> {
  const get = async (path: string) =>
    (await machines.type(on, `curl --silent http://127.0.0.1:5080${path}`).ended).out;
  const overview = await get("/");
  return [overview, await get(/\/sessions\/[0-9a-f]{8}/.exec(overview)?.[0] ?? "")];
}

/** The rows of docs/metrics.md about nodes, as `name type labels`. */
function nodeMetrics(): string[] {
  const page = Deno.readTextFileSync(`${ROOT}docs/metrics.md`);
  const section = /^### Nodes$[^]*?(?=^### )/m.exec(page)?.[0] ?? "";
  return [...section.matchAll(/^\| `(\w+)` +\| (\w+) +\| ([^|]*?) *\|/gm)]
    .map(([, name, type, labels]) => `${name} ${type} ${labels?.replaceAll(/[` ]/g, "")}`).sort();
}

/** What a scrape tells of nodes, likewise. */
function toldOfNodes(scrape: string): string[] {
  const names = [...scrape.matchAll(/^# TYPE (scistream_nodes?(?:_\w+)?) (\w+)$/gm)];
  return names.map(([, name, type]) => {
    const [, labels = ""] = new RegExp(`^${name}\\{(.*)\\} `, "m").exec(scrape) ?? [];
    return `${name} ${type} ${[...labels.matchAll(/(\w+)="/g)].map(([, key]) => key).join()}`;
  }).sort();
}

Deno.test({
  name: `docs/scale.md: three machines become a gateway, and lose and win nodes${because}`,
  ignore,
  async fn() {
    await using at = await Machines.start(GATEWAYS, (on) => on !== "service");
    at.known.set("scripts/images.sh", `${ROOT}scripts/images.sh`);
    at.known.set("TOKEN", (await at.run("gw1")).trim().split("\n").at(-1) ?? "");
    await at.run("gw2");
    await at.run("gw3");
    await at.run("gw1");
    at.copy("haproxy.tar", "gw1", "gw2", "gw3");
    await at.run("gw2");
    await at.run("gw3");
    await at.run("gw1");

    const first = await at.serve("gw1");
    assertMatch(at.printed, /^ok +swarm +a manager; 3 nodes, 3 managers$/m);
    const gateways = /^ok +gateways +3 nodes: gw1 \(wan 10\.91\.0\.1, lan 10\.92\.0\.1\), gw2 .*/m;
    assertMatch(at.printed, gateways);
    assertMatch(at.printed, /gw3 \(wan 10\.91\.0\.3, lan 10\.92\.0\.3, 1250000 kB\/s\)/);
    at.add("elsewhere", "consumer");
    await at.serve("elsewhere");
    const user = at.add("user", "gw3");
    const certificates = ["gw1", "elsewhere"].map((name) => `${at.host(name).folder}/server.crt`);
    Deno.writeTextFileSync(
      `${user.folder}/server.crt`,
      certificates.map((path) => Deno.readTextFileSync(path)).join(""),
    );
    at.hosts.set("producer", at.network.host("producer"));
    at.hosts.set("consumer", at.network.host("consumer"));
    at.use(at.type("producer", "exec socat TCP-LISTEN:6001,fork,reuseaddr EXEC:cat"));
    await at.host("producer").listening(6001);

    const connected = await at.run("user");
    at.expect();
    at.known.set("UID", /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(connected)?.[0] ?? "");
    const kept = await at.type(
      "gw1",
      "docker service inspect $(docker service ls -q); docker config inspect --pretty $(docker config ls -q)",
    ).ended;
    assertMatch(kept.out, /"org\.scistream\.record": .*10\.92\.0\.10:6001/);
    assertMatch(kept.out, /server target 10\.92\.0\.10:6001/);
    assertEquals(kept.out.includes(at.known.get("UID") as string), false, "a uid is a secret");
    const [, listener = ""] = /(10\.91\.0\.10:\d+)/.exec(connected) ?? [];
    const stream = async () => {
      const { out } = await at.type("consumer", `echo hello | socat - TCP:${listener}`).ended;
      return out;
    };
    assertEquals(await stream(), "hello\n");
    assertEquals(toldOfNodes(await metrics(at, "gw1")), nodeMetrics());
    const [overview = "", one = ""] = await pages(at, "gw1");
    assertMatch(overview, /<th [^>]*data-key="node"[^>]*>.*<td [^>]*>gw1<\/td>/s);
    assertMatch(one, /10\.91\.0\.1:5100 on gw1, made /);

    await at.run("gw1");
    await eventually(
      "gw1 takes no sessions",
      async () => /^scistream_nodes 2$/m.test(await metrics(at, "gw1")),
    );
    assertMatch(await metrics(at, "gw1"), /^scistream_node_sessions\{node="gw1"\} 1$/m);
    assertEquals(await stream(), "hello\n", "what is there goes on");
    await at.run("gw1");
    await first.line(/moved from node gw1 to gw2, because node gw1 is being drained/);
    assertEquals(/streaming: recovered; before/.test(first.out), false, "not before it is moved");
    await at.run("user");
    at.expect();
    await at.run("user");
    assertEquals(await stream(), "hello\n");
    assertMatch(await metrics(at, "gw1"), /^scistream_node_ports\{node="gw2",state="used"\} 1$/m);
    await at.run("gw1");

    await first.stop("SIGKILL");
    for (const file of ["server.crt", "server.key"]) at.copy(file, "gw1", "gw2");
    await at.serve("gw2");
    await at.run("user");
    assertMatch(at.printed, / PROD +streaming +Haproxy +gw2 \(moved\) /);
    const { out } = await at.type("gw1", "docker service ls --quiet; docker config ls --quiet")
      .ended;
    assertEquals(out, "", "nothing is left in the Swarm");
    at.assertDone();
  },
});

Deno.test({
  name: `docs/scale.md: a Swarm runs s2cs, and sessions outlive its restarts${because}`,
  ignore,
  async fn() {
    await using at = await Machines.start(["gw1"], (on) => on === "service");
    at.hosts.set("service", at.host("gw1"));
    const engine = at.engines.get("gw1") as Engine;
    at.engines.set("service", engine);
    at.known.set("/var/run/docker.sock,", `${engine.socket},`);
    at.known.set(" /var/run/docker.sock)", ` ${engine.socket})`);
    const node = ["wan=10.91.0.1", "lan=10.92.0.1"].map((label) =>
      `--label-add org.scistream.${label}`
    );
    // What docs/troubleshooting.md says of it.
    const noManager = await at.type("gw1", "s2cs --type Haproxy --engine swarm --ssl=False").ended;
    assertMatch(noManager.out, /this Docker Engine is no manager of a Swarm \(it is inactive\)/);
    assertEquals(noManager.code, 3);
    const made = await at.type(
      "gw1",
      [
        "docker swarm init --advertise-addr 10.92.0.1",
        `docker node update ${node.join(" ")} gw1`,
        `${ROOT}scripts/images.sh haproxy`,
        `${ROOT}scripts/image.sh`,
        "scistream cert --ip 10.92.0.1",
      ].join("\n"),
    ).ended;
    assertEquals(made.code, 0, made.out);
    await at.run("service");
    // Until it serves, nobody answers.
    const listed = async () => (await at.host("gw1").run("s2uc list --s2cs 10.92.0.1:5007")).out;
    await eventually("it serves", async () => await listed() === "no sessions\n");
    const asked = assertOk(
      await at.host("gw1").run(
        "s2uc inbound-request --s2cs 10.92.0.1:5007 --remote_ip 10.92.0.10 --receiver_ports 6001",
      ),
    );
    const [uid = ""] = /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(asked.out) ?? [];
    await at.run("service");
    await eventually(
      "it serves again",
      async () => / streaming +Haproxy +gw1 /.test(await listed()),
    );
    assertOk(await at.host("gw1").run(`s2uc release ${uid} --s2cs 10.92.0.1:5007`));
    await engine.docker("node", "update", "--availability", "pause", "gw1");
    await eventually("it takes no more", async () => {
      const { err } = await at.host("gw1").run("s2uc inbound-request --s2cs 10.92.0.1:5007");
      return /NO_RESOURCE\] no node takes sessions now/.test(err);
    });
    const { out } = await engine.docker("service", "ls", "--format", "{{.Name}}");
    assertEquals(out, "s2cs\n", "nothing else is left in the Swarm");
    at.assertDone();
  },
});

Deno.test("docs/scale.md: every block is for a machine that runs it", () => {
  const known = [...GATEWAYS, "elsewhere", "user", "service", "text"];
  assertEquals(BLOCKS.filter(({ on }) => !known.includes(on)), []);
  assertEquals(BLOCKS.length, SCALE.match(/^```\w/gm)?.length);
});
