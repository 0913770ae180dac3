/**
 * What pages are made with: scripts under addresses that change with them, and texts that go into the
 * pages themselves.
 * @module
 */
import { createHash } from "node:crypto";
import chart from "../../../templates/dashboard/chart.js" with { type: "text" };
import columns from "../../../templates/dashboard/columns.js" with { type: "text" };
import early from "../../../templates/dashboard/early.js" with { type: "text" };
import format from "../../../templates/dashboard/format.js" with { type: "text" };
import icon from "../../../templates/dashboard/icon.svg" with { type: "text" };
import live from "../../../templates/dashboard/live.js" with { type: "text" };
import overview from "../../../templates/dashboard/overview.js" with { type: "text" };
import session from "../../../templates/dashboard/session.js" with { type: "text" };
import style from "../../../templates/dashboard/style.css" with { type: "text" };
import svg from "../../../templates/dashboard/svg.js" with { type: "text" };
import table from "../../../templates/dashboard/table.js" with { type: "text" };
import theme from "../../../templates/dashboard/theme.js" with { type: "text" };
import topology from "../../../templates/dashboard/topology.js" with { type: "text" };
import type { Answer } from "./listen.ts";

const SCRIPTS: Record<string, string> = {
  ...{ "chart.js": chart, "columns.js": columns, "format.js": format, "live.js": live },
  ...{ "overview.js": overview, "session.js": session, "svg.js": svg, "table.js": table },
  ...{ "theme.js": theme, "topology.js": topology },
};
const VERSION = createHash("sha256").update(JSON.stringify(SCRIPTS)).digest("hex").slice(0, 12);

/** Go into each page. */
export const INLINE = { style, early };

/** Where a script is. */
export function scriptPath(name: string): string {
  return `/assets/${VERSION}/${name}`;
}

/** A script or the icon; undefined for what is none. There is no secret in them. */
export function asset(path: string): Answer | undefined {
  if (path === "/icon.svg") return file(icon, "image/svg+xml", 3600);
  const [, version, name = ""] = /^\/assets\/([0-9a-f]+)\/([a-z]+\.js)$/.exec(path) ?? [];
  if (version !== VERSION || !Object.hasOwn(SCRIPTS, name)) return undefined;
  return file(SCRIPTS[name] as string, "text/javascript; charset=utf-8", 31_536_000);
}

function file(body: string, type: string, seconds: number): Answer {
  const headers = { "content-type": type, "cache-control": `public, max-age=${seconds}` };
  return { status: 200, headers, body };
}
