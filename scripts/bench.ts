// Benchmarks beside what is there already: the C-core gRPC library, HAProxy, nginx and stunnel, in
// one run and in turn. `deno task bench`; goals are shown and never fail, for only ratios hold on a
// busy machine.
import { renderHelp } from "../lib/cli/help.ts";
import { bool, parseCommandLine, text, UsageError } from "../lib/cli/flags.ts";
import { messageOf } from "../lib/protocol/errors.ts";
import { connectToFirstByte } from "./bench/connect.ts";
import { forwarding } from "./bench/forward.ts";
import { machine } from "./bench/machine.ts";
import { pendingSessions } from "./bench/pending.ts";
import { type Context, type Result, resultLines } from "./bench/result.ts";
import { roundTrips } from "./bench/roundtrip.ts";
import { sessionSetup } from "./bench/setup.ts";
import { typesSetup } from "./bench/types.ts";
import { versionTime } from "./bench/version.ts";

const BENCHMARKS: Record<string, (context: Context) => Promise<Result>> = {
  setup: sessionSetup,
  types: typesSetup,
  pending: pendingSessions,
  connect: connectToFirstByte,
  forward: forwarding,
  roundtrip: roundTrips,
  version: versionTime,
};

const flags = {
  only: text(`run this one: ${Object.keys(BENCHMARKS).join(", ")}`, { value: "NAME" }),
  json: bool("print one line of JSON"),
};

async function main(argv: string[]): Promise<number> {
  if (argv.includes("--help") || argv.includes("-h")) {
    const summary = "Measure SciStream beside what it stands in for";
    console.log(renderHelp({ path: "bench", summary, flags }).replace("scistream", "deno task"));
    return 0;
  }
  const { options } = parseCommandLine(argv, flags, []);
  const names = Object.keys(BENCHMARKS).filter((name) => (options.only ?? name) === name);
  if (names.length === 0) throw new UsageError(`--only: there is no ${options.only}`);

  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => stop.abort(new Error(`interrupted by ${signal}`)));
  }
  const { signal } = stop;
  const folder = await Deno.makeTempDir({ prefix: "s2bench-" });
  try {
    const tell = (what: string) => console.error(what);
    const where = await machine(signal);
    if (!options.json) {
      console.log(Object.entries(where).map((pair) => pair.join(" ")).join("; ") + "\n");
    }
    const results: Result[] = [];
    for (const name of names) {
      const result = await BENCHMARKS[name]?.({ folder, signal, tell }) as Result;
      results.push(result);
      if (!options.json) console.log(resultLines(result).join("\n"));
    }
    if (options.json) console.log(JSON.stringify({ ...where, results }));
    return 0;
  } catch (error) {
    if (!signal.aborted) throw error;
    console.error(messageOf(signal.reason));
    return 130;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  const code = await main(Deno.args).catch((error) => {
    console.error(`error: ${messageOf(error)}`);
    return error instanceof UsageError ? 2 : 1;
  });
  Deno.exit(code);
}
