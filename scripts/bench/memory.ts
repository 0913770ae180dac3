/**
 * What connections that say nothing hold.
 * @module
 */
import { manyTimes } from "./connections.ts";
import { atMost } from "./goals.ts";
import { ENCRYPTED, PLAIN, whichHere } from "./kinds.ts";
import { openPath } from "./paths.ts";
import { residentMegabytes, startEcho } from "./process.ts";
import { type Context, type Figure, inTurn, median, type Result } from "./result.ts";

const ROUNDS = 5;
const CONNECTIONS = 1000;
const AT_ONCE = 50;
/** Idle for so long, in milliseconds, before memory is looked at. */
const IDLE_MS = 500;
const MOST_MEGABYTES = 60;
const PATHS = [
  PLAIN,
  "haproxy default",
  "haproxy 1 MiB",
  "nginx default",
  "nginx 1 MiB",
  ENCRYPTED,
  "stunnel pair, default",
];

/** Resident memory, of all processes together, without connections and with many; each time anew. */
export async function idleMemory(context: Context): Promise<Result> {
  const { signal, tell, rounds = ROUNDS } = context;
  const { here, leftOut } = await whichHere(PATHS, signal);
  const measured = here.map((name) => ({ name, none: [] as number[], more: [] as number[] }));
  // Nothing has to warm up: each round has processes of its own.
  for (const { round, item: { name, none, more } } of inTurn(measured, rounds - 1)) {
    tell(`${CONNECTIONS} idle connections, round ${round + 1} of ${rounds}: ${name}`);
    const { before, after } = await measure(name, context);
    none.push(before);
    more.push(after - before);
  }
  const told = measured.map(({ name, none, more }) => ({
    name,
    none: median(none),
    more: median(more),
  }));
  const ours = told.find(({ name }) => name === PLAIN)?.more;
  const figure: Figure = {
    title: `Memory for ${CONNECTIONS} idle connections`,
    unit: "MB",
    better: "less",
    bars: told.map(({ name, more }) => ({ name, value: more })),
    goals: [
      atMost(
        `S2DS, resident memory for ${CONNECTIONS} idle connections`,
        ours,
        MOST_MEGABYTES,
        "MB",
      ),
    ],
  };
  return {
    name: "memory",
    title:
      `Resident memory of all processes, ${CONNECTIONS} connections idle after a byte there and back, ${rounds} interleaved rounds`,
    columns: ["", "without MB", "with, more MB"],
    rows: told.map(({ name, none, more }) => [name, none, more]),
    goals: figure.goals,
    figures: [figure],
    notes: leftOut,
  };
}

/** Megabytes (10^6 bytes) before the connections and with them. */
async function measure(
  name: string,
  context: Context,
): Promise<{ before: number; after: number }> {
  const { signal } = context;
  await using stack = new AsyncDisposableStack();
  const target = await startEcho(stack, signal);
  const { port, pids } = await openPath(stack, name, target, context);
  const before = await residentMegabytes(await pids(), signal);
  const conns: Deno.Conn[] = [];
  stack.defer(() => conns.forEach((conn) => conn.close()));
  await manyTimes(CONNECTIONS, AT_ONCE, async () => {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    conns.push(conn);
    const byte = new Uint8Array(1);
    await conn.write(byte);
    if (await conn.read(byte) === null) throw new Error("the connection was closed");
  });
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  return { before, after: await residentMegabytes(await pids(), signal) };
}
