/**
 * What a soak has done, and how it is told.
 * @module
 */
import { humanBytes } from "../../lib/s2uc/status.ts";
import type { Fault } from "./plan.ts";

/** What came of one type. */
export class Tally {
  alive = 0;
  made = 0;
  released = 0;
  updates = 0;
  expired = 0;
  cancelled = 0;
  rounds = 0;
  /** Of sessions that are over. */
  bytes = 0;
  /** Of each fault: how often, and the longest time until new connections worked, in milliseconds. */
  readonly faults = new Map<Fault, { times: number; worstMs: number }>();
  /** Everything that was wrong, a sentence each. */
  readonly failures: string[] = [];
  /** Whether these are leaks. */
  leaks = 0;
  memory = "";

  constructor(readonly type: string) {}

  fault(name: Fault, recoveryMs: number): void {
    const { times, worstMs } = this.faults.get(name) ?? { times: 0, worstMs: 0 };
    this.faults.set(name, { times: times + 1, worstMs: Math.max(worstMs, recoveryMs) });
  }
}

/** One line about how it goes. */
export function progressLine(tallies: readonly Tally[], bytes: number, elapsedMs: number): string {
  const faults = sum(tallies.flatMap(({ faults }) => [...faults.values()].map((f) => f.times)));
  return `${clock(elapsedMs)} ${total(tallies, "alive")} sessions alive, ` +
    `${total(tallies, "made")} made, ${total(tallies, "released")} released, ` +
    `${humanBytes(bytes)} verified, ${faults} faults, ${total(tallies, "rounds")} rounds, ` +
    `${sum(tallies.map(({ failures }) => failures.length))} failures`;
}

/** The table at the end: a line a type, and what went wrong with it. */
export function summaryLines(tallies: readonly Tally[], elapsedMs: number): string[] {
  const rows = tallies.map((tally) => [
    tally.type,
    String(tally.made),
    String(tally.released),
    String(tally.updates),
    `${tally.expired}+${tally.cancelled}`,
    humanBytes(tally.bytes),
    String(sum([...tally.faults.values()].map(({ times }) => times))),
    worst(tally),
    String(tally.rounds),
    tally.leaks === 0 ? "none" : String(tally.leaks),
  ]);
  const head = ["type", "made", "released", "updates", "expired+cancelled", "verified"];
  const table = align([[...head, "faults", "worst recovery", "rounds", "leaks"], ...rows]);
  const faults = tallies.map(({ type, faults }) => {
    const each = [...faults].sort().map(([kind, { times, worstMs }]) =>
      `${kind} ${times}× (${seconds(worstMs)})`
    );
    return `${type}: ${each.join(", ") || "none"}`;
  });
  const memory = tallies.map(({ type, memory }) => `${type}: ${memory || "not known"}`);
  return [
    `soaked for ${clock(elapsedMs)}`,
    ...["", ...table],
    ...["", "faults, how often and the longest recovery:", ...faults.map(indented)],
    ...["", "resident memory, at first and at most:", ...memory.map(indented)],
  ];
}

function indented(line: string): string {
  return `  ${line}`;
}

function worst({ faults }: Tally): string {
  const [kind, longest] = [...faults].sort(([, a], [, b]) => b.worstMs - a.worstMs)[0] ?? [];
  return longest ? `${seconds(longest.worstMs)} (${kind})` : "-";
}

function total(tallies: readonly Tally[], key: "alive" | "made" | "released" | "rounds"): number {
  return sum(tallies.map((tally) => tally[key]));
}

function align(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  ").trimEnd());
}

/** Hours, minutes and seconds. */
function clock(ms: number): string {
  const all = Math.round(ms / 1000);
  const parts = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, each) => all + each, 0);
}
