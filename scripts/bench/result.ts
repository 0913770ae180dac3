/**
 * What a benchmark answers, and how it is shown.
 * @module
 */

/** One table and what it was measured for. */
export interface Result {
  name: string;
  title: string;
  columns: string[];
  rows: (string | number)[][];
  goals: Goal[];
  /** What else is to be known, such as what was left out. */
  notes?: string[];
}

/** A goal and whether this run met it; never an assertion, for the machine may be busy. */
export interface Goal {
  goal: string;
  seen: string;
  met: boolean;
}

/** What every benchmark is given. */
export interface Context {
  /** Of this run, for files; gone afterwards. */
  folder: string;
  signal: AbortSignal;
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

/** A result for people. */
export function resultLines(result: Result): string[] {
  const cells = [
    result.columns,
    ...result.rows.map((row) =>
      row.map((cell) => typeof cell === "number" ? cell.toFixed(2) : cell)
    ),
  ];
  const widths = result.columns.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  return [
    result.title,
    ...cells.map((row) =>
      "  " +
      row.map((cell, i) => i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))
        .join("  ").trimEnd()
    ),
    ...result.goals.map(({ goal, seen, met }) => `  ${met ? "met   " : "MISSED"} ${goal}: ${seen}`),
    ...(result.notes ?? []).map((note) => `  ${note}`),
    "",
  ];
}
