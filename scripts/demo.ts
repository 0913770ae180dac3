// A whole stream on this machine: two control servers with their data servers, a producer and a
// consumer that checks every byte. `deno task demo`; tests/demo_test.ts runs it.
import { renderHelp } from "../lib/cli/help.ts";
import { bool, parseCommandLine, seconds, text, UsageError } from "../lib/cli/flags.ts";
import type { ControlClient } from "../lib/protocol/client.ts";
import { Endpoint } from "../lib/protocol/endpoint.ts";
import { messageOf } from "../lib/protocol/errors.ts";
import { Uid } from "../lib/protocol/uid.ts";
import { connect } from "../lib/s2uc/connect.ts";
import { releaseSession } from "../lib/s2uc/requests.ts";
import { Application } from "./demo/application.ts";
import { compare } from "./demo/compare.ts";
import type { ConsumerOrder, ConsumerReports } from "./demo/consumer.ts";
import { corrupting } from "./demo/corrupter.ts";
import { freePortRanges, Gateway } from "./demo/gateways.ts";
import { exists, isListening, isRunning, processesNaming } from "./demo/leftovers.ts";
import type { ProducerOrder, ProducerReports } from "./demo/producer.ts";
import { gbitPerSecond, LiveLine, type Summary, summaryLines } from "./demo/report.ts";

const CHANNELS = 4;
/** More ports than channels, for a program that takes one after they were found free. */
const PORTS = 16;
const RELEASE_MS = 5_000;

const flags = {
  seconds: seconds("how long to stream", { default: "5" }),
  file: text("stream this file and not made frames", { value: "PATH" }),
  dashboard: bool("serve the dashboards of both gateways while it streams, and tell where"),
  json: bool("print the summary as one line of JSON"),
};
const hidden = { corrupt: bool("alter one byte on its way, which must make the demo fail") };

interface Options {
  /** Milliseconds. */
  seconds: number;
  file?: string;
  dashboard: boolean;
  json: boolean;
  corrupt: boolean;
}

/** Everything that is there while the demo runs, to be looked for when it has ended. */
interface Traces {
  folder: string;
  pids: Set<number>;
  listeners: Endpoint[];
  problems: string[];
}

/** What the demo measured before it cleaned up. */
type Outcome = Omit<Summary, "ok" | "problems" | "cleaned_up">;

async function main(argv: string[]): Promise<number> {
  if (argv.includes("--help") || argv.includes("-h")) {
    const summary = "Stream through two gateways on this machine and check every byte";
    console.log(renderHelp({ path: "demo", summary, flags }).replace("scistream", "deno task"));
    return 0;
  }
  let options: Options;
  try {
    options = await readOptions(argv);
  } catch (error) {
    console.error(`error: ${messageOf(error)}`);
    return 2;
  }
  const stop = new AbortController();
  let interrupted = false;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => {
      interrupted = true;
      stop.abort(new Error(`interrupted by ${signal}`));
    });
  }
  globalThis.addEventListener("unhandledrejection", (event) => {
    // Even a mistake of ours must not end this process before it has cleaned up.
    event.preventDefault();
    stop.abort(event.reason);
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    stop.abort(event.error);
  });

  const traces: Traces = { folder: "", pids: new Set(), listeners: [], problems: [] };
  const outcome = await run(options, traces, stop).catch((error) => {
    traces.problems.push(messageOf(stop.signal.aborted ? stop.signal.reason : error));
    return undefined;
  });
  traces.problems.push(...await leftovers(traces));
  const { problems, folder } = traces;
  const ok = problems.length === 0;
  const cleaned_up = {
    processes: traces.pids.size,
    listeners: traces.listeners.length,
    folder,
  };
  if (options.json) {
    console.log(JSON.stringify({ ok, problems, ...outcome, cleaned_up }));
  } else {
    if (outcome) console.log(summaryLines({ ok, problems, ...outcome, cleaned_up }).join("\n"));
    for (const problem of problems) console.error(`FAILED     ${problem}`);
  }
  if (interrupted) return 130;
  return ok ? 0 : 1;
}

async function readOptions(argv: string[]): Promise<Options> {
  const { options } = parseCommandLine(argv, { ...flags, ...hidden }, []);
  const result: Options = { ...options };
  if (result.file !== undefined) {
    // A task runs in the project's folder, but names are meant where the user is.
    const here = Deno.env.get("INIT_CWD");
    if (here && !result.file.startsWith("/")) result.file = `${here}/${result.file}`;
    const { isFile, size } = await Deno.stat(result.file);
    if (!isFile || size === 0) {
      throw new UsageError(`--file: ${result.file} is not a file with something in it`);
    }
  }
  return result;
}

