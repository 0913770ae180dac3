/**
 * Figures as one SVG: bars beside each other, readable in light and dark, nothing loaded from
 * anywhere.
 * @module
 */
import { type Goal, verdict } from "./goals.ts";
import { type Figure, short } from "./result.ts";

/** All lengths are in pixels. */
const WIDTH = 960;
const MARGIN = 24;
const GAP = 40;
const COLUMNS = 2;
const COLUMN = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS;
/** Of a column: names, bars, and the room for a value behind the longest bar. */
const NAMES = 158;
const VALUES = 62;
const BARS = COLUMN - NAMES - VALUES;
const ROW = 22;
const BAR = 14;
/** Above the bars, with the title and its unit; between lines of text; below a figure. */
const HEAD = 44;
const LINE = 17;
const FOOT = 30;

/** Whose bars stand out. */
const OURS = /^S2DS\b/;

const STYLE = `
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #24292f; }
.page { fill: #ffffff; }
.title { font-size: 20px; font-weight: 600; }
.head { font-size: 15px; font-weight: 600; }
.small { font-size: 12px; fill: #57606a; }
.value { font-variant-numeric: tabular-nums; }
.ours { font-weight: 700; }
.bar { fill: #a8b3bf; }
.bar.ours { fill: #0969da; }
.met { fill: #1a7f37; }
.missed { fill: #cf222e; }
.rule { stroke: #d0d7de; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.page { fill: #0d1117; }
.small { fill: #9198a1; }
.bar { fill: #596573; }
.bar.ours { fill: #58a6ff; }
.met { fill: #56d364; }
.missed { fill: #ff7b72; }
.rule { stroke: #30363d; }
}
`;

/** What stands above the figures. */
export interface Heading {
  title: string;
  /** Where and with what it was measured, and how. */
  lines: readonly string[];
  /** The task that makes it; `bench` if not given. */
  task?: string;
}

/** One picture of all figures, two in a row. */
export function svg({ title, lines, task = "bench" }: Heading, figures: readonly Figure[]): string {
  const parts: string[] = [];
  let y = MARGIN + 16;
  parts.push(text(MARGIN, y, title, "title"));
  for (const line of lines.flatMap((each) => wrapped(each))) {
    y += LINE;
    parts.push(text(MARGIN, y, line, "small"));
  }
  y += FOOT;
  for (let i = 0; i < figures.length; i += COLUMNS) {
    const row = figures.slice(i, i + COLUMNS);
    for (const [column, figure] of row.entries()) {
      parts.push(...drawn(figure, MARGIN + column * (COLUMN + GAP), y));
    }
    y += Math.max(...row.map(heightOf));
  }
  return [
    `<!-- Made by deno task ${task}. deno-fmt-ignore-file -->`,
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="page" width="${WIDTH}" height="${y}"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

/** A figure below this line. */
function drawn({ title, unit, better, bars, goals }: Figure, x: number, top: number): string[] {
  const most = Math.max(...bars.map(({ value }) => value), 0) || 1;
  const rule = `<line class="rule" x1="${x}" x2="${x + COLUMN}" y1="${top}" y2="${top}"/>`;
  const parts = [
    rule,
    text(x, top + 22, title, "head"),
    text(x + COLUMN, top + 22, `${unit}, ${better} is better`, "small", "end"),
  ];
  let y = top + HEAD;
  for (const { name, value } of bars) {
    const ours = OURS.test(name) ? " ours" : "";
    const length = Math.max(1, value / most * BARS);
    const baseline = y + BAR - 3;
    parts.push(
      text(x, baseline, name, `name${ours}`),
      `<rect class="bar${ours}" x="${x + NAMES}" y="${y}" width="${
        length.toFixed(1)
      }" height="${BAR}" rx="2"/>`,
      text(x + NAMES + length + 6, baseline, short(value), `value${ours}`),
    );
    y += ROW;
  }
  for (const goal of goals) {
    y += LINE;
    parts.push(goalText(goal, x, y - LINE + BAR));
  }
  return parts;
}

/** As "met 1.40× (goal ≥ 1.3× haproxy default)": of what was seen, the ratio alone. */
function goalText(goal: Goal, x: number, y: number): string {
  const look = goal.met === undefined ? "" : goal.met ? " met" : " missed";
  const seen = goal.seen.replace(/ \(.*\)$/, "");
  return text(x, y, `${verdict(goal)}: ${seen}, goal ${goal.goal}`, `small${look}`);
}

function heightOf({ bars, goals }: Figure): number {
  return HEAD + bars.length * ROW + goals.length * LINE + FOOT;
}

function text(x: number, y: number, content: string, look: string, anchor = "start"): string {
  return `<text class="${look}" x="${x.toFixed(1)}" y="${y}" text-anchor="${anchor}">${
    escaped(content)
  }</text>`;
}

/** A long line as several, at spaces. */
function wrapped(line: string, most = 140): string[] {
  const lines = [""];
  for (const word of line.split(" ")) {
    const last = lines.at(-1) as string;
    if (last && last.length + word.length >= most) lines.push(word);
    else lines[lines.length - 1] = last ? `${last} ${word}` : word;
  }
  return lines;
}

function escaped(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
