/**
 * How long a byte takes there and back.
 * @module
 */
import { ratioGoal } from "./goals.ts";
import { KINDS, PLAIN } from "./kinds.ts";
import { DIRECT, openPaths } from "./paths.ts";
import { PEERS } from "./peers.ts";
import { startEcho } from "./process.ts";
import {
  type Context,
  type Figure,
  inTurn,
  median,
  percentile,
  type Result,
  short,
} from "./result.ts";

const ROUNDS = 20;
const TRIPS = 500;
const PEER = "haproxy default";
/** Over that peer's. */
const MOST = 1.1;
/** Of the figures. */
const DRAWN = /^(direct|S2DS.*|haproxy.*|nginx.*|socat.*|stunnel pair, default)$/;

/** A path's connection, and of each round these percentiles in microseconds. */
interface Measured {
  name: string;
  conn: Deno.Conn;
  p50: number[];
  p99: number[];
}

/** One byte at a time over one connection each, each path in turn, several rounds. */
export async function roundTrips(context: Context): Promise<Result> {
  const { signal, tell, rounds = ROUNDS } = context;
  await using stack = new AsyncDisposableStack();
  const target = await startEcho(stack, signal);
  const names = [DIRECT, ...Object.keys(KINDS), ...Object.keys(PEERS)];
  const { paths, leftOut } = await openPaths(stack, names, target, context);
  const measured: Measured[] = [];
  for (const { name, port } of paths) {
    const conn = stack.use(await Deno.connect({ hostname: "127.0.0.1", port }));
    conn.setNoDelay();
    measured.push({ name, conn, p50: [], p99: [] });
  }
  for (const { round, item: { name, conn, p50, p99 } } of inTurn(measured, rounds)) {
    tell(`round trips, round ${round} of ${rounds}: ${name}`);
    const samples = await trips(conn, TRIPS);
    // The first round warms up.
    if (round === 0) continue;
    p50.push(percentile(samples, 50));
    p99.push(percentile(samples, 99));
  }
  const told = measured.map(({ name, p50, p99 }) => ({ name, p50: median(p50), p99: median(p99) }));
  const straight = told[0]?.p50 ?? NaN;
  const figures = (["p50", "p99"] as const).map((key): Figure => {
    const valueOf = (name: string) => told.find((each) => each.name === name)?.[key];
    const measure = `S2DS, round trip of a byte, ${key}, µs`;
    return {
      title: `Round trip of a byte, ${key}`,
      unit: "µs",
      better: "less",
      bars: told.filter(({ name }) => DRAWN.test(name)).map((each) => ({
        name: each.name,
        value: each[key],
      })),
      goals: [ratioGoal({ measure, ours: PLAIN, theirs: PEER, most: MOST }, valueOf)],
    };
  });
  return {
    name: "roundtrip",
    title:
      `Round trip of a byte, one connection each, medians of ${rounds} interleaved rounds of ${TRIPS}`,
    columns: ["", "p50 µs", "p99 µs", "p50 over direct"],
    rows: told.map(({ name, p50, p99 }) => [
      name,
      p50,
      p99,
      name === DIRECT ? "" : short(p50 - straight),
    ]),
    goals: figures.flatMap(({ goals }) => goals),
    figures,
    notes: leftOut,
  };
}

/** Microseconds of each. */
async function trips(conn: Deno.Conn, count: number): Promise<number[]> {
  const samples: number[] = [];
  const byte = new Uint8Array(1);
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await conn.write(byte);
    if (await conn.read(byte) === null) throw new Error("the connection was closed");
    samples.push((performance.now() - start) * 1000);
  }
  return samples;
}
