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
  /** The uid, or for whoever must not have it `hash:` and its SHA-256. */
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
  /** Empty or absent for the control server's own machine. */
  node?: string;
  moved?: { from: string; atMs: number };
}

/** Before a uid's hash. */
const HASH = "hash:";

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
    node: session.node || undefined,
    moved: session.moved,
  };
  const name = uid.isKnown ? uid.reveal() : `${HASH}${uid.hash}`;
  return { uid: name, role, state, created_ms: createdMs, record: JSON.stringify(rest) };
}

function parseUid(text: string): Uid {
  return text.startsWith(HASH) ? Uid.ofHash(text.slice(HASH.length)) : Uid.parse(text);
}

/** @throws {Error} for a row that this program did not write */
export function fromRow(row: Record<keyof Row, unknown>): Session {
  const rest = JSON.parse(String(row.record)) as Rest;
  if (!isWhole(rest)) throw new Damaged("a session's record is not whole");
  const state = STATES.find((each) => each === row.state);
  if (!state) throw new Damaged(`unknown state ${row.state}`);
  const endpoints = (texts: string[]) => texts.map((text) => Endpoint.parse(text));
  return {
    uid: parseUid(String(row.uid)),
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
    node: rest.node ?? "",
    moved: rest.moved,
  };
}

/** Whether what the types say is there; the addresses are parsed afterwards. */
function isWhole({ owner, rate, reason, warnings, node, moved }: Rest): boolean {
  const owned = owner === undefined ||
    typeof owner?.id === "string" && typeof owner.name === "string";
  const placed = (node === undefined || typeof node === "string") &&
    (moved === undefined || typeof moved?.from === "string" && Number.isInteger(moved.atMs));
  return owned && placed && Number.isInteger(rate) && rate >= 0 && typeof reason === "string" &&
    Array.isArray(warnings) && warnings.every((each) => typeof each === "string");
}

/** The same as one text. */
export function toText(session: Session): string {
  return JSON.stringify(toRow(session));
}

/**
 * As one text for an engine, where others may read it, so without the uid. Whoever takes a session up from
 * this alone takes it up from where its request was answered.
 */
export function toOpenText(session: Session): string {
  const state = session.state === "waiting" ? "ready" : session.state;
  return toText({ ...session, state, uid: Uid.ofHash(session.uid.hash) });
}

/** @throws {Error} for a text that this program did not write */
export function fromText(text: string): Session {
  return fromRow(JSON.parse(text) as Row);
}
