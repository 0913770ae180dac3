// The tables' columns, for the server's first sight and for the page: a title, what is written, what
// is sorted by.
import { age, bytes, count, moment, speed } from "./format.js";

/**
 * @typedef {Record<string, any>} Row
 * @typedef {{
 *   key: string, title: string, kind: "text" | "number" | "state" | "link",
 *   text: (row: Row, now: number) => string, by: (row: Row) => string | number, narrow?: boolean,
 * }} Column
 */

/** @param {Row} row */
const counted = (row, text = "") => row.counted ? text : "–";

/** @param {Row} row */
function note(row) {
  const all = [row.reason, row.error, ...row.warnings].filter(Boolean);
  return all.length > 1 ? `${all[0]} (+${all.length - 1})` : all[0] ?? "";
}

/** @type {Column[]} */
export const SESSION_COLUMNS = [
  {
    key: "id",
    title: "Session",
    kind: "link",
    text: (row) => row.id,
    by: (row) => row.id,
    narrow: true,
  },
  {
    key: "state",
    title: "State",
    kind: "state",
    text: (row) => row.state,
    by: (row) => row.state,
    narrow: true,
  },
  { key: "role", title: "Role", kind: "text", text: (row) => row.role, by: (row) => row.role },
  {
    key: "owner",
    title: "Owner",
    kind: "text",
    text: (row) => row.owner || "–",
    by: (row) => row.owner,
  },
  {
    key: "node",
    title: "Node",
    kind: "text",
    text: (row) => row.node || "–",
    by: (row) => row.node,
  },
  {
    key: "listeners",
    title: "Listeners",
    kind: "text",
    text: (row) => row.listeners,
    by: (row) => row.listeners,
  },
  {
    key: "open",
    title: "Connections",
    kind: "number",
    text: (row) => counted(row, count(row.open)),
    by: (row) => row.open,
  },
  {
    key: "toSpeed",
    title: "To targets",
    kind: "number",
    text: (row) => counted(row, speed(row.toSpeed)),
    by: (row) => row.toSpeed,
    narrow: true,
  },
  {
    key: "fromSpeed",
    title: "From targets",
    kind: "number",
    text: (row) => counted(row, speed(row.fromSpeed)),
    by: (row) => row.fromSpeed,
    narrow: true,
  },
  {
    key: "bytes",
    title: "Bytes",
    kind: "number",
    text: (row) => counted(row, bytes(row.to + row.from)),
    by: (row) => row.to + row.from,
  },
  {
    key: "created",
    title: "Age",
    kind: "number",
    text: (row, now) => age(now - row.created),
    by: (row) => -row.created,
  },
  { key: "note", title: "Note", kind: "text", text: note, by: note },
];

/** @type {Column[]} */
export const CHANNEL_COLUMNS = [
  {
    key: "channel",
    title: "Channel",
    kind: "number",
    text: (row) => String(row.channel),
    by: (row) => row.channel,
    narrow: true,
  },
  {
    key: "listener",
    title: "Listener",
    kind: "text",
    text: (row) => row.listener,
    by: (row) => row.listener,
    narrow: true,
  },
  {
    key: "target",
    title: "Target",
    kind: "text",
    text: (row) => row.target || "not set yet",
    by: (row) => row.target,
  },
  {
    key: "peers",
    title: "Connected from",
    kind: "text",
    text: (row) => row.peers || "–",
    by: (row) => row.peers,
  },
  {
    key: "open",
    title: "Connections",
    kind: "number",
    text: (row) => counted(row, `${count(row.open)} of ${count(row.total)}`),
    by: (row) => row.open,
  },
  {
    key: "failed",
    title: "Failed",
    kind: "number",
    text: (row) => counted(row, count(row.failed)),
    by: (row) => row.failed,
  },
  {
    key: "refused",
    title: "Refused",
    kind: "number",
    text: (row) => counted(row, count(row.refused)),
    by: (row) => row.refused,
  },
  {
    key: "toSpeed",
    title: "To target",
    kind: "number",
    text: (row) => counted(row, speed(row.toSpeed)),
    by: (row) => row.toSpeed,
    narrow: true,
  },
  {
    key: "fromSpeed",
    title: "From target",
    kind: "number",
    text: (row) => counted(row, speed(row.fromSpeed)),
    by: (row) => row.fromSpeed,
    narrow: true,
  },
  {
    key: "bytes",
    title: "Bytes to / from",
    kind: "number",
    text: (row) => counted(row, `${bytes(row.to)} / ${bytes(row.from)}`),
    by: (row) => row.to + row.from,
  },
  {
    key: "error",
    title: "Last error",
    kind: "text",
    text: (row) =>
      row.error ? `${row.error}${row.errorMs ? ` (${moment(row.errorMs)})` : ""}` : "–",
    by: (row) => row.errorMs,
  },
];

/**
 * @param {{ owners: boolean, nodes: boolean }} known whether anybody owns sessions here, and whether
 *   they are on nodes
 */
export function sessionColumns({ owners, nodes }) {
  return SESSION_COLUMNS.filter(({ key }) =>
    (owners || key !== "owner") && (nodes || key !== "node")
  );
}

/**
 * @param {Row} row
 * @param {number} now
 */
export function sessionAbout(row, now) {
  const owner = row.owner && `of ${row.owner}, `;
  const node = row.node && ` on ${row.node}`;
  return `${owner}${row.listeners}${node}, made ${age(now - row.created)} ago`;
}

/**
 * @param {Row[]} rows
 * @returns {{ name: string, value: string, text: string }[]} what all sessions together come to
 */
export function figures(rows) {
  /** @param {string} key */
  const sum = (key) => rows.reduce((total, row) => total + row[key], 0);
  const streaming = rows.filter(({ state }) => state === "streaming").length;
  return [
    { name: "sessions", value: count(rows.length), text: `${streaming} streaming` },
    { name: "connections", value: count(sum("open")), text: `${count(sum("channels"))} channels` },
    { name: "to", value: speed(sum("toSpeed")), text: `${bytes(sum("to"))} in all` },
    { name: "from", value: speed(sum("fromSpeed")), text: `${bytes(sum("from"))} in all` },
  ];
}

/**
 * @param {Row} row
 * @returns {{ name: string, value: string, text: string }[]} what one session comes to
 */
export function sessionFigures(row) {
  const limit = row.rate > 0
    ? `${speed(row.rate * 1000)} ${row.enforced ? "limit" : "asked for"}`
    : "no limit";
  return [
    {
      name: "sessions",
      value: row.state,
      text: `${row.role === "PROD" ? "producer" : "consumer"}'s side, ${limit}`,
    },
    {
      name: "connections",
      value: counted(row, count(row.open)),
      text: `${count(row.total)} so far, ${count(row.failed)} failed, ${
        count(row.refused)
      } refused`,
    },
    { name: "to", value: counted(row, speed(row.toSpeed)), text: `${bytes(row.to)} in all` },
    { name: "from", value: counted(row, speed(row.fromSpeed)), text: `${bytes(row.from)} in all` },
  ];
}
