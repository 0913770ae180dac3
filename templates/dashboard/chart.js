// Throughput of the last five minutes.
import { axisUnit, speed } from "./format.js";
import { past } from "./live.js";
import { Kept, set, svg } from "./svg.js";

const SPACE = { left: 52, right: 14, top: 26, bottom: 26 };
const SPAN_MS = 300_000;
/** A gap between two moments that is longer than this is one in the line. */
const GAP_MS = 5_000;

const root = document.getElementById("chart");
const grid = svg("g", { class: "grid" }, root);
const lines = {
  from: {
    area: svg("path", { class: "area from" }, root),
    line: svg("path", { class: "line from" }, root),
  },
  to: {
    area: svg("path", { class: "area to" }, root),
    line: svg("path", { class: "line to" }, root),
  },
};
const unitText = svg("text", { class: "unit", x: 0, y: 12 }, root);
const marks = new Kept(grid, () => {
  const group = svg("g");
  svg("line", {}, group);
  svg("text", {}, group);
  return group;
});
let width = 0;
let height = 0;
new ResizeObserver(([entry]) => {
  width = Math.round(entry.contentRect.width);
  height = Math.round(entry.contentRect.height);
  set(root, { viewBox: `0 0 ${width} ${height}`, height });
  drawChart(past.at.at(-1) ?? Date.now());
}).observe(root.parentElement);

/** @param {number} now milliseconds since 1970 UTC, of the server's clock */
export function drawChart(now) {
  if (width === 0) return;
  const most = Math.max(...past.to, ...past.from, 0);
  const unit = axisUnit(most);
  const { top, step } = ticks(most / unit.bytes || 1);
  const bottom = height - SPACE.bottom;
  const x = (at) => SPACE.left + (1 - (now - at) / SPAN_MS) * (width - SPACE.left - SPACE.right);
  const y = (value) => bottom - value / unit.bytes / top * (bottom - SPACE.top);
  unitText.textContent = unit.name;
  for (let i = 0; i * step <= top * 1.0001; i++) {
    const at = y(i * step * unit.bytes).toFixed(1);
    const [line, text] = marks.get(`y${i}`).children;
    set(line, { x1: SPACE.left, x2: width - SPACE.right, y1: at, y2: at });
    set(text, { x: SPACE.left - 8, y: at, dy: "0.32em", "text-anchor": "end" });
    text.textContent = String(Number((i * step).toPrecision(6)));
  }
  const every = width < 420 ? 150 : 60;
  for (let ago = 0; ago <= 300; ago += every) {
    const [, text] = marks.get(`x${ago}`).children;
    const anchor = ago === 0 ? "end" : ago === 300 ? "start" : "middle";
    set(text, { x: x(now - ago * 1000).toFixed(1), y: height - 6, "text-anchor": anchor });
    text.textContent = ago === 0 ? "now" : `−${ago / 60} min`;
  }
  marks.done();
  for (const key of ["to", "from"]) {
    const { line, area } = pathsOf(past.at, past[key], x, y, bottom, now);
    set(lines[key].line, { d: line });
    set(lines[key].area, { d: area });
  }
  describe(now);
}

let described = 0;
/** Not at each second: whoever reads it hears it when asking. */
function describe(now) {
  if (now - described < 10_000) return;
  described = now;
  set(root, {
    "aria-label": `Throughput of the last five minutes; now ${
      speed(past.to.at(-1) ?? 0)
    } to targets and ${speed(past.from.at(-1) ?? 0)} from targets`,
  });
}

function pathsOf(at, values, x, y, bottom, now) {
  let line = "";
  let area = "";
  let start = "";
  let last = "";
  let before = -Infinity;
  at.forEach((moment, i) => {
    if (moment < now - SPAN_MS) return;
    const px = x(moment).toFixed(1);
    const py = y(values[i]).toFixed(1);
    if (moment - before > GAP_MS) {
      if (start) area += `L${last} ${bottom}L${start} ${bottom}Z`;
      line += `M${px} ${py}`;
      area += `M${px} ${py}`;
      start = px;
    } else {
      line += `L${px} ${py}`;
      area += `L${px} ${py}`;
    }
    last = px;
    before = moment;
  });
  if (start) area += `L${last} ${bottom}L${start} ${bottom}Z`;
  return { line, area };
}

/** Two to five steps of 1, 2 or 5. */
function ticks(most) {
  const size = 10 ** Math.floor(Math.log10(most));
  const step = [0.2, 0.5, 1, 2].map((each) => each * size).find((each) => most / each <= 5) ?? size;
  return { step, top: Math.ceil(most / step - 1e-9) * step };
}
