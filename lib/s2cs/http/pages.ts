/**
 * Pages, whole when they come: what is there now is in the HTML, and scripts take it from there.
 * @module
 */
import { randomBytes } from "node:crypto";
import { Eta } from "eta";
import {
  CHANNEL_COLUMNS,
  figures,
  sessionAbout,
  sessionColumns,
  sessionFigures,
} from "../../../templates/dashboard/columns.js";
import figuresTemplate from "../../../templates/dashboard/figures.eta" with { type: "text" };
import overviewTemplate from "../../../templates/dashboard/overview.eta" with { type: "text" };
import pageTemplate from "../../../templates/dashboard/page.eta" with { type: "text" };
import sessionTemplate from "../../../templates/dashboard/session.eta" with { type: "text" };
import signInTemplate from "../../../templates/dashboard/sign_in.eta" with { type: "text" };
import tableTemplate from "../../../templates/dashboard/table.eta" with { type: "text" };
import { INLINE, scriptPath } from "./assets.ts";
import type { Past } from "./history.ts";
import type { Answer } from "./listen.ts";
import type { ChannelRow, Row } from "./rows.ts";
import { HEAD, type Seen } from "./view.ts";
import type { Visitor } from "./visitors.ts";

/** Rows of a table that come with the page; templates/dashboard/table.js shows as many. */
const FIRST_ROWS = 25;

const eta = new Eta({ autoEscape: true });

/** What every page tells. */
interface Common {
  /** The gateway's address. */
  gateway: string;
  visitor?: Visitor;
}

/** All sessions that the visitor sees; `nodes` is whether they are on nodes. */
export function overviewPage(
  { nodes, ...common }: Common & { nodes: boolean },
  seen: Seen,
  past: Past,
): Answer {
  const rows = [...seen.rows] as [string, Row][];
  // Where nobody is known, nobody owns a session.
  const owners = common.visitor?.who !== undefined;
  const columns = sessionColumns({ owners, nodes });
  const newest = rows.toSorted(([, a], [, b]) => b.created - a.created);
  const main = eta.renderString(overviewTemplate, {
    figures: figuresOf(figures(rows.map(([, row]) => row)), "Sessions"),
    table: table("sessions", columns, newest, seen.at),
  });
  return page({
    ...common,
    title: `SciStream gateway ${common.gateway}`,
    script: scriptPath("overview.js"),
    here: "/",
    data: { at: seen.at, rows: Object.fromEntries(rows), past, owners, nodes, events: "/events" },
    main,
  });
}

/** One session. */
export function sessionPage(common: Common, seen: Seen, past: Past): Answer {
  const row = seen.rows.get(HEAD) as Row;
  const channels = ([...seen.rows] as [string, ChannelRow][]).filter(([key]) => key !== HEAD);
  const { id } = row;
  const here = `/sessions/${id}`;
  const main = eta.renderString(sessionTemplate, {
    id,
    about: sessionAbout(row, seen.at),
    mayRelease: common.visitor?.mayRelease,
    notes: [row.reason, row.error, ...row.warnings].filter(Boolean),
    figures: figuresOf(sessionFigures(row), "State"),
    table: table("channels", CHANNEL_COLUMNS, channels, seen.at),
  });
  return page({
    ...common,
    title: `Session ${id}, SciStream gateway ${common.gateway}`,
    script: scriptPath("session.js"),
    here,
    back: true,
    data: {
      at: seen.at,
      rows: Object.fromEntries(seen.rows),
      past,
      session: id,
      events: `${here}/events`,
      release: `${here}/release`,
    },
    main,
  });
}

/** @param wrong why the last try was refused; @param tokenPath where the operator's token is */
export function signInPage(
  common: Common,
  { next, wrong = "", tokenPath, status = 200 }: {
    next: string;
    wrong?: string;
    tokenPath?: string;
    status?: number;
  },
): Answer {
  const { gateway } = common;
  const main = eta.renderString(signInTemplate, { gateway, next, wrong, tokenPath });
  const title = `Sign in, SciStream gateway ${gateway}`;
  return page({ ...common, title, script: scriptPath("theme.js"), here: next, main, status });
}

function page(
  { visitor, data, status = 200, ...more }: Common & {
    title: string;
    script: string;
    here: string;
    main: string;
    back?: boolean;
    data?: object;
    status?: number;
  },
): Answer {
  const nonce = randomBytes(16).toString("base64");
  const body = eta.renderString(pageTemplate, {
    back: false,
    ...more,
    ...INLINE,
    nonce,
    name: visitor?.name ?? "",
    admin: visitor?.who?.admin ?? false,
    isLive: data !== undefined,
    // Inside a script element only its end must not be written.
    data: JSON.stringify(data ?? {}).replaceAll("<", "\\u003c"),
  });
  return {
    status,
    headers: {
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
      "content-security-policy": [
        "default-src 'none'",
        `script-src 'nonce-${nonce}'`,
        `style-src 'nonce-${nonce}'`,
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
      ].join("; "),
    },
    body,
  };
}

/** The key of the first figure says what it is of. */
function figuresOf(all: { name: string; value: string; text: string }[], first: string): string {
  const titles = [first, "Connections", "To targets", "From targets"];
  return eta.renderString(figuresTemplate, { figures: all, titles });
}

function table(
  id: string,
  columns: readonly object[],
  rows: readonly [string, object][],
  now: number,
): string {
  const first = rows.slice(0, FIRST_ROWS).map(([key, row]) => ({ key, row }));
  return eta.renderString(tableTemplate, { id, columns, rows: first, now });
}
