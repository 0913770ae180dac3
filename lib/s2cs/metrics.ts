/**
 * What a control server tells of itself to Prometheus.
 * @module
 */
import { Counter, Gauge, Registry } from "prom-client";
import type { Counters } from "./counters.ts";
import type { CallerLimits } from "./settings.ts";
import { type State, STATES } from "./state.ts";

/** What the metrics are read from, whenever somebody asks. */
export interface Measured {
  counters: Counters;
  limits: CallerLimits;
  /** How many sessions are in a state. */
  sessions: (state: State) => number;
  connections: () => number;
  pendingCalls: () => number;
  earlyHellos: () => number;
}

/** The metrics; each is read when somebody asks. */
export function registryOf(measured: Measured): Registry {
  const { counters, limits } = measured;
  const registry = new Registry();
  const metric = (Kind: typeof Counter | typeof Gauge) =>
  (
    name: string,
    help: string,
    labelNames: readonly string[],
    read: () => Iterable<{ labels: readonly string[]; count: number }>,
  ) => {
    new Kind({
      name: `scistream_${name}`,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        for (const { labels, count } of read()) {
          this.inc(Object.fromEntries(labelNames.map((each, i) => [each, labels[i] ?? ""])), count);
        }
      },
    });
  };
  const counter = metric(Counter);
  const gauge = metric(Gauge);
  const one = (read: () => number) => () => [{ labels: [], count: read() }];
  counter(
    "calls_total",
    "Calls that were answered",
    ["method", "outcome"],
    () => counters.calls.entries(),
  );
  counter(
    "refusals_total",
    "Calls and connections that a limit kept out",
    ["limit"],
    () => counters.refusals.entries(),
  );
  counter(
    "recovered_sessions_total",
    "Sessions found at the start",
    ["outcome"],
    () => counters.recovered.entries(),
  );
  gauge(
    "sessions",
    "Sessions now",
    ["state"],
    () => STATES.map((state) => ({ labels: [state], count: measured.sessions(state) })),
  );
  gauge("connections", "Connections of control clients now", [], one(measured.connections));
  gauge("pending_calls", "Calls that wait for their answer now", [], one(measured.pendingCalls));
  gauge("early_hellos", "Hellos that wait for their request now", [], one(measured.earlyHellos));
  gauge(
    "limit",
    "CallerLimits as they are set",
    ["limit"],
    () => Object.entries(limits).map(([name, count]) => ({ labels: [snake(name)], count })),
  );
  return registry;
}

/** `callRate` as metrics are named: `call_rate`. */
function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
