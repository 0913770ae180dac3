/**
 * What a benchmark answers, and how it is shown.
 * @module
 */
import type { Goal } from "./goals.ts";

/** One table, what it was measured for, and what of it is drawn. */
export interface Result {
  name: string;
  title: string;
  columns: string[];
  rows: (string | number)[][];
  goals: Goal[];
  figures?: Figure[];
  /** What else is to be known, such as what was left out. */
  notes?: string[];
}

/** A measure of several ways, for bars beside each other. */
export interface Figure {
  title: string;
  /** Of all values, and which of them are the good ones. */
  unit: string;
  better: "more" | "less";
  bars: { name: string; value: number }[];
  /** Goals that are read off these bars. */
  goals: Goal[];
}

/** What every benchmark is given. */
export interface Context {
  /** Of this run, for files; gone afterwards. */
  folder: string;
  signal: AbortSignal;
  /** Rounds after the one that warms up, where the user asks for another number than usual. */
  rounds?: number;
  /** Told what is being done. */
  tell: (what: string) => void;
}

/** The value in the middle. */
export function median(samples: readonly number[]): number {
  return percentile(samples, 50);
}

/** The smallest sample that `percent` of all are not above (nearest rank). */
export function percentile(samples: readonly number[], percent: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * percent / 100) - 1)] ?? NaN;
}

/**
 * Each item in turn, round after round and every other round backwards, so that nobody always has
 * the same neighbour or the quieter moment. Round 0 comes on top of `rounds`: it warms up.
 */
export function* inTurn<T>(
  items: readonly T[],
  rounds: number,
): Generator<{ round: number; item: T }> {
  for (let round = 0; round <= rounds; round++) {
    for (const item of round % 2 === 0 ? items : items.toReversed()) yield { round, item };
  }
}

/** A number as people read it: three digits, more only before the point. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return "?";
  const size = Math.abs(value);
  return value.toFixed(size < 10 ? 2 : size < 100 ? 1 : 0);
}

/** A result for people, without its goals. */
export function resultLines({ title, columns, rows, notes }: Result): string[] {
  return [
    title,
    ...tableLines([columns, ...rows]),
    ...(notes ?? []).map((each) => `  ${each}`),
    "",
  ];
}

/** Cells in columns: the first to the left, the others to the right. */
function tableLines(rows: readonly (string | number)[][]): string[] {
  const cells = rows.map((row) => row.map((cell) => typeof cell === "number" ? short(cell) : cell));
  return aligned(cells, (column) => column === 0 ? "left" : "right");
}

/** Cells below each other, two spaces apart and from the margin. */
export function aligned(
  rows: readonly string[][],
  side: (column: number) => "left" | "right",
): string[] {
  const count = Math.max(...rows.map((row) => row.length));
  const widths = Array.from(
    { length: count },
    (_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)),
  );
  return rows.map((row) =>
    "  " +
    row.map((cell, i) =>
      side(i) === "left" ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)
    ).join("  ").trimEnd()
  );
}
