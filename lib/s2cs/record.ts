/**
 * A session as text: for the store, and for whoever keeps it beside what runs.
 * @module
 */
import { Networks } from "../protocol/cidr.ts";
import { Endpoint } from "../protocol/endpoint.ts";
import { Uid } from "../protocol/uid.ts";
import { parseRole } from "../protocol/values.ts";
import type { Session } from "./session.ts";
import { STATES } from "./state.ts";

/** A row of the store. */
export interface Row {
  uid: string;
  role: string;
  state: string;
  created_ms: number;
  /** JSON of what is only ever read as a whole. */
  record: string;
}

interface Rest {
  owner?: { id: string; name: string };
  rate: number;
  reason: string;
  allow?: string[];
  warnings: string[];
  listeners: string[];
  appListeners: string[];
  targets: string[];
}

/** Contents that this program did not write. */
export class Damaged extends Error {}

/** What is stored of a session; the uid is in it. */
export function toRow(session: Session): Row {
  const { uid, role, state, createdMs, owner, rate, reason, allow, warnings } = session;
  const rest: Rest = {
    owner,
    rate,
    reason,
    allow: allow && [...allow.texts],
    warnings: [...warnings],
    listeners: session.listeners.map(String),
    appListeners: session.appListeners.map(String),
    targets: session.targets.map(String),
  };
  return { uid: uid.reveal(), role, state, created_ms: createdMs, record: JSON.stringify(rest) };
}

/** @throws {Error} for a row that this program did not write */
export function fromRow(row: Record<keyof Row, unknown>): Session {
  const rest = JSON.parse(String(row.record)) as Rest;
  if (!isWhole(rest)) throw new Damaged("a session's record is not whole");
  const state = STATES.find((each) => each === row.state);
  if (!state) throw new Damaged(`unknown state ${row.state}`);
  const endpoints = (texts: string[]) => texts.map((text) => Endpoint.parse(text));
  return {
    uid: Uid.parse(String(row.uid)),
    role: parseRole(String(row.role)),
    state,
    createdMs: Number(row.created_ms),
    owner: rest.owner,
    rate: rest.rate,
    reason: rest.reason,
    allow: rest.allow && Networks.parse(rest.allow),
    warnings: rest.warnings,
    listeners: endpoints(rest.listeners),
    appListeners: endpoints(rest.appListeners),
    targets: endpoints(rest.targets),
  };
}

/** Whether what the types say is there; the addresses are parsed afterwards. */
function isWhole({ owner, rate, reason, warnings }: Rest): boolean {
  const owned = owner === undefined ||
    typeof owner?.id === "string" && typeof owner.name === "string";
  return owned && Number.isInteger(rate) && rate >= 0 && typeof reason === "string" &&
    Array.isArray(warnings) && warnings.every((each) => typeof each === "string");
}

/** The same as one text. */
export function toText(session: Session): string {
  return JSON.stringify(toRow(session));
}

/** @throws {Error} for a text that this program did not write */
export function fromText(text: string): Session {
  return fromRow(JSON.parse(text) as Row);
}
