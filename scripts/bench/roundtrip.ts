/**
 * How long a byte takes there and back.
 * @module
 */
import { openPaths } from "./paths.ts";
import { startEcho } from "./process.ts";
import { type Context, percentile, type Result } from "./result.ts";

const ROUNDS = 10;
const TRIPS = 500;

/** One byte at a time over one connection each, each path in turn, several rounds. */
export async function roundTrips(context: Context): Promise<Result> {
  const { signal, tell } = context;
  await using stack = new AsyncDisposableStack();
  const target = await startEcho(stack, signal);
  const { paths, leftOut } = await openPaths(stack, target, context);
  const measured: { name: string; conn: Deno.Conn; samples: number[] }[] = [];
  for (const { name, port } of paths) {
    const conn = stack.use(await Deno.connect({ hostname: "127.0.0.1", port }));
    conn.setNoDelay();
    measured.push({ name, conn, samples: [] });
  }
  for (let round = 0; round <= ROUNDS; round++) {
    tell(`round trips, round ${round} of ${ROUNDS}`);
    for (const { conn, samples } of measured) {
      const taken = await trips(conn, TRIPS);
      // The first round warms up.
      if (round > 0) samples.push(...taken);
    }
  }
  const p50 = measured.map(({ samples }) => percentile(samples, 50));
  return {
    name: "roundtrip",
    title: `Round trip of a byte, one connection each, ${ROUNDS} interleaved rounds of ${TRIPS}`,
    columns: ["", "p50 µs", "p99 µs", "p50 over direct"],
    rows: measured.map(({ name, samples }, i) => [
      name,
      micro(p50[i]),
      micro(percentile(samples, 99)),
      i === 0 ? "" : `+${micro((p50[i] ?? NaN) - (p50[0] ?? NaN))}`,
    ]),
    goals: [],
    notes: leftOut,
  };
}

/** Milliseconds of each. */
async function trips(conn: Deno.Conn, count: number): Promise<number[]> {
  const samples: number[] = [];
  const byte = new Uint8Array(1);
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await conn.write(byte);
    if (await conn.read(byte) === null) throw new Error("the connection was closed");
    samples.push(performance.now() - start);
  }
  return samples;
}

function micro(ms = NaN): string {
  return (ms * 1000).toFixed(0);
}
