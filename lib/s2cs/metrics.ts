/**
 * What a control server tells of itself to Prometheus, by the rules of prometheus.io for names: base
 * units, `_total` for what only grows. docs/metrics.md explains each; a test holds the two together.
 * @module
 */
import process from "node:process";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { TOTALS, type Totals, type Traffic } from "../s2ds/totals.ts";
import { COMMIT, VERSION } from "../version.ts";
import type { Counters, Histogram as Counted } from "./counters.ts";
import { type NodeNumbers, nodesToTell } from "./node_metrics.ts";
import type { CallerLimits } from "./settings.ts";
import { type State, STATES } from "./state.ts";

/** What the metrics are read from, whenever somebody asks. */
export interface Measured {
  counters: Counters;
  limits: CallerLimits;
  /** The data server type. */
  type: string;
  /** How many sessions are in a state. */
  sessions: (state: State, role: "PROD" | "CONS") => number;
  connections: () => number;
  pendingCalls: () => number;
  earlyHellos: () => number;
  /** Data ports. */
  ports: { readonly used: number; readonly free: number };
  /** What sessions have of each node; undefined where the gateway is one machine. */
  nodes?: () => NodeNumbers[];
  /** What the data server has carried; undefined where it does not count. */
  traffic: () => Promise<Traffic | undefined>;
  /** When its certificate expires, in milliseconds since 1970 UTC; undefined without one. */
  certificateEndsMs: () => number | undefined;
}

/** A line of a metric. */
interface Sample {
  labels?: Record<string, string>;
  value: number;
  /** Where it is not the metric's own. */
  metricName?: string;
}

/** Rates are told in kilobytes. */
const KILO = 1000;

type Read = () => Sample[] | Promise<Sample[]>;

