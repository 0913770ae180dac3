/**
 * What a visitor sees of a snapshot, and of the time before it.
 * @module
 */
import type { Principal } from "../../auth/authenticator.ts";
import type { SessionReport } from "../gateway.ts";
import type { Snapshot } from "../observer.ts";
import { sees } from "../owner.ts";
import { sessionStatus } from "../report.ts";
import type { Rows } from "./delta.ts";
import { type History, type Past, speedOf, type Whose } from "./history.ts";
import { channelRows, type Row, rowOf } from "./rows.ts";

/** The key of a session's own row beside those of its channels. */
export const HEAD = "session";

/** What is shown at one moment. Speeds are bytes per second. */
export interface Seen {
  at: number;
  to: number;
  from: number;
  rows: Rows;
}

/** Shows all sessions of a visitor, or one. */
export class View {
  readonly #history: History;
  readonly #type: string;
  readonly #enforced: () => boolean;
  /** Made once for all who look. */
  readonly #rows = new WeakMap<SessionReport, Row>();

  /** @param type the data server type; @param enforced whether sessions are held to their rates */
  constructor(history: History, type: string, enforced: () => boolean) {
    this.#history = history;
    this.#type = type;
    this.#enforced = enforced;
  }

  /** The visitor's sessions in lines, by their public ids. */
  all({ atMs, sessions }: Snapshot, who: Principal | undefined): Seen {
    const mine = sessions.filter(({ session }) => sees(session, who));
    const seen = { at: atMs, to: 0, from: 0, rows: new Map<string, Row>() };
    for (const report of mine) {
      const { to, from } = speedOf(report);
      seen.to += to;
      seen.from += from;
      seen.rows.set(report.session.uid.session, this.#row(report));
    }
    return seen;
  }

  /** One session's line, and its channels'; empty where the visitor sees none of this name. */
  one({ atMs, sessions }: Snapshot, who: Principal | undefined, id: string): Seen {
    const report = named(sessions, who, id);
    if (!report) return { at: atMs, to: 0, from: 0, rows: new Map() };
    const rows = new Map<string, object>([[HEAD, this.#row(report)]]);
    for (const row of channelRows(this.#status(report))) rows.set(String(row.channel), row);
    return { at: atMs, ...speedOf(report), rows };
  }

  /** How it was. */
  past({ sessions }: Snapshot, who: Principal | undefined, id?: string): Past {
    const one = id && named(sessions, who, id);
    const whose: Whose = one
      ? `session:${one.session.uid.hash}`
      : who && !who.admin
      ? `owner:${who.id}`
      : "all";
    return this.#history.past(whose);
  }

  #row(report: SessionReport): Row {
    let row = this.#rows.get(report);
    if (!row) this.#rows.set(report, row = rowOf(this.#status(report)));
    return row;
  }

  #status(report: SessionReport) {
    return sessionStatus(report, this.#type, this.#enforced());
  }
}

/** The visitor's session of this public id. */
function named(sessions: SessionReport[], who: Principal | undefined, id: string) {
  return sessions.find(({ session }) => session.uid.session === id && sees(session, who));
}
