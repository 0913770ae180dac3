// Sessions of all data server types are made, used and released at random for an hour, while
// control servers, data servers and the Docker Engine die beside them: no stream may be disturbed
// by what should not disturb it, and nothing may be left. `deno task soak`; tests/soak_test.ts runs
// it for some seconds.
import { renderHelp } from "../lib/cli/help.ts";
import { bool, integer, list, parseCommandLine, parsed, UsageError } from "../lib/cli/flags.ts";
import { messageOf } from "../lib/protocol/errors.ts";
import { parseType, TYPE_NAMES } from "../lib/s2ds/types.ts";
import { Engine, whyNoEngine } from "../tests/engine.ts";
import { Running } from "../tests/harness.ts";
import { Lane } from "./soak/lane.ts";
import { inContainers } from "./soak/plan.ts";
import { progressLine, summaryLines, Tally } from "./soak/report.ts";
import { Leak } from "./soak/rounds.ts";
import { Turns } from "./soak/turns.ts";

const MINUTE_MS = 60_000;

/** Janus takes a controller and its nodes. */
const TYPES = TYPE_NAMES.filter((type) => type !== "Janus");

const flags = {
  minutes: parsed("how long", minutes, { value: "N", default: "60" }),
  types: list(`data server types: ${TYPES.join(", ")}; all if not given`, parseType, {
    value: "TYPE,…",
    default: "",
  }),
  seed: integer("the same seed gives the same decisions; another one each time if not given", {
    least: 0,
    most: 2 ** 32 - 1,
  }),
};
const hidden = { leak: bool("forget a session at the end, which must be found") };

interface Options {
  types: string[];
  seed: number;
  leak: boolean;
}

async function main(argv: string[]): Promise<number> {
  if (argv.includes("--help") || argv.includes("-h")) {
    const summary =
      "Make sessions of all types for an hour, with faults, and see that nothing leaks";
    console.log(renderHelp({ path: "soak", summary, flags }).replace("scistream", "deno task"));
    return 0;
  }
  const { options } = parseCommandLine(argv, { ...flags, ...hidden }, []);
  const types = options.types.length > 0 ? options.types : TYPES;
  const seed = options.seed ?? crypto.getRandomValues(new Uint32Array(1))[0] as number;
  const reason = types.some(inContainers) ? whyNoEngine() : undefined;
  if (reason) throw new UsageError(`no Docker Engine can be started, choose --types: ${reason}`);
  // A Ctrl-C is for this process, which still needs the others.
  Running.detached = true;
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => stop.abort());
  }
  const mishaps: unknown[] = [];
  globalThis.addEventListener("unhandledrejection", (event) => {
    // Even a mistake of ours must not end this process before it has cleaned up.
    event.preventDefault();
    mishaps.push(event.reason);
    stop.abort();
  });
  console.log(`seed ${seed}; ${types.join(", ")}`);
  const failed = await soak({ types, seed, leak: options.leak }, options.minutes, stop);
  for (const mishap of mishaps) console.error(mishap);
  return failed || mishaps.length > 0 ? 1 : 0;
}

/** Runs a lane for each type; answers whether something was wrong. */
async function soak(options: Options, ms: number, stop: AbortController): Promise<boolean> {
  const { types, seed, leak } = options;
  await using stack = new AsyncDisposableStack();
  let engine: Engine | undefined;
  if (types.some(inContainers)) {
    engine = stack.use(await Engine.start());
    await engine.images();
  }
  const turns = new Turns();
  const neighbours = new Set<Lane>();
  const tallies = types.map((type) => new Tally(type));
  const lanes = tallies.map((tally) => {
    const isOnEngine = inContainers(tally.type);
    const shared = isOnEngine ? { engine, neighbours } : { neighbours: new Set<Lane>() };
    const lane = stack.use(new Lane({ tally, seed, turns, leaks: leak, ...shared }));
    if (isOnEngine) neighbours.add(lane);
    return lane;
  });
  let start = performance.now();
  const bytes = () => lanes.reduce((sum, lane) => sum + lane.bytes, 0);
  const elapsed = () => performance.now() - start;
  const progress = setInterval(
    () => console.log(progressLine(tallies, bytes(), elapsed())),
    MINUTE_MS,
  );
  const started = lanes.map((lane) => lane.start());
  let time: ReturnType<typeof setTimeout> | undefined;
  Promise.allSettled(started).then(() => {
    start = performance.now();
    time = setTimeout(() => stop.abort(), ms);
  });
  await Promise.all(lanes.map(async (lane, i) => {
    const run = async () => {
      await started[i];
      await lane.run(stop.signal);
    };
    await run().catch(async (error) => {
      neighbours.delete(lane);
      await tell(error, lane, tallies[i] as Tally);
    });
  }));
  clearInterval(progress);
  clearTimeout(time);
  console.log(summaryLines(tallies, elapsed()).join("\n"));
  const failures = tallies.flatMap(({ failures }) => failures);
  console.log(failures.length === 0 ? "nothing leaked, nothing was disturbed" : "FAILED");
  return failures.length > 0;
}

/** One that fails has ended, and the others go on: they may tell more. */
async function tell(error: unknown, lane: Lane, tally: Tally): Promise<void> {
  const isLeak = error instanceof Leak;
  const why = error instanceof Error ? error.stack ?? error.message : String(error);
  const what = [...lane.deaths, ...isLeak ? error.what : [why]];
  if (isLeak) tally.leaks += error.what.length;
  tally.failures.push(...what);
  const folder = await Deno.makeTempDir({ prefix: "scistream-soak-" });
  const evidence = await lane.keepEvidence(folder).then(() => "", messageOf);
  console.error([
    `${tally.type} ${isLeak ? "LEAKED" : "FAILED"}:`,
    ...what.map((each) => `  ${each}`),
    "  the last actions before it:",
    ...lane.last.map((each) => `    ${each}`),
    `  logs: ${folder} ${evidence}`.trimEnd(),
  ].join("\n"));
}

function minutes(text: string): number {
  const value = /^[0-9]{1,5}(\.[0-9]{1,3})?$/.test(text) ? Number(text) : NaN;
  if (value > 0) return value * MINUTE_MS;
  throw new UsageError(`${text} is not a number of minutes above 0`);
}

if (import.meta.main) {
  const code = await main(Deno.args).catch((error) => {
    console.error(`error: ${messageOf(error)}`);
    return error instanceof UsageError ? 2 : 1;
  });
  Deno.exit(code);
}
