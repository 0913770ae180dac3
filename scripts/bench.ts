// Benchmarks beside what is there already: the C-core gRPC library, HAProxy, nginx, stunnel and
// socat, in one run and in turn. `deno task bench`; goals are shown and never fail, for only ratios
// hold on a busy machine.
import { renderHelp } from "../lib/cli/help.ts";
import { bool, integer, list, parseCommandLine, text, UsageError } from "../lib/cli/flags.ts";
import { messageOf } from "../lib/protocol/errors.ts";
import { authentication } from "./bench/auth.ts";
import { connectToFirstByte } from "./bench/connect.ts";
import { connectionRate, firstByte } from "./bench/connections.ts";
import { forwarding } from "./bench/forward.ts";
import { goalLines } from "./bench/goals.ts";
import { machine } from "./bench/machine.ts";
import { idleMemory } from "./bench/memory.ts";
import { pendingSessions } from "./bench/pending.ts";
import { type Context, type Result, resultLines } from "./bench/result.ts";
import { roundTrips } from "./bench/roundtrip.ts";
import { sessionSetup } from "./bench/setup.ts";
import { svg } from "./bench/svg.ts";
import { typesSetup } from "./bench/types.ts";
import { versionTime } from "./bench/version.ts";

const BENCHMARKS: Record<string, (context: Context) => Promise<Result>> = {
  setup: sessionSetup,
  types: typesSetup,
  pending: pendingSessions,
  auth: authentication,
  connect: connectToFirstByte,
  version: versionTime,
  forward: forwarding,
  roundtrip: roundTrips,
  "first-byte": firstByte,
  rate: connectionRate,
  memory: idleMemory,
};

const flags = {
  only: list(`run these: ${Object.keys(BENCHMARKS).join(", ")}`, (name) => name, {
    value: "NAME,…",
    default: "",
  }),
  rounds: integer("rounds after the one that warms up; each benchmark's own number if not given", {
    least: 1,
    most: 1000,
  }),
  json: bool("print one line of JSON"),
  svg: text("draw figures into this file", { value: "FILE" }),
};

async function main(argv: string[]): Promise<number> {
  if (argv.includes("--help") || argv.includes("-h")) {
    const summary = "Measure SciStream beside what it stands in for";
    console.log(renderHelp({ path: "bench", summary, flags }).replace("scistream", "deno task"));
    return 0;
  }
  const { options: { only, rounds, json, svg: picture } } = parseCommandLine(argv, flags, []);
  const unknown = only.find((name) => !(name in BENCHMARKS));
  if (unknown !== undefined) throw new UsageError(`--only: there is no ${unknown}`);
  const names = Object.keys(BENCHMARKS).filter((name) => only.length === 0 || only.includes(name));

  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => stop.abort(new Error(`interrupted by ${signal}`)));
  }
  const { signal } = stop;
  const folder = await Deno.makeTempDir({ prefix: "s2bench-" });
  try {
    const tell = (what: string) => console.error(what);
    const where = await machine(signal);
    if (!json) console.log(`${told(where)}\n`);
    const results: Result[] = [];
    for (const name of names) {
      const result = await BENCHMARKS[name]?.({ folder, signal, rounds, tell }) as Result;
      results.push(result);
      if (!json) console.log(resultLines(result).join("\n"));
    }
    const goals = results.flatMap((result) => result.goals);
    if (json) console.log(JSON.stringify({ ...where, results }));
    else if (goals.length > 0) console.log(goalLines(goals).join("\n"));
    if (picture !== undefined) await Deno.writeTextFile(picture, drawn(where, results));
    return 0;
  } catch (error) {
    if (!signal.aborted) throw error;
    console.error(messageOf(signal.reason));
    return 130;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function told(where: Record<string, string>): string {
  return Object.entries(where).map((pair) => pair.join(" ")).join("; ");
}

function drawn(where: Record<string, string>, results: readonly Result[]): string {
  // These two have no part in any figure.
  const { docker: _docker, "python3-grpcio": _python, ...those } = where;
  const how =
    "Over loopback, each in turn in one run; medians of rounds. Only ratios hold: proxy, client and server share the processors.";
  return svg(
    { title: "SciStream's data server beside others", lines: [told(those), how] },
    results.flatMap(({ figures }) => figures ?? []),
  );
}

if (import.meta.main) {
  const code = await main(Deno.args).catch((error) => {
    console.error(`error: ${messageOf(error)}`);
    return error instanceof UsageError ? 2 : 1;
  });
  Deno.exit(code);
}
