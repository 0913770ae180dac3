/**
 * Forwarding: iperf3 straight, through S2DS, through HAProxy and through nginx.
 * @module
 */
import { Endpoint } from "../../lib/protocol/endpoint.ts";
import { Uid } from "../../lib/protocol/uid.ts";
import { requestSession, sayHello, updateSession } from "../../lib/s2uc/requests.ts";
import { freePortRanges, Gateway } from "../demo/gateways.ts";
import { children, cpuSeconds, freePort, listening, Process, run } from "./process.ts";
import { type Context, type Goal, median, type Result } from "./result.ts";

const ROUNDS = 5;
const SECONDS = 2;
/** Left out at each test's begin: TCP's slow start, and buffers that are still growing. */
const OMIT_SECONDS = 1;
const FLOWS = [1, 8];
const GOAL = 1.3;
const DIRECT = "direct";

/** A way to the iperf3 server. */
interface Path {
  name: string;
  port: number;
  /** Of the proxy, with its workers; none for the straight way. */
  pids: () => Promise<number[]>;
  measured: Map<number, Measurement[]>;
}

interface Measurement {
  gbit: number;
  cpuPerGb: number;
  /** Of the flows' bytes: the least over the most. */
  fairness: number;
}

/** One flow and eight, each path in turn, several rounds. */
export async function forwarding(context: Context): Promise<Result> {
  const { signal, tell } = context;
  await using stack = new AsyncDisposableStack();
  const target = freePort();
  const server = stack.use(
    new Process(["iperf3", "-s", "-B", "127.0.0.1", "-p", `${target}`, "--forceflush"], signal),
  );
  let tests = 0;
  const paths = [
    path(DIRECT, target, () => Promise.resolve([])),
    await s2ds(stack, target, context),
    await haproxy(stack, target, context),
    await nginx(stack, target, context),
  ];
  const measure = async ({ port, pids }: Path, flows: number): Promise<Measurement> => {
    // It says so again after each test, and turns clients away until then.
    await server.line(/^Server listening on/, ++tests);
    const processes = await pids();
    const before = await cpuSeconds(processes, signal);
    const json = await run([
      "iperf3",
      "-J",
      ...["-c", "127.0.0.1", "-p", `${port}`],
      ...["-P", `${flows}`, "-t", `${SECONDS}`, "-O", `${OMIT_SECONDS}`],
    ], signal);
    const after = await cpuSeconds(processes, signal);
    return evaluate(JSON.parse(json), after - before);
  };
  for (let round = 0; round <= ROUNDS; round++) {
    for (const flows of FLOWS) {
      for (const each of paths) {
        tell(`forwarding, round ${round} of ${ROUNDS}: ${each.name}, ${flows} flows`);
        const measurement = await measure(each, flows);
        // The first round warms up.
        if (round > 0) each.measured.get(flows)?.push(measurement);
      }
    }
  }
  return result(paths);
}

function path(name: string, port: number, pids: Path["pids"]): Path {
  return { name, port, pids, measured: new Map(FLOWS.map((flows) => [flows, []])) };
}

/** A session of a control server of its own, and the data server that forwards it. */
async function s2ds(
  stack: AsyncDisposableStack,
  target: number,
  { folder, signal }: Context,
): Promise<Path> {
  const [ports] = freePortRanges(1, 16) as [string];
  const name = "forward";
  const gateway = await Gateway.start({ name, folder, ports, signal, onDeath: () => {} });
  stack.defer(async () => void await gateway.stop());
  const { client } = gateway;
  const uid = Uid.random();
  const receivers = [new Endpoint("127.0.0.1", target)];
  const [{ listeners }] = await Promise.all([
    requestSession(client, { uid, role: "PROD", numConn: 1, rate: 0 }, signal),
    sayHello(client, uid, "PROD", receivers, { signal }),
  ]);
  await updateSession(client, uid, "PROD", receivers.map(String), signal);
  const { port } = Endpoint.parse(listeners[0] ?? "");
  return path("S2DS", port, () => children(gateway.pid, signal));
}

async function haproxy(
  stack: AsyncDisposableStack,
  target: number,
  { folder, signal }: Context,
): Promise<Path> {
  const port = freePort();
  const config = `${folder}/haproxy.cfg`;
  await Deno.writeTextFile(
    config,
    `defaults
  mode tcp
  timeout connect 5s
  timeout client 1m
  timeout server 1m
listen bench
  bind 127.0.0.1:${port}
  server target 127.0.0.1:${target}
`,
  );
  const process = stack.use(new Process(["haproxy", "-q", "-db", "-f", config], signal));
  await listening(port, process);
  return path("HAProxy", port, () => Promise.resolve([process.pid]));
}

async function nginx(
  stack: AsyncDisposableStack,
  target: number,
  { folder, signal }: Context,
): Promise<Path> {
  const port = freePort();
  const config = `${folder}/nginx.conf`;
  await Deno.writeTextFile(
    config,
    `load_module modules/ngx_stream_module.so;
daemon off;
worker_processes auto;
pid ${folder}/nginx.pid;
events {}
stream {
  server {
    listen 127.0.0.1:${port};
    proxy_pass 127.0.0.1:${target};
  }
}
`,
  );
  const process = stack.use(
    new Process(["nginx", "-c", config, "-e", `${folder}/nginx.log`], signal),
  );
  await listening(port, process);
  return path("nginx", port, async () => [process.pid, ...await children(process.pid, signal)]);
}

/** What `iperf3 -J` says, of what is used here. */
interface Iperf {
  end: {
    sum_received: { bits_per_second: number };
    streams: { receiver: { bytes: number } }[];
  };
}

function evaluate({ end }: Iperf, cpu: number): Measurement {
  const gbit = end.sum_received.bits_per_second / 1e9;
  const bytes = end.streams.map(({ receiver }) => receiver.bytes);
  // The proxy works in the omitted seconds too.
  const gigabytes = gbit / 8 * (SECONDS + OMIT_SECONDS);
  return {
    gbit,
    cpuPerGb: cpu / gigabytes,
    fairness: Math.min(...bytes) / Math.max(...bytes),
  };
}

function result(paths: Path[]): Result {
  const medianOf = (name: string, flows: number, key: keyof Measurement) =>
    median(
      paths.find((path) => path.name === name)?.measured.get(flows)?.map((each) => each[key]) ?? [],
    );
  const rows: Result["rows"] = [];
  const goals: Goal[] = [];
  for (const flows of FLOWS) {
    const ours = medianOf("S2DS", flows, "gbit");
    for (const { name } of paths) {
      const gbit = medianOf(name, flows, "gbit");
      const proxy = name !== DIRECT;
      rows.push([
        `${flows} flow${flows > 1 ? "s" : ""}, ${name}`,
        gbit,
        proxy ? `${(ours / gbit).toFixed(2)}×` : "",
        proxy ? medianOf(name, flows, "cpuPerGb") : "",
        flows > 1 ? medianOf(name, flows, "fairness") : "",
      ]);
      if (!proxy || name === "S2DS") continue;
      goals.push({
        goal: `${flows} flow${flows > 1 ? "s" : ""}: S2DS ≥ ${GOAL}× ${name}`,
        seen: `${(ours / gbit).toFixed(2)}×`,
        met: ours / gbit >= GOAL,
      });
    }
  }
  return {
    name: "forward",
    title:
      `Forwarding, iperf3 on loopback, default buffers, ${ROUNDS} interleaved rounds of ${SECONDS} s`,
    columns: ["", "Gbit/s", "S2DS is", "CPU s/GB", "least/most flow"],
    rows,
    goals,
  };
}
