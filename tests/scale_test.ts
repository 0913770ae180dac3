import { assert, assertEquals } from "@std/assert";
import { grown } from "../scripts/scale/in_process.ts";
import { LABELS } from "../lib/s2ds/placed/swarm/spec.ts";
import { grownOverHttp, started, takenOver } from "../scripts/scale/over_http.ts";
import { SwarmEngine } from "../scripts/scale/swarm_engine.ts";
import { Users } from "../scripts/scale/users.ts";
import { gatewayNodes } from "../scripts/scale/world.ts";
import { assertOk, eventually, run, tempFolder } from "./harness.ts";

const CONFIG = new URL("../deno.json", import.meta.url).pathname;
const seed = 7;
const tell = () => {};

// Whatever must never be is looked for by scripts/scale/watched.ts and the simulated engines: they throw.
Deno.test("2,000 sessions on 100 nodes: each has ports and a rate of its own, nodes have alike, nothing is left", async () => {
  const { points, moved } = await grown({ nodes: 100, sizes: [500, 1000, 2000], seed, tell });
  assertEquals(points.map(({ sessions }) => sessions), [500, 1000, 2000]);
  assert(moved.sessions > 0);
});

Deno.test("the same over the Engine's API, with a node that is lost and a control server that is replaced", async () => {
  using folder = tempFolder();
  const { moved, callsEach, callsOfList } = await grownOverHttp({
    ...{ folder: folder.path, nodes: 20, sessions: 80, seed },
  });
  assert(moved.sessions > 0 && callsEach > 10, `${callsEach}`);
  // A list does not ask about every session.
  assert(callsOfList <= 2 * 64, `${callsOfList}`);
});

Deno.test("a service that somebody removes is the end of its session, and of no other", async () => {
  using folder = tempFolder();
  const socket = `${folder.path}/engine.sock`;
  await using engine = new SwarmEngine(gatewayNodes(3), socket);
  const control = await started(socket);
  await new Users(control, seed).grow(3);
  const { swarm } = engine;
  const [, second] = swarm.services();
  assert(second);
  swarm.remove(second);
  await eventually("it is gone", () => control.gateway.size === 2 && swarm.sizes.files === 2);
  const left = (await control.gateway.list()).map(({ session }) => session.uid.hash);
  assertEquals(
    new Set(left),
    new Set(swarm.services().map(({ Spec }) => Spec.Labels[LABELS.session])),
  );
  await control.gateway.close(0);
  await control.leave();
});

Deno.test("a Swarm with more services than one answer holds is taken over whole, and looked after", async () => {
  using folder = tempFolder();
  // Some two kilobytes each, and an answer is at most 16 MiB.
  const { cut } = await takenOver({ folder: folder.path, nodes: 20, kept: 9000, seed });
  assert(cut > 0);
});

Deno.test("deno task simulate, with its figures", async () => {
  using folder = tempFolder();
  const flags = ["--only", "sessions", "--nodes", "10", "--sessions", "100", "--json"];
  const task = [Deno.execPath(), "task", "--quiet", "--config", CONFIG, "simulate"];
  const { out } = assertOk(await run([...task, ...flags, "--svg", folder.path]));
  const [result] = JSON.parse(out).results;
  assertEquals([result.name, result.rows.length, result.goals.length], ["sessions", 1, 2]);
  const drawn = await Deno.readTextFile(`${folder.path}/scale-sessions.svg`);
  assert(drawn.includes("Placing a session, p50"));
});

Deno.test("deno task simulate --only with a name that is none", async () => {
  const ended = await run([
    ...[Deno.execPath(), "task", "--quiet", "--config", CONFIG, "simulate", "--only", "nothing"],
  ]);
  assertEquals([ended.code, ended.err], [2, "error: --only: there is no nothing\n"]);
});
