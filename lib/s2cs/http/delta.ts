/**
 * What has changed since a reader was last told.
 * @module
 */

/** Rows by their key; a row is a record of plain values and lists of them. */
export type Rows = ReadonlyMap<string, object>;

/** What a reader has to change; fields that are not there stay. */
export interface Changes {
  rows: Record<string, Record<string, unknown>>;
  gone: string[];
}

/** Remembers what one reader was told. */
export class Delta {
  #told: Rows;

  /** @param told what the reader has already */
  constructor(told: Rows = new Map()) {
    this.#told = told;
  }

  /** What makes what the reader has into these rows. */
  next(rows: Rows): Changes {
    const changes: Changes = { rows: {}, gone: [] };
    for (const [key, row] of rows) {
      const changed = fieldsOf(row, this.#told.get(key));
      if (changed) changes.rows[key] = changed;
    }
    for (const key of this.#told.keys()) if (!rows.has(key)) changes.gone.push(key);
    this.#told = rows;
    return changes;
  }
}

function fieldsOf(row: object, before: object | undefined): Record<string, unknown> | undefined {
  if (!before) return { ...row };
  if (row === before) return undefined;
  const old = before as Record<string, unknown>;
  const changed = Object.entries(row).filter(([name, value]) =>
    value !== old[name] &&
    (typeof value !== "object" || JSON.stringify(value) !== JSON.stringify(old[name]))
  );
  return changed.length > 0 ? Object.fromEntries(changed) : undefined;
}
