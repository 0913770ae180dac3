/**
 * New connections: how long until the first byte, and how many a second.
 * @module
 */
import { ratioGoal } from "./goals.ts";
import { ENCRYPTED, PLAIN } from "./kinds.ts";
import { DIRECT, openPaths, type Path } from "./paths.ts";
import { cpuSeconds, startEcho } from "./process.ts";
import { type Context, type Figure, inTurn, median, percentile, type Result } from "./result.ts";

const ROUNDS = 7;
/** One after another, each round. */
const CONNECTIONS = 100;
/** Of the second benchmark, each round; so many of them at once. */
const MANY = 1000;
const AT_ONCE = 64;

const PROXY = "haproxy default";
const TLS_PAIR = "stunnel pair, default";
const PATHS = [
  DIRECT,
  PLAIN,
  PROXY,
  "nginx default",
  "socat default",
  ENCRYPTED,
  TLS_PAIR,
  "stunnel pair, certificate",
];

/** A connection made, a byte there and back: one at a time, each path in turn, several rounds. */
export async function firstByte(context: Context): Promise<Result> {
  const { tell, rounds = ROUNDS } = context;
  await using stack = new AsyncDisposableStack();
  const { paths, leftOut } = await openEchoes(stack, context);
  const measured = paths.map((path) => ({ ...path, p50: [] as number[], p99: [] as number[] }));
  for (const { round, item: { name, port, p50, p99 } } of inTurn(measured, rounds)) {
    tell(`connect to first byte, round ${round} of ${rounds}: ${name}`);
    const samples: number[] = [];
    for (let i = 0; i < CONNECTIONS; i++) {
      const start = performance.now();
      await oneByte(port, () => samples.push((performance.now() - start) * 1000));
    }
    // The first round warms up.
    if (round === 0) continue;
    p50.push(percentile(samples, 50));
    p99.push(percentile(samples, 99));
  }
  const told = measured.map(({ name, p50, p99 }) => ({ name, p50: median(p50), p99: median(p99) }));
  const valueOf = (of: string) => told.find(({ name }) => name === of)?.p50;
  const measure = "connect to first byte, p50, µs";
  const figure: Figure = {
    title: "Connect to first byte, p50",
    unit: "µs",
    better: "less",
    bars: told.map(({ name, p50 }) => ({ name, value: p50 })),
    goals: [
      ratioGoal({ measure: `S2DS, ${measure}`, ours: PLAIN, theirs: PROXY, most: 1.2 }, valueOf),
      ratioGoal(
        { measure: `S2DS encrypted, ${measure}`, ours: ENCRYPTED, theirs: TLS_PAIR, most: 0.7 },
        valueOf,
      ),
    ],
  };
  return {
    name: "first-byte",
    title:
      `Connect, a byte there and back, medians of ${rounds} interleaved rounds of ${CONNECTIONS}`,
    columns: ["", "p50 µs", "p99 µs"],
    rows: told.map(({ name, p50, p99 }) => [name, p50, p99]),
    goals: figure.goals,
    figures: [figure],
    notes: leftOut,
  };
}

/** Connections a second, each used for a byte there and back, many at once. */
export async function connectionRate(context: Context): Promise<Result> {
  const { signal, tell, rounds = ROUNDS } = context;
  await using stack = new AsyncDisposableStack();
  const { paths, leftOut } = await openEchoes(stack, context);
  const measured = paths.map((path) => ({ ...path, rate: [] as number[], cpu: [] as number[] }));
  for (const { round, item: { name, port, pids, rate, cpu } } of inTurn(measured, rounds)) {
    tell(`connections a second, round ${round} of ${rounds}: ${name}`);
    const before = await cpuSeconds(await pids(), signal);
    const start = performance.now();
    await manyTimes(MANY, AT_ONCE, () => oneByte(port));
    const seconds = (performance.now() - start) / 1000;
    const used = await cpuSeconds(await pids(), signal) - before;
    // The first round warms up.
    if (round === 0) continue;
    rate.push(MANY / seconds);
    cpu.push(used / MANY * 1e6);
  }
  const told = measured.map(({ name, rate, cpu }) => ({
    name,
    rate: median(rate),
    cpu: median(cpu),
  }));
  const figure: Figure = {
    title: `New connections, ${AT_ONCE} at once`,
    unit: "connections/s",
    better: "more",
    bars: told.map(({ name, rate }) => ({ name, value: rate })),
    goals: [
      ratioGoal(
        { measure: "S2DS, new connections per second", ours: PLAIN, theirs: PROXY, least: 0.9 },
        (of) => told.find(({ name }) => name === of)?.rate,
      ),
    ],
  };
  return {
    name: "rate",
    title:
      `New connections, a byte there and back, ${AT_ONCE} at once, ${rounds} interleaved rounds of ${MANY}`,
    columns: ["", "per second", "CPU µs each"],
    rows: told.map(({ name, rate, cpu }) => [name, rate, name === DIRECT ? "" : cpu]),
    goals: figure.goals,
    figures: [figure],
    notes: leftOut,
  };
}

/** All ways to a server that echoes. */
async function openEchoes(
  stack: AsyncDisposableStack,
  context: Context,
): Promise<{ paths: Path[]; leftOut: string[] }> {
  return await openPaths(stack, PATHS, await startEcho(stack, context.signal), context);
}

/** A connection for a byte there and back; tells when it is back. */
async function oneByte(port: number, onByte?: () => void): Promise<void> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const byte = new Uint8Array(1);
  await conn.write(byte);
  if (await conn.read(byte) === null) throw new Error("the connection was closed");
  onByte?.();
}

/** Does something so many times, some of them at once. */
export async function manyTimes(
  count: number,
  atOnce: number,
  work: () => Promise<void>,
): Promise<void> {
  let left = count;
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (left-- > 0) await work();
  }));
}
