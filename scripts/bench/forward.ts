/**
 * Forwarding: how much passes, with one flow and with eight, and what it costs.
 * @module
 */
import { Iperf, type Measurement } from "./iperf.ts";
import { openPaths, type Path } from "./paths.ts";
import { freePort } from "./process.ts";
import { type Context, type Goal, median, type Result } from "./result.ts";

const ROUNDS = 5;
/** Long enough on loopback: TCP is at full speed after milliseconds. */
const SECONDS = 1;
const ONE = 1;
const MANY = 8;
const FLOWS = [ONE, MANY];
const GOAL = 1.3;

/** By path and number of flows. */
type Measured = Map<Path, Map<number, Measurement[]>>;

/** One flow and eight, each path in turn, several rounds. */
export async function forwarding(context: Context): Promise<Result> {
  const { signal, tell } = context;
  await using stack = new AsyncDisposableStack();
  const target = freePort();
  const { paths, leftOut } = await openPaths(stack, target, context);
  // Only now: whoever has looked whether a proxy listens was counted as a test.
  const server = stack.use(new Iperf(target, signal));
  const measured: Measured = new Map(
    paths.map((path) => [path, new Map(FLOWS.map((flows) => [flows, []]))]),
  );
  for (let round = 0; round <= ROUNDS; round++) {
    for (const flows of FLOWS) {
      for (const path of paths) {
        tell(`forwarding, round ${round} of ${ROUNDS}: ${path.name}, ${flows} flows`);
        const pids = await path.pids();
        const measurement = await server.measure(path.port, { flows, seconds: SECONDS, pids });
        // The first round warms up.
        if (round > 0) measured.get(path)?.get(flows)?.push(measurement);
      }
    }
  }
  return { ...result(measured), notes: leftOut };
}

function result(measured: Measured): Result {
  const paths = [...measured.keys()];
  const medianOf = (path: Path, flows: number, key: keyof Measurement) =>
    median(measured.get(path)?.get(flows)?.map((each) => each[key]) ?? []);
  const rows = paths.map((path) => {
    const proxy = path.name !== "direct";
    const cpu = (flows: number) => proxy ? medianOf(path, flows, "cpuPerGb") : "";
    return [
      path.name,
      medianOf(path, ONE, "gbit"),
      cpu(ONE),
      medianOf(path, MANY, "gbit"),
      cpu(MANY),
      medianOf(path, MANY, "fairness"),
    ];
  });
  const goals = paths.flatMap((path) =>
    paths.filter(({ name }) => path.peers.includes(name)).map((peer): Goal => {
      const ratios = FLOWS.map((flows) =>
        medianOf(path, flows, "gbit") / medianOf(peer, flows, "gbit")
      );
      return {
        goal: `${path.name} ≥ ${GOAL}× ${peer.name}`,
        seen: FLOWS.map((flows, i) => `${flows} flow${flows > 1 ? "s" : ""} ${times(ratios[i])}`)
          .join(", "),
        met: ratios.every((ratio) => ratio >= GOAL),
      };
    })
  );
  return {
    name: "forward",
    title:
      `Forwarding, iperf3 on loopback, ${ONE} flow and ${MANY}, ${ROUNDS} interleaved rounds of ${SECONDS} s`,
    columns: ["", `${ONE}: Gbit/s`, "CPU s/GB", `${MANY}: Gbit/s`, "CPU s/GB", "least/most flow"],
    rows,
    goals,
  };
}

function times(ratio = NaN): string {
  return `${ratio.toFixed(2)}×`;
}
