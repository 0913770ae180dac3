// A thousand nodes and a hundred thousand sessions: the real placement and the real control server
// against an engine that is simulated, so that it can be seen how cost grows. `deno task simulate`;
// docs/scale.md tells what comes out. tests/scale_test.ts runs it in small.
import { renderHelp } from "../lib/cli/help.ts";
import { bool, integer, list, parseCommandLine, text, UsageError } from "../lib/cli/flags.ts";
import { messageOf } from "../lib/protocol/errors.ts";
import { goalLines } from "./bench/goals.ts";
import { machine } from "./bench/machine.ts";
import { type Result, resultLines } from "./bench/result.ts";
import { svg } from "./bench/svg.ts";
import { byNodes, bySessions } from "./scale/in_process.ts";
import { overHttp } from "./scale/over_http.ts";

const SIZES = [1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000];
const NODES = [10, 100, 1_000];
/** That are placed on each of these numbers of nodes. */
const ON_EACH = 10_000;
/** Thirty calls each, one session after the other. */
const OVER_HTTP = 1_000;
/** Of these, lists are long: megabytes for each thousand. */
const KEPT_OVER_HTTP = 20_000;

interface Told {
  nodes: number;
  sessions: number;
  seed: number;
  folder: string;
  tell: (what: string) => void;
}

const SIMULATIONS: Record<string, (told: Told) => Promise<Result>> = {
  sessions: ({ sessions, ...told }) =>
    bySessions({ ...told, sizes: [...SIZES.filter((size) => size < sessions), sessions] }),
  nodes: ({ nodes, sessions, ...told }) =>
    byNodes({
      ...told,
      counts: [...NODES.filter((count) => count < nodes), nodes],
      sessions: Math.min(sessions, ON_EACH),
    }),
  http: (told) =>
    overHttp({
      ...told,
      sessions: Math.min(told.sessions, OVER_HTTP),
      kept: Math.min(told.sessions, KEPT_OVER_HTTP),
    }),
};

const flags = {
  only: list(`run these: ${Object.keys(SIMULATIONS).join(", ")}`, (name) => name, {
    value: "NAME,…",
    default: "",
  }),
  nodes: integer("gateway nodes", { default: "1000", least: 10, most: 10_000 }),
  sessions: integer("sessions, in the end", { default: "100000", least: 100, most: 1_000_000 }),
  seed: integer("the same seed makes the same decisions", {
    default: "7",
    least: 1,
    most: 2 ** 31 - 1,
  }),
  json: bool("print one line of JSON"),
  svg: text("draw figures into this folder, as scale-NAME.svg", { value: "FOLDER" }),
};

async function main(argv: string[]): Promise<number> {
  if (argv.includes("--help") || argv.includes("-h")) {
    const summary = "Simulate the placement of sessions on many nodes";
    console.log(renderHelp({ path: "simulate", summary, flags }).replace("scistream", "deno task"));
    return 0;
  }
  const { options: { only, json, svg: pictures, ...told } } = parseCommandLine(argv, flags, []);
  const unknown = only.find((name) => !(name in SIMULATIONS));
  if (unknown !== undefined) throw new UsageError(`--only: there is no ${unknown}`);
  const { machine: where, deno, load } = await machine(new AbortController().signal);
  const on = `machine ${where}; deno ${deno}; load ${load}`;
  if (!json) console.log(`${on}\n`);
  const folder = await Deno.makeTempDir({ prefix: "s2scale-" });
  const results: Result[] = [];
  try {
    for (const [name, simulate] of Object.entries(SIMULATIONS)) {
      if (only.length > 0 && !only.includes(name)) continue;
      const result = await simulate({ ...told, folder, tell: (what) => console.error(what) });
      results.push(result);
      if (!json) console.log(resultLines(result).join("\n"));
      if (pictures === undefined || !result.figures) continue;
      const heading = { title: result.title, lines: [on, HOW], task: "simulate" };
      await Deno.writeTextFile(`${pictures}/scale-${name}.svg`, svg(heading, result.figures));
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  const goals = results.flatMap((result) => result.goals);
  if (json) console.log(JSON.stringify({ machine: where, deno, load, results }));
  else if (goals.length > 0) console.log(goalLines(goals).join("\n"));
  return 0;
}

const HOW =
  "The real control server and placement, against a simulated engine; of each size the latest 1000 calls.";

if (import.meta.main) {
  const code = await main(Deno.args).catch((error) => {
    console.error(`error: ${messageOf(error)}`);
    return error instanceof UsageError ? 2 : 1;
  });
  Deno.exit(code);
}