/** The metrics; each is read when somebody asks. */
export function registryOf(measured: Measured): Registry {
  const { counters, limits, type } = measured;
  const registry = new Registry();
  const metric =
    (Kind: typeof Counter | typeof Gauge | typeof Histogram) =>
    (name: string, help: string, read: Read) => {
      const each = new Kind({ name, help, registers: [] });
      // Nothing is kept in it: what is told is what is so at that moment.
      const get = async () => ({ ...await each.get(), values: await read() });
      registry.registerMetric(Object.assign(Object.create(each), { get, getForPromString: get }));
    };
  const counter = metric(Counter);
  const gauge = metric(Gauge);
  const histogram = (name: string, help: string, counted: Counted, label?: string) =>
    metric(Histogram)(name, help, () => samplesOf(name, counted, label));
  const one = (read: () => number | undefined): Read => () => {
    const value = read();
    return value === undefined ? [] : [{ value }];
  };
  const counts =
    (from: { entries(): { labels: string[]; count: number }[] }, ...names: string[]) => () =>
      from.entries().map(({ labels, count }) => ({
        labels: Object.fromEntries(names.map((name, i) => [name, labels[i] ?? ""])),
        value: count,
      }));

  gauge("scistream_build_info", "What runs; the value is always 1", () => [{
    labels: { version: VERSION, commit: COMMIT, deno: Deno.version.deno, type },
    value: 1,
  }]);

  gauge(
    "scistream_sessions",
    "Sessions now",
    () =>
      STATES.flatMap((state) =>
        (["PROD", "CONS"] as const).map((role) => ({
          labels: { state, role, type },
          value: measured.sessions(state, role),
        }))
      ),
  );
  counter(
    "scistream_sessions_ended_total",
    "Sessions that ended",
    counts(counters.ended, "outcome"),
  );
  counter(
    "scistream_recovered_sessions_total",
    "Sessions found at the start",
    counts(counters.recovered, "outcome"),
  );
  histogram(
    "scistream_setup_duration_seconds",
    "Steps of setting sessions up",
    counters.setup,
    "step",
  );

  const traffic = shared(measured.traffic);
  const carried = (pick: (traffic: Traffic) => Sample[]): Read => async () => {
    const now = await traffic();
    return now ? pick(now) : [];
  };
  const total = (name: typeof TOTALS[number]) => carried(({ totals }) => [{ value: totals[name] }]);
  counter(
    "scistream_bytes_total",
    "Bytes carried by all sessions",
    carried(({ totals }) => byDirection(totals)),
  );
  gauge(
    "scistream_connections_open",
    "Data connections now",
    carried(({ connectionsOpen }) => [{ value: connectionsOpen }]),
  );
  counter(
    "scistream_connections_accepted_total",
    "Data connections that came",
    total("connectionsTotal"),
  );
  counter(
    "scistream_connections_failed_total",
    "Data connections that never reached their target",
    total("connectionsFailed"),
  );
  counter(
    "scistream_connections_refused_total",
    "Data connections that were not let in",
    total("connectionsRefused"),
  );
  counter(
    "scistream_datagrams_dropped_total",
    "UDP datagrams that were not passed on",
    total("datagramsDropped"),
  );
  counter(
    "scistream_data_server_restarts_total",
    "Data servers that ended by themselves",
    counts(counters.restarts),
  );
  gauge("scistream_ports", "Data ports of --port-range", () => [
    { labels: { state: "used" }, value: measured.ports.used },
    { labels: { state: "free" }, value: measured.ports.free },
  ]);
  const { nodes } = measured;
  if (nodes) {
    const ofEach = (read: (node: NodeNumbers) => Sample[]): Read => () =>
      nodesToTell(nodes()).flatMap((node) =>
        read(node).map(({ labels, value }) => ({ labels: { node: node.name, ...labels }, value }))
      );
    gauge(
      "scistream_nodes",
      "Nodes that take sessions now",
      () => [{ value: nodes().filter(({ open }) => open).length }],
    );
    gauge(
      "scistream_node_sessions",
      "Sessions of each node",
      ofEach(({ sessions }) => [{ value: sessions }]),
    );
    gauge(
      "scistream_node_ports",
      "Data ports of each node",
      ofEach(({ used, free }) => [
        { labels: { state: "used" }, value: used },
        { labels: { state: "free" }, value: free },
      ]),
    );
    gauge(
      "scistream_node_reserved_bytes_per_second",
      "Rates of each node's sessions together",
      ofEach(({ reserved }) => [{ value: reserved * KILO }]),
    );
    gauge(
      "scistream_node_capacity_bytes_per_second",
      "What the rates of each node's sessions may reach",
      ofEach(({ capacity }) => capacity > 0 ? [{ value: capacity * KILO }] : []),
    );
  }

  counter(
    "scistream_calls_total",
    "Calls that were answered",
    counts(counters.calls, "method", "outcome"),
  );
  gauge("scistream_pending_calls", "Calls that wait for their answer", one(measured.pendingCalls));
  gauge("scistream_early_hellos", "Hellos that wait for their request", one(measured.earlyHellos));
  gauge(
    "scistream_control_connections",
    "Connections of control clients now",
    one(measured.connections),
  );
  counter(
    "scistream_refusals_total",
    "Calls and connections that a limit kept out",
    counts(counters.refusals, "limit"),
  );
  gauge(
    "scistream_limit",
    "Limits as they are set",
    () =>
      Object.entries(limits).map(([name, value]) => ({ labels: { limit: snake(name) }, value })),
  );
  counter(
    "scistream_authentications_total",
    "Callers that were let in or not",
    counts(counters.authentications, "outcome", "cached"),
  );
  histogram(
    "scistream_authentication_duration_seconds",
    "Finding out about tokens that were not known",
    counters.checks,
  );
  gauge(
    "scistream_certificate_expiry_timestamp_seconds",
    "When the certificate of the control server expires",
    one(() => seconds(measured.certificateEndsMs())),
  );
  counter(
    "scistream_write_errors_total",
    "Writes to the store and the audit log that failed",
    counts(counters.writeErrors, "file"),
  );

  gauge(
    "process_start_time_seconds",
    "When s2cs started",
    one(() => seconds(performance.timeOrigin)),
  );
  gauge(
    "process_resident_memory_bytes",
    "Memory of s2cs",
    one(() => Deno.memoryUsage().rss),
  );
  counter("process_cpu_seconds_total", "Processor time of s2cs", one(cpuSeconds));
  return registry;
}

function byDirection({ bytesToTarget, bytesFromTarget }: Totals): Sample[] {
  return [
    { labels: { direction: "to_target" }, value: bytesToTarget },
    { labels: { direction: "from_target" }, value: bytesFromTarget },
  ];
}

function samplesOf(name: string, counted: Counted, label?: string): Sample[] {
  return counted.entries().flatMap((observed) => {
    const labels: Record<string, string> = label ? { [label]: observed.label } : {};
    const bucket = (le: string, value: number) => ({
      labels: { ...labels, le },
      value,
      metricName: `${name}_bucket`,
    });
    return [
      ...counted.bounds.map((bound, i) => bucket(String(bound), observed.upTo[i] ?? 0)),
      bucket("+Inf", observed.count),
      { labels, value: observed.sum, metricName: `${name}_sum` },
      { labels, value: observed.count, metricName: `${name}_count` },
    ];
  });
}

/** One question for all who ask at the same time. */
function shared<T>(ask: () => Promise<T>): () => Promise<T> {
  let asking: Promise<T> | undefined;
  return () => asking ??= ask().finally(() => asking = undefined);
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000;
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** `callRate` as metrics are named: `call_rate`. */
function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
