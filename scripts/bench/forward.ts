/**
 * Forwarding: how much passes, with one flow and with eight, and what it costs.
 * @module
 */
import { type Goal, ratioGoal } from "./goals.ts";
import { Iperf, type Measurement } from "./iperf.ts";
import { ENCRYPTED, PLAIN } from "./kinds.ts";
import { DIRECT, openPaths } from "./paths.ts";
import { freePort } from "./process.ts";
import { type Context, type Figure, inTurn, median, type Result } from "./result.ts";

const ROUNDS = 5;
/** Long enough on loopback: TCP is at full speed after milliseconds. */
const SECONDS = 1;
const ONE = 1;
const MANY = 8;
const FLOWS = [ONE, MANY];

const DEFAULTS = ["haproxy default", "nginx default"];
const LARGE = ["haproxy 1 MiB", "nginx 1 MiB"];
const PLAIN_ONES = [
  PLAIN,
  ...["haproxy default", "haproxy 1 MiB"],
  ...["nginx default", "nginx 1 MiB"],
  ...["socat default", "socat 1 MiB"],
];
const ENCRYPTED_ONES = [ENCRYPTED, "stunnel pair, default", "StunnelSubprocess pair"];
/** In the order of the table. */
const PATHS = [
  DIRECT,
  ...PLAIN_ONES,
  "HaproxySubprocess",
  "Haproxy",
  "DockerSock",
  "NginxSubprocess",
  "Nginx",
  ...ENCRYPTED_ONES,
  "Stunnel pair",
  "stunnel pair, reference",
];

/** Goals of the throughput, one flow's and eight's, in Gbit/s. */
const GOALS: { measure: string; ours: string; theirs: string[]; least: number; flows: number[] }[] =
  [
    { measure: "S2DS", ours: PLAIN, theirs: DEFAULTS, least: 1.3, flows: FLOWS },
    { measure: "S2DS", ours: PLAIN, theirs: LARGE, least: 1.0, flows: FLOWS },
    {
      measure: "S2DS encrypted",
      ours: ENCRYPTED,
      theirs: ["stunnel pair, default"],
      least: 1.3,
      flows: [ONE],
    },
  ];
/** The other types beside the same proxy without us. */
const GOALS_OF_TYPES: { ours: string; theirs: string }[] = [
  { ours: "HaproxySubprocess", theirs: "haproxy default" },
  { ours: "Haproxy", theirs: "haproxy default" },
  { ours: "DockerSock", theirs: "haproxy default" },
  { ours: "NginxSubprocess", theirs: "nginx default" },
  { ours: "Nginx", theirs: "nginx default" },
  { ours: "StunnelSubprocess pair", theirs: "stunnel pair, default" },
  { ours: "StunnelSubprocess pair", theirs: "stunnel pair, reference" },
  { ours: "Stunnel pair", theirs: "stunnel pair, default" },
  { ours: "Stunnel pair", theirs: "stunnel pair, reference" },
];
const LEAST_OF_TYPES = 1.3;
/** Processor seconds per 10^9 bytes, over those of HAProxy with large buffers. */
const MOST_CPU = 1.0;

/** By path and number of flows. */
type Measured = Map<string, Map<number, Measurement[]>>;

/** One flow and eight, each path in turn, several rounds. */
export async function forwarding(context: Context): Promise<Result> {
  const { signal, tell, rounds = ROUNDS } = context;
  await using stack = new AsyncDisposableStack();
  const target = freePort();
  const { paths, leftOut } = await openPaths(stack, PATHS, target, context);
  // Only now: whoever has looked whether a proxy listens was counted as a test.
  const server = stack.use(new Iperf(target, signal));
  const measured: Measured = new Map(
    paths.map(({ name }) => [name, new Map(FLOWS.map((flows) => [flows, []]))]),
  );
  const tests = FLOWS.flatMap((flows) => paths.map((path) => ({ flows, path })));
  for (const { round, item: { flows, path } } of inTurn(tests, rounds)) {
    const { name, port, pids } = path;
    tell(`forwarding, round ${round} of ${rounds}: ${name}, ${flows} flows`);
    const measurement = await server.measure(port, { flows, seconds: SECONDS, pids });
    // The first round warms up.
    if (round > 0) measured.get(name)?.get(flows)?.push(measurement);
  }
  return { ...result(measured, rounds), notes: leftOut };
}

