/**
 * Lines that are drawn again and again in the same place of a terminal.
 * @module
 */
import type { Io } from "../cli/command.ts";
import { fit } from "./view.ts";

/** Where a view is drawn. */
export class Screen {
  readonly #io: Pick<Io, "paint" | "terminal">;
  /** As they stand there. */
  #lines: string[] = [];

  constructor(io: Pick<Io, "paint" | "terminal">) {
    this.#io = io;
  }

  /** The terminal as it is now; its user may change its size. */
  get size(): { columns: number; rows: number } {
    const { columns, rows } = this.#io.terminal() ?? { columns: 0, rows: 0 };
    // One that tells no size is taken for an ordinary one.
    return { columns: columns || 80, rows: rows || 24 };
  }

  /** Draws these in place of the last ones. What is below the terminal's end cannot be drawn again. */
  draw(lines: readonly string[]): void {
    const { columns, rows } = this.size;
    const most = Math.max(1, rows - 1);
    const shown = lines.length <= most ? [...lines] : [
      ...lines.slice(0, most - 1),
      fit(`… ${lines.length - most + 1} more lines`, columns),
    ];
    // Lines of a terminal that has become narrower take more of its rows.
    const up = this.#lines.reduce((sum, line) => sum + Math.max(1, rowsOf(line, columns)), 0);
    this.#io.paint(
      `${up > 0 ? `\x1b[${up}A` : ""}\r\x1b[J${shown.map((line) => `${line}\n`).join("")}`,
    );
    this.#lines = shown;
  }
}

function rowsOf(line: string, columns: number): number {
  return Math.ceil([...line].length / columns);
}
