/**
 * Draws the life of a session (lib/s2cs/state.ts) as docs/pictures/states.svg: `deno task draw`.
 * Where states and arrows are is placed by hand; which there are, the table says.
 * @module
 */
import { type State, STATES, transitions } from "../lib/s2cs/state.ts";

/** The picture, seen from the project's folder. */
export const STATES_SVG = "docs/pictures/states.svg";

const WIDTH = 960;
const HEIGHT = 480;
const BOX = { width: 116, height: 44 };
/** The middle of each state's box, in pixels. */
const PLACES: Record<State, [x: number, y: number]> = {
  released: [140, 70],
  draining: [460, 70],
  reserved: [140, 210],
  waiting: [350, 210],
  ready: [570, 210],
  streaming: [790, 210],
  expired: [460, 310],
  failed: [570, 410],
};
const START: [x: number, y: number] = [22, 210];

/** An arrow's path, and where its label is: left of the point, right of it, or around it. */
type Arrow = [path: string, x: number, y: number, anchor?: "start" | "middle" | "end"];

const ARROWS: Record<string, Arrow> = {
  "reserved waiting": ["M198,210 H286", 243, 202],
  "waiting ready": ["M408,210 H506", 458, 202],
  "ready streaming": ["M628,210 H726", 678, 202],
  "reserved draining": ["M168,188 L400,86", 262, 138, "end"],
  "waiting draining": ["M366,188 L432,97", 392, 150, "end"],
  "ready draining": ["M554,188 L488,97", 534, 150, "start"],
  "streaming draining": ["M760,188 L523,86", 664, 138, "start"],
  "draining released": ["M402,70 H204", 303, 62],
  "waiting expired": ["M372,232 L428,284", 412, 256, "start"],
  "ready expired": ["M548,232 L492,284", 508, 256, "end"],
  "reserved failed": ["M140,232 C140,390 260,418 506,418", 166, 366, "end"],
  "waiting failed": ["M350,232 C350,350 390,398 506,402", 346, 340, "end"],
  "ready failed": ["M570,232 V382", 578, 326, "start"],
  "streaming failed": ["M772,232 C760,330 720,392 634,400", 728, 332, "end"],
  "failed streaming": ["M628,414 C740,412 800,350 802,238", 800, 332, "start"],
  "failed draining": ["M628,424 H880 Q910,424 910,394 V100 Q910,70 880,70 H524", 902, 62, "end"],
  "ready ready": ["M600,188 C592,142 640,142 622,183", 614, 146],
  "streaming streaming": ["M806,188 C798,142 846,142 828,183", 818, 146],
  "draining draining": ["M440,48 C430,10 490,10 480,43", 494, 30, "start"],
  "failed failed": ["M550,432 C540,470 600,470 590,437", 604, 458, "start"],
};

const STYLE = `
text { font: 14px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #24292f; }
.page { fill: #ffffff; }
.state { fill: #ddf4ff; stroke: #0969da; stroke-width: 1.5; }
.over { fill: #f6f8fa; stroke: #57606a; }
.failed { fill: #ffebe9; stroke: #cf222e; }
.name { font-weight: 600; text-anchor: middle; }
.label { font-size: 13px; fill: #57606a; }
.arrow { fill: none; stroke: #57606a; stroke-width: 1.3; marker-end: url(#head); }
.head, .start { fill: #57606a; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.page { fill: #0d1117; }
.state { fill: #0c2d6b; stroke: #58a6ff; }
.over { fill: #21262d; stroke: #9198a1; }
.failed { fill: #67060c; stroke: #ff7b72; }
.label { fill: #b1bac4; }
.arrow { stroke: #9198a1; }
.head, .start { fill: #9198a1; }
}
`;

/**
 * The picture as SVG.
 * @throws {Error} if the table has a transition that has no arrow here, or the other way round
 */
export function drawStates(): string {
  const events = Map.groupBy(transitions(), ([from, , to]) => `${from} ${to}`);
  const unknown = Object.keys(ARROWS).filter((pair) => !events.has(pair));
  if (unknown.length > 0) throw new Error(`arrows that the table does not have: ${unknown}`);
  const parts: string[] = [];
  for (const [pair, all] of events) {
    const arrow = ARROWS[pair];
    if (!arrow) throw new Error(`no arrow is placed for ${pair}`);
    parts.push(...drawn(arrow, all.map(([, event]) => event).join(", ")));
  }
  const [x, y] = START;
  parts.push(
    `<circle class="start" cx="${x}" cy="${y}" r="6"/>`,
    ...drawn([`M${x + 6},${y} H76`, 48, y - 8], "req"),
    ...STATES.flatMap(box),
  );
  return [
    "<!-- Made by deno task draw. deno-fmt-ignore-file -->",
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">`,
    "<title>The states of a session, and the events between them</title>",
    `<style>${STYLE}</style>`,
    '<defs><marker id="head" markerWidth="9" markerHeight="8" refX="7" refY="4" orient="auto">',
    '<path class="head" d="M0,0 L9,4 L0,8 Z"/></marker></defs>',
    `<rect class="page" width="${WIDTH}" height="${HEIGHT}"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

function drawn([path, x, y, anchor = "middle"]: Arrow, label: string): string[] {
  return [
    `<path class="arrow" d="${path}"/>`,
    `<text class="label" x="${x}" y="${y}" text-anchor="${anchor}">${label}</text>`,
  ];
}

function box(state: State): string[] {
  const [x, y] = PLACES[state];
  const { width, height } = BOX;
  const isOver = !transitions().some(([from]) => from === state);
  const look = isOver ? " over" : state === "failed" ? " failed" : "";
  const size = `width="${width}" height="${height}" rx="10"`;
  return [
    `<rect class="state${look}" x="${x - width / 2}" y="${y - height / 2}" ${size}/>`,
    `<text class="name" x="${x}" y="${y + 5}">${state}</text>`,
  ];
}

if (import.meta.main) {
  Deno.writeTextFileSync(new URL(`../${STATES_SVG}`, import.meta.url), drawStates());
}