function result(measured: Measured, rounds: number): Result {
  const names = [...measured.keys()];
  const medianOf = (name: string, flows: number, key: keyof Measurement): number | undefined => {
    const samples = measured.get(name)?.get(flows);
    return samples && median(samples.map((each) => each[key]));
  };
  const rows = names.map((name) => {
    const cell = (flows: number, key: keyof Measurement) => medianOf(name, flows, key) ?? "";
    const cpu = (flows: number) => name === DIRECT ? "" : cell(flows, "cpuPerGb");
    return [
      name,
      cell(ONE, "gbit"),
      cpu(ONE),
      cell(MANY, "gbit"),
      cpu(MANY),
      cell(MANY, "fairness"),
    ];
  });
  const goals = allGoals(medianOf);
  const bars = (ways: string[], flows: number, key: keyof Measurement) =>
    ways.flatMap((name) => {
      const value = medianOf(name, flows, key);
      return value === undefined ? [] : [{ name, value }];
    });
  const throughput = (of: string, ways: string[], shown: Goal[][]) =>
    FLOWS.map((flows, i): Figure => ({
      title: `Throughput${of}, ${word(flows)}`,
      unit: "Gbit/s",
      better: "more",
      bars: bars(ways, flows, "gbit"),
      goals: shown[i] ?? [],
    }));
  const processor = FLOWS.map((flows, i): Figure => ({
    title: `Processor time, ${word(flows)}`,
    unit: "CPU s/GB",
    better: "less",
    bars: bars(PLAIN_ONES, flows, "cpuPerGb"),
    goals: goals.cpu.slice(i, i + 1),
  }));
  return {
    name: "forward",
    title:
      `Forwarding, iperf3 on loopback, ${ONE} flow and ${MANY}, ${rounds} interleaved rounds of ${SECONDS} s`,
    columns: ["", `${ONE}: Gbit/s`, "CPU s/GB", `${MANY}: Gbit/s`, "CPU s/GB", "least/most flow"],
    rows,
    goals: [...goals.plain, goals.encrypted, goals.cpu, goals.types].flat(2),
    figures: [
      ...throughput("", [DIRECT, ...PLAIN_ONES], goals.plain),
      ...processor,
      ...throughput(" encrypted", ENCRYPTED_ONES, goals.encrypted),
    ],
  };
}

type MedianOf = (name: string, flows: number, key: keyof Measurement) => number | undefined;

/** What was reached; throughput by number of flows, as in {@linkcode FLOWS}. */
function allGoals(medianOf: MedianOf) {
  const throughput = (ours: string) =>
    FLOWS.map((flows) =>
      GOALS.filter((each) => each.ours === ours && each.flows.includes(flows)).flatMap((each) =>
        each.theirs.map((theirs) => {
          const measure = `${each.measure}, ${word(flows)}, Gbit/s`;
          return ratioGoal({ ...each, theirs, measure }, (name) => medianOf(name, flows, "gbit"));
        })
      )
    );
  const cpu = FLOWS.map((flows) => {
    const measure = `S2DS, ${word(flows)}, CPU s/GB`;
    return ratioGoal(
      { measure, ours: PLAIN, theirs: "haproxy 1 MiB", most: MOST_CPU },
      (name) => medianOf(name, flows, "cpuPerGb"),
    );
  });
  const types = GOALS_OF_TYPES.filter(({ ours }) => medianOf(ours, ONE, "gbit") !== undefined)
    .flatMap((each) =>
      FLOWS.map((flows) => {
        const measure = `${each.ours}, ${word(flows)}, Gbit/s`;
        const wanted = { ...each, measure, least: LEAST_OF_TYPES };
        return ratioGoal(wanted, (name) => medianOf(name, flows, "gbit"));
      })
    );
  return { plain: throughput(PLAIN), encrypted: throughput(ENCRYPTED), cpu, types };
}

function word(flows: number): string {
  return `${flows} flow${flows > 1 ? "s" : ""}`;
}
