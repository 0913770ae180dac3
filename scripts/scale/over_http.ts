/**
 * The same over the Engine's API: a simulated Docker Engine on a Unix socket is asked by everything that
 * asks a real one. Both share a thread, so times are of the two together.
 * @module
 */
import { noLog } from "../../lib/log.ts";
import { PortRange } from "../../lib/protocol/values.ts";
import { haproxy } from "../../lib/s2ds/haproxy.ts";
import { proxyProgram } from "../../lib/s2ds/placed/proxy_program.ts";
import { serviceSpec } from "../../lib/s2ds/placed/swarm/spec.ts";
import { SwarmOrchestrator } from "../../lib/s2ds/placed/swarm/swarm.ts";
import { percentile, type Result, short } from "../bench/result.ts";
import { Control, LIMITS } from "./control.ts";
import { Fleet } from "./fleet.ts";
import { SwarmEngine } from "./swarm_engine.ts";
import { processorTime, worked } from "./processor.ts";
import { Users } from "./users.ts";
import { Broken } from "./watched.ts";
import { gatewayNodes, PORTS } from "./world.ts";

/** Whose the services are. */
const NAME = "simulated";

/** What a simulation over HTTP is told. */
export interface SimulatedOverHttp {
  /** For the socket. */
  folder: string;
  nodes: number;
  /** That are made, changed and released one after the other. */
  sessions: number;
  /** That are there already, and are taken over. */
  kept: number;
  seed: number;
  tell: (what: string) => void;
}

/** What was seen, in milliseconds; of `list`, `reconcile` and `moved`, the processor's. */
export interface SeenOverHttp {
  req: number[];
  update: number[];
  release: number[];
  status: number[];
  list: number;
  reconcile: number;
  /** Calls of the Engine, for each session from its request to its release. */
  callsEach: number;
  /** Calls of the Engine for a list of all. */
  callsOfList: number;
  moved: { sessions: number; ms: number };
}

/**
 * Sessions come and go, a node is lost, the control server is replaced, and all are released.
 * @throws {Broken} if anything is so that must not be
 */
export async function grownOverHttp(
  { folder, nodes, sessions, seed }: Omit<SimulatedOverHttp, "kept" | "tell">,
): Promise<SeenOverHttp> {
  const socket = `${folder}/engine.sock`;
  await using engine = new SwarmEngine(gatewayNodes(nodes), socket);
  const users = new Users(await started(socket), seed);
  await users.grow(sessions);
  const callsBefore = engine.callCount;
  const status = await users.statuses(20);
  const callsBeforeList = engine.callCount;
  const list = await worked(() => users.control.gateway.list());
  const callsOfList = engine.callCount - callsBeforeList;
  const reconcile = await worked(() => users.control.reconcile());
  await users.assertWhole();
  users.control.placement.assertEven();
  const moved = await loseOne(engine, users.control);
  await users.assertWhole();
  await users.control.leave();
  users.control = await started(socket);
  await users.assertWhole();
  const callsThen = engine.callCount;
  const made = users.timed.req.length;
  await users.releaseAll();
  users.control.placement.assertFree();
  const callsEach = (callsBefore + engine.callCount - callsThen) / made;
  const { services, files } = engine.swarm.sizes;
  if (services + files > 0) throw new Broken(`${services} services and ${files} files are left`);
  await users.control.leave();
  const { req, update, release } = users.timed;
  return {
    ...{ req, update, release, status, callsEach, callsOfList, moved, list, reconcile },
  };
}

/** Many sessions are there, which were placed as they are placed, and a control server takes them over. */
export async function takenOver(
  { folder, nodes, kept, seed }: Omit<SimulatedOverHttp, "sessions" | "tell">,
) {
  const socket = `${folder}/engine.sock`;
  await using engine = new SwarmEngine(gatewayNodes(nodes), socket);
  const users = await filled(engine, { nodes, kept, seed });
  const control = users.control = await started(socket);
  const list = await worked(() => control.gateway.list());
  const reconcile = await worked(() => control.reconcile());
  await users.assertWhole();
  const more = new Users(control, seed + 1);
  await more.grow(9);
  const moved = await loseOne(engine, control);
  await control.leave();
  return {
    ...control.took,
    cut: engine.cutCount,
    ...{ list, reconcile },
    req: percentile(more.timed.req, 50),
    moved,
  };
}

/** Has an engine hold the services of so many sessions. */
async function filled(
  engine: SwarmEngine,
  { nodes, kept, seed }: { nodes: number; kept: number; seed: number },
): Promise<Users> {
  const fleet = new Fleet(gatewayNodes(nodes), PortRange.parse(PORTS));
  const users = new Users(await Control.start((events) => fleet.orchestrator(events), noLog), seed);
  await users.grow(kept);
  const making = {
    swarm: NAME,
    program: proxyProgram(haproxy),
    image: haproxy.image,
    limits: LIMITS,
    drainMs: 0,
  };
  for (const placed of fleet.placed()) {
    const config = { id: "config", name: "config", path: placed.config.path };
    engine.swarm.create(
      serviceSpec(placed, engine.swarm.node(placed.node).ID, { config, secrets: [] }, making),
    );
  }
  await users.control.leave();
  return users;
}

/** A control server of this engine. */
export function started(socket: string): Promise<Control> {
  const host = { kind: "unix", path: socket } as const;
  return Control.start((events) => new SwarmOrchestrator({ host, name: NAME }, events), noLog);
}

async function loseOne(engine: SwarmEngine, control: Control) {
  const node = "n0001";
  const sessions = control.placement.sessionsOn(node);
  const busy = processorTime();
  engine.swarm.setDown(node, true);
  await control.emptied(node);
  const ms = busy();
  engine.swarm.setDown(node, false);
  return { sessions, ms };
}

/** What the control server and its engine have to say to one another. */
export async function overHttp(told: SimulatedOverHttp): Promise<Result> {
  const { nodes, sessions, kept, tell } = told;
  tell(`${nodes} nodes, ${sessions} sessions, over HTTP`);
  const few = await grownOverHttp(told);
  tell(`${nodes} nodes, ${kept} sessions that are there, over HTTP`);
  const many = await takenOver(told);
  const p50 = (times: readonly number[]) => `${short(percentile(times, 50))} ms`;
  const ms = (time: number) => `${short(time)} ms`;
  const moved = ({ sessions, ms: time }: SeenOverHttp["moved"]) => `${sessions} in ${ms(time)}`;
  return {
    name: "http",
    title: `Over the Engine's API, ${nodes} nodes, a simulated engine`,
    columns: ["", `${sessions} sessions`, `${kept} sessions`],
    rows: [
      ["request, p50", p50(few.req), ms(many.req)],
      ["update, p50", p50(few.update), ""],
      ["release, p50", p50(few.release), ""],
      ["status of one, p50", p50(few.status), ""],
      ["calls for a session's whole life", few.callsEach.toFixed(0), ""],
      ["calls for a list of all", few.callsOfList.toFixed(0), ""],
      ["list, CPU", ms(few.list), ms(many.list)],
      ["looking after all once, CPU", ms(few.reconcile), ms(many.reconcile)],
      ["a lost node's sessions moved, CPU", moved(few.moved), moved(many.moved)],
      ["taking over, CPU: to read what runs", "", ms(many.found)],
      ["to take it up", "", ms(many.restore)],
      ["to hold it", "", ms(many.start)],
    ],
    goals: [],
  };
}