/** Starts everything, streams, compares, and takes everything down again. */
async function run(options: Options, traces: Traces, stop: AbortController): Promise<Outcome> {
  const { signal } = stop;
  const steps: Outcome["steps"] = [];
  const timed = async <T>(step: string, work: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    const result = await work();
    steps.push({ step, ms: performance.now() - start });
    return result;
  };
  await using stack = new AsyncDisposableStack();

  // A short name: the path of the data servers' sockets in it is bounded.
  traces.folder = await Deno.makeTempDir({ prefix: "s2demo-" });
  stack.defer(() => clear(traces));
  const gateways: Gateway[] = [];
  stack.defer(async () => {
    const wrong = await Promise.all(gateways.map((gateway) => gateway.stop()));
    traces.problems.push(...wrong.filter(Boolean));
  });

  const producer = stack.use(
    new Application<ProducerOrder, ProducerReports>(
      new URL("demo/producer.ts", import.meta.url),
      signal,
    ),
  );
  producer.start({ channels: CHANNELS, seconds: options.seconds / 1000, file: options.file });
  const consumer = stack.use(
    new Application<ConsumerOrder, ConsumerReports>(
      new URL("demo/consumer.ts", import.meta.url),
      signal,
    ),
  );

  const [prod, cons] = await timed(
    "control servers up",
    () => startGateways(gateways, traces, stop, options.dashboard),
  );
  await consumer.report("ready");
  const receivers = (await producer.report("listening"))
    .map((port) => new Endpoint("127.0.0.1", port));
  traces.listeners.push(prod.address, cons.address, ...receivers);

  const uid = Uid.random();
  const { prodListeners, consListeners } = await connect({
    prod,
    cons,
    uid,
    numConn: CHANNELS,
    rate: 0,
    receivers,
    signal,
    onStep: (step, ms) => steps.push({ step, ms }),
  });
  traces.listeners.push(...prodListeners, ...consListeners);
  for (const pid of await processesNaming(traces.folder)) traces.pids.add(pid);

  const listeners = [...consListeners];
  if (options.corrupt) listeners[0] = stack.use(corrupting(listeners[0] as Endpoint)).address;
  const line = new LiveLine();
  stack.defer(() => line.end());
  consumer.onReport = ({ progress }) => progress && line.show(progress);
  consumer.start({ listeners: listeners.map(({ host, port }) => ({ host, port })) });
  const received = await consumer.report("received");
  line.end();
  const sent = await producer.report("sent");

  const verified = compare(sent, received.channels, traces.problems);
  const gateway_bytes = {
    producer: await forwarded(prod, uid, signal),
    consumer: await forwarded(cons, uid, signal),
  };
  await timed("release, both sides", async () => {
    await Promise.all(
      [prod, cons].map((client) => releaseSession(client, uid, { deadlineMs: RELEASE_MS, signal })),
    );
  });
  const bytes = sum(received.channels.map((channel) => channel.bytes));
  for (const [side, count] of Object.entries(gateway_bytes)) {
    if (count === bytes) continue;
    traces.problems.push(`the ${side}'s gateway forwarded ${count} bytes, ${bytes} arrived`);
  }
  return {
    source: options.file ?? "detector frames",
    steps,
    seconds: received.seconds,
    gbit_per_second: gbitPerSecond(bytes, received.seconds),
    frames: sum(sent.map((channel) => channel.digests.length)),
    bytes,
    ...verified,
    gateway_bytes,
    channels: received.channels.map((channel, i) => ({
      producer: String(receivers[i]),
      producer_gateway: String(prodListeners[i]),
      consumer_gateway: String(consListeners[i]),
      frames: channel.digests.length,
      bytes: channel.bytes,
    })),
  };
}

/** Starts both control servers; those that are up are in `gateways`, whatever becomes of the other. */
async function startGateways(
  gateways: Gateway[],
  traces: Traces,
  stop: AbortController,
  dashboard: boolean,
): Promise<[ControlClient, ControlClient]> {
  const ranges = freePortRanges(2, PORTS);
  const names = ["producer", "consumer"];
  const pages = dashboard ? freePortRanges(2, 1).map((range) => range.replace(/-.*/, "")) : [];
  const starts = await Promise.allSettled(
    names.map((name, i) =>
      Gateway.start({
        name,
        folder: traces.folder,
        ports: ranges[i] as string,
        flags: pages[i] === undefined ? [] : [`--http=127.0.0.1:${pages[i]}`],
        signal: stop.signal,
        onDeath: (error) => stop.abort(error),
      })
    ),
  );
  for (const start of starts) {
    if (start.status === "rejected") continue;
    gateways.push(start.value);
    traces.pids.add(start.value.pid);
  }
  const failed = starts.find((each) => each.status === "rejected");
  if (failed) throw failed.reason;
  for (const [i, port] of pages.entries()) {
    traces.listeners.push(new Endpoint("127.0.0.1", Number(port)));
    console.error(`dashboard  http://127.0.0.1:${port}/ of the ${names[i]}'s gateway`);
  }
  return gateways.map((gateway) => gateway.client) as [ControlClient, ControlClient];
}

/** Bytes that the gateway forwarded to whoever connected to its listeners. */
async function forwarded(client: ControlClient, uid: Uid, signal: AbortSignal): Promise<number> {
  const { channels } = await client.call("status", { uid: uid.reveal() }, { signal });
  return sum(channels.map((channel) => channel.bytes_from_target));
}

/** The folder, and whatever outlived its control server. */
async function clear(traces: Traces): Promise<void> {
  for (const pid of await processesNaming(traces.folder)) {
    traces.problems.push(`process ${pid} was left and is killed`);
    traces.pids.add(pid);
    Deno.kill(pid, "SIGKILL");
  }
  await Deno.remove(traces.folder, { recursive: true });
}

/** What is still there of what was there, a sentence each. */
async function leftovers(traces: Traces): Promise<string[]> {
  const left: string[] = [];
  for (const pid of traces.pids) if (isRunning(pid)) left.push(`process ${pid} still runs`);
  for (const at of traces.listeners) {
    if (await isListening(at)) left.push(`something still listens on ${at}`);
  }
  if (traces.folder && await exists(traces.folder)) left.push(`${traces.folder} is still there`);
  return left;
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

if (import.meta.main) Deno.exit(await main(Deno.args));
