/**
 * How long each data server type takes to set a session up.
 * @module
 */
import { KINDS, whichHere } from "./kinds.ts";
import { startEcho } from "./process.ts";
import { type Context, inTurn, percentile, type Result } from "./result.ts";
import { Streams } from "./streams.ts";

const ROUNDS = 10;

/** From req over hello and update to a byte there and back; each type in turn, several rounds. */
export async function typesSetup(context: Context): Promise<Result> {
  const { signal, tell, rounds = ROUNDS } = context;
  await using stack = new AsyncDisposableStack();
  const target = await startEcho(stack, signal);
  const { here, leftOut } = await whichHere(Object.keys(KINDS), signal);
  const measured: { name: string; streams: Streams; samples: number[] }[] = [];
  for (const name of here) {
    const streams = stack.use(await Streams.start(name, context));
    measured.push({ name, streams, samples: [] });
  }
  for (const { round, item: { name, streams, samples } } of inTurn(measured, rounds)) {
    tell(`session set-up, round ${round} of ${rounds}: ${name}`);
    const start = performance.now();
    const { uid, port } = await streams.open(target);
    await oneByte(port);
    const taken = performance.now() - start;
    await streams.release(uid);
    // The first one warms the caches of the file system.
    if (round > 0) samples.push(taken);
  }
  return {
    name: "types",
    title:
      `Session set-up by type: req, hello, update, a byte there and back, ${rounds} interleaved rounds`,
    columns: ["", "p50 ms", "worst ms"],
    rows: measured.map(({ name, samples }) => [
      name,
      ms(percentile(samples, 50)),
      ms(percentile(samples, 100)),
    ]),
    goals: [],
    notes: leftOut,
  };
}

async function oneByte(port: number): Promise<void> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  conn.setNoDelay();
  await conn.write(new Uint8Array(1));
  if (await conn.read(new Uint8Array(1)) === null) throw new Error("nothing came back");
}

function ms(value: number): string {
  return value.toFixed(value < 10 ? 1 : 0);
}
