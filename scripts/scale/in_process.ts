/**
 * How a control server's cost grows with sessions and with nodes: everything of it is real, but for the
 * engine, which is a book in this process and answers at once.
 * @module
 */
import { noLog } from "../../lib/log.ts";
import { PortRange } from "../../lib/protocol/values.ts";
import { atMost } from "../bench/goals.ts";
import { type Figure, percentile, type Result, short } from "../bench/result.ts";
import { Control } from "./control.ts";
import { Fleet } from "./fleet.ts";
import { processorTime, worked } from "./processor.ts";
import { Users } from "./users.ts";
import { Broken } from "./watched.ts";
import { gatewayNodes, PORTS } from "./world.ts";

/** Calls whose times are taken together: the latest of each kind. */
const LATEST = 1000;
const STATUSES = 200;
/** Milliseconds: what was asked of placing a session at a thousand nodes. */
const MOST_MS = 10;

/** What a simulation is told. */
export interface Simulated {
  nodes: number;
  /** Where it stops to look, ascending. */
  sizes: readonly number[];
  seed: number;
  tell: (what: string) => void;
}

/** How it was at one size. Times are in milliseconds; of `list`, the processor's. */
export interface Point {
  nodes: number;
  sessions: number;
  take: number[];
  req: number[];
  update: number[];
  release: number[];
  status: number[];
  list: number;
  /** Bytes of the heap, with the simulation's own books. */
  heap: number;
  /** What the node with the least has of what the one with the most has, of those of 100 Gbit/s. */
  even: number;
}

/** A gateway that has grown. */
export interface Grown {
  points: Point[];
  /** The sessions of the node that was lost last, and until they were on others. */
  moved: { sessions: number; ms: number };
  /** By the control server that took over all of them. */
  takenOver: Control["took"];
}

/**
 * Lets sessions come and go until there are as many as wanted, loses a node between any two sizes,
 * replaces the control server at the end, and releases all.
 * @throws {Broken} if anything is so that must not be
 */
export async function grown({ nodes, sizes, seed, tell }: Simulated): Promise<Grown> {
  const fleet = new Fleet(gatewayNodes(nodes), PortRange.parse(PORTS));
  const start = () => Control.start((events) => fleet.orchestrator(events), noLog);
  const users = new Users(await start(), seed);
  const points: Point[] = [];
  let moved = { sessions: 0, ms: 0 };
  for (const [i, sessions] of sizes.entries()) {
    tell(`${nodes} nodes, ${sessions} sessions`);
    await users.grow(sessions);
    points.push(await look(users, nodes));
    await users.assertWhole();
    moved = await loseOne(fleet, users.control, i);
    await users.assertWhole();
  }
  await users.control.leave();
  users.control = await start();
  await users.assertWhole();
  await users.releaseAll();
  users.control.placement.assertFree();
  const { gateway, took } = users.control;
  if (fleet.size + gateway.size > 0) throw new Broken(`${fleet.size} sessions still run`);
  await users.control.leave();
  return { points, moved, takenOver: took };
}

async function look(users: Users, nodes: number): Promise<Point> {
  const { gateway, placement } = users.control;
  const { req, update, release } = users.timed;
  const list = await worked(() => gateway.list());
  const status = await users.statuses(STATUSES);
  // There where V8 was told to expose it: what is left is what is needed.
  (globalThis as { gc?: () => void }).gc?.();
  return {
    nodes,
    sessions: users.size,
    take: placement.takes.slice(-LATEST),
    req: req.slice(-LATEST),
    update: update.slice(-LATEST),
    release: release.slice(-LATEST),
    status,
    list,
    heap: Deno.memoryUsage().heapUsed,
    even: placement.assertEven(),
  };
}

async function loseOne(fleet: Fleet, control: Control, i: number) {
  const node = fleet.nodes[(7 * i) % fleet.nodes.length];
  if (!node) throw new Broken("no node is left");
  const sessions = control.placement.sessionsOn(node.name);
  const busy = processorTime();
  fleet.lose(node);
  await control.emptied(node.name);
  const ms = busy();
  fleet.recover(node);
  return { sessions, ms };
}

/** Grows with sessions at one number of nodes. */
export async function bySessions(told: Simulated): Promise<Result> {
  const { points, moved, takenOver: { found, restore, start } } = await grown(told);
  const title = `${told.nodes} nodes, an engine that answers at once`;
  const last = points.at(-1)?.sessions ?? 0;
  return {
    name: "sessions",
    title: `Growth with sessions: ${title}`,
    ...table(points, "sessions", ({ sessions }) => sessions),
    goals: points.slice(-1).flatMap(({ take, req }) => [
      atMost(`placing a session, ${told.nodes} nodes, p50`, percentile(take, 50), MOST_MS, "ms"),
      atMost(`a whole request, ${told.nodes} nodes, p50`, percentile(req, 50), MOST_MS, "ms"),
    ]),
    figures: figures(points, ({ sessions }) => `${sessions.toLocaleString("en")} sessions`),
    notes: [
      `a node was lost at ${last}: its ${moved.sessions} sessions were moved to others in ${
        short(moved.ms)
      } ms of the processor`,
      `another control server took over ${last} in ${
        short(found + restore + start)
      } ms of the processor: ${short(found)} to read what runs, ${short(restore)} to take it up, ${
        short(start)
      } to hold it`,
    ],
  };
}

/** Grows with nodes at one number of sessions. */
export async function byNodes(
  { counts, sessions, ...told }:
    & { counts: readonly number[]; sessions: number }
    & Omit<
      Simulated,
      "nodes" | "sizes"
    >,
): Promise<Result> {
  const points: Point[] = [];
  for (const nodes of counts) {
    points.push(...(await grown({ ...told, nodes, sizes: [sessions] })).points);
  }
  return {
    name: "nodes",
    title: `Growth with nodes: ${sessions} sessions, an engine that answers at once`,
    ...table(points, "nodes", ({ nodes }) => nodes),
    goals: [],
    figures: figures(points, ({ nodes }) => `${nodes.toLocaleString("en")} nodes`).slice(0, 4),
  };
}

function table(points: readonly Point[], first: string, of: (point: Point) => number) {
  return {
    columns: [
      first,
      ...["place p50 µs", "p99", "req p50 µs", "p99", "update µs", "release µs", "status µs"],
      ...["list CPU ms", "heap MB", "least/most"],
    ],
    rows: points.map((point) => {
      const { take, req, update, release, status, list, heap, even } = point;
      const micros = (times: readonly number[], percent = 50) => percentile(times, percent) * 1000;
      return [
        String(of(point)),
        ...[micros(take), micros(take, 99), micros(req), micros(req, 99)],
        ...[micros(update), micros(release), micros(status), list, heap / 1e6, even],
      ];
    }),
  };
}

function figures(points: readonly Point[], nameOf: (point: Point) => string): Figure[] {
  const figure = (title: string, unit: string, of: (point: Point) => number): Figure => ({
    ...{ title, unit, better: "less", goals: [] },
    bars: points.map((point) => ({ name: nameOf(point), value: of(point) })),
  });
  return [
    figure("Placing a session, p50", "µs", ({ take }) => percentile(take, 50) * 1000),
    figure("Placing a session, p99", "µs", ({ take }) => percentile(take, 99) * 1000),
    figure("A whole request, p50", "µs", ({ req }) => percentile(req, 50) * 1000),
    figure("A whole request, p99", "µs", ({ req }) => percentile(req, 99) * 1000),
    figure("Heap, with the simulation's books", "MB", ({ heap }) => heap / 1e6),
    figure("Listing all", "CPU ms", ({ list }) => list),
  ];
}
