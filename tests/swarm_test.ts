// What the tests' own Swarm leaves on the machine: nothing.
import { assert, assertEquals } from "@std/assert";
import { whyNoEngine } from "./engine.ts";
import { assertOk, leftOutIf, processes, run, Running } from "./harness.ts";
import { SwarmOfThree } from "./swarm.ts";
import { asked, config, running, spec } from "./swarm_services.ts";
import { namespaces, PREFIX, unavailable } from "./topology.ts";

const { ignore, because } = leftOutIf(whyNoEngine() ?? unavailable());

/** What is on the machine of a Swarm: processes, mounts, folders and namespaces. */
async function traces(folders: string[], prefix: string): Promise<string[]> {
  const mounts = Deno.readTextFileSync("/proc/self/mounts").split("\n");
  const { out } = assertOk(await run(["ip", "netns", "list"]));
  return [
    ...processes().map(({ args }) => args).filter((args) => folders.some((f) => args.includes(f))),
    ...mounts.filter((mount) => folders.some((folder) => mount.includes(folder))),
    ...folders.filter((folder) => {
      try {
        return Deno.statSync(folder).isDirectory;
      } catch {
        return false;
      }
    }),
    ...out.split("\n").filter((name) => name.startsWith(prefix)),
    ...[...Deno.readDirSync(Deno.env.get("TMPDIR") || "/tmp")].map(({ name }) => name)
      .filter((name) => name.startsWith(`${prefix}swarm-`)),
  ];
}

Deno.test({
  name: `swarm: disposal leaves nothing, whatever its state${because}`,
  ignore,
  async fn() {
    const cluster = await SwarmOfThree.start();
    const folders = cluster.nodes.map(({ engine }) => engine.folder);
    try {
      const { managers: [swarm], image } = await asked(cluster);
      const id = await swarm.createConfig("one", {}, config(7001));
      for (const node of cluster.nodes) {
        await swarm.createService(spec(`on-${node.name}`, image, node, [id, "one"]));
        await running(swarm, `on-${node.name}`);
      }
      // Only the process: its container runs on, and is swept away.
      await cluster.node("gw2").engine.stop("SIGKILL");
      await cluster.node("gw2").host.listening(7001);
      await cluster.crash("gw3");
      assertEquals(await cluster.node("gw3").host.pids(), []);
      assert((await traces(folders, `${PREFIX}-`)).length > 12);
    } finally {
      await cluster[Symbol.asyncDispose]();
    }
    assertEquals(await traces(folders, `${PREFIX}-`), []);
  },
});

Deno.test({
  name: `swarm: what a killed test process left goes at the next start${because}`,
  ignore,
  async fn() {
    const program = `import { SwarmOfThree } from "${import.meta.resolve("./swarm.ts")}";
    const swarm = await SwarmOfThree.start();
    const run = ["--network=host", "--detach", "--name=sleeper", "stunnel", "stunnel"];
    await swarm.nodes[1].engine.docker("service", "create", ...run);
    console.log("made", swarm.nodes.map(({ engine }) => engine.folder).join(" "), ".");`;
    const options = new URL("../deno.json", import.meta.url).pathname;
    const killed = new Running([Deno.execPath(), "run", "-A", "--config", options, "-"], {
      stdin: program,
    });
    const [, folders = ""] = await killed.line(/made (.*) \./);
    await killed.stop("SIGKILL");
    const prefix = `scistream-${killed.child.pid}-`;
    const left = () => traces(folders.split(" "), prefix);
    assert((await left()).length > 12);
    {
      await using _cluster = await SwarmOfThree.start();
      assertEquals(await left(), []);
    }
    assertEquals(await namespaces(), []);
  },
});
