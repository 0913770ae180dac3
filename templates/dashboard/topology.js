// Who connects, through which sessions, to which targets. Of many, those with the most flow are drawn
// one by one and the others as one.
import { rows } from "./live.js";
import { speed } from "./format.js";
import { Kept, set, svg } from "./svg.js";

const OTHERS = "others";
const NODE = 38;
const GAP = 10;
const HEAD = 26;
/** How long a choice of what is drawn one by one stays: a picture that changes each second is none. */
const CHOICE_MS = 10_000;

const root = document.getElementById("topology");
const defs = svg("g", {}, root);
const heads = ["Connecting", "This gateway", "Targets"].map((text) => {
  const element = svg("text", { class: "head", y: 12, "text-anchor": "middle" }, defs);
  element.textContent = text;
  return element;
});
const paths = new Kept(svg("g", { class: "links" }, root), () => svg("path"));
const boxes = new Kept(svg("g", { class: "nodes" }, root), (key) => {
  const isLink = key.startsWith("1:") && key !== `1:${OTHERS}`;
  const group = svg(isLink ? "a" : "g");
  if (isLink) group.setAttribute("href", `/sessions/${key.slice(2)}`);
  svg("rect", { rx: 6, height: NODE }, group);
  svg("circle", { r: 3.5, cy: 13 }, group);
  svg("text", { class: "name", y: 17 }, group);
  svg("text", { class: "detail", y: 31 }, group);
  return group;
});
const empty = svg("text", { class: "head", "text-anchor": "middle" }, root);

let width = 0;
let chosen = { at: 0, of: "", names: new Set() };
new ResizeObserver(([entry]) => {
  width = Math.round(entry.contentRect.width);
  chosen.at = 0;
  drawTopology();
}).observe(root.parentElement);

/** Draws what is now. */
export function drawTopology() {
  if (width === 0) return;
  const most = isNarrow() ? 5 : 8;
  const { columns, links } = graph(most);
  const gap = Math.max(24, width * 0.14 - 24);
  const size = (width - 2 * gap) / 3;
  const tallest = Math.max(1, ...columns.map((column) => column.length));
  const height = HEAD + tallest * (NODE + GAP);
  set(root, { viewBox: `0 0 ${width} ${height}`, height });
  heads.forEach((head, i) => set(head, { x: i * (size + gap) + size / 2 }));
  set(empty, { x: width / 2, y: HEAD + 28 });
  empty.textContent = rows.size === 0 ? "No sessions now" : "";
  const places = new Map();
  columns.forEach((column, i) => {
    const top = HEAD + (tallest - column.length) * (NODE + GAP) / 2;
    column.forEach((node, j) => {
      const at = { x: i * (size + gap), y: top + j * (NODE + GAP) };
      places.set(`${i}:${node.key}`, at);
      draw(boxes.get(`${i}:${node.key}`), node, at, size);
    });
  });
  boxes.done();
  const fastest = Math.max(1, ...[...links.values()].map(({ flow }) => flow));
  for (const [key, link] of links) {
    const from = places.get(link.from);
    const to = places.get(link.to);
    if (!from || !to) continue;
    const [x1, y1, x2, y2] = [from.x + size, from.y + NODE / 2, to.x, to.y + NODE / 2];
    const middle = (x1 + x2) / 2;
    const path = paths.get(key);
    set(path, {
      d: `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`,
      class: link.flow === 0 ? "idle" : link.toTarget * 2 >= link.flow ? "flow to" : "flow from",
      "stroke-width": link.flow === 0 ? 1 : (1.5 + 6 * Math.sqrt(link.flow / fastest)).toFixed(1),
    });
  }
  paths.done();
}

function draw(box, { name, detail, state }, { x, y }, size) {
  const [rect, dot, title, second] = box.children;
  const indent = state ? 22 : 10;
  set(box, { transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` });
  set(rect, { width: size.toFixed(1) });
  set(dot, { cx: 12, class: state ? `dot ${state}` : "none" });
  set(title, { x: indent });
  set(second, { x: 10 });
  const letters = Math.floor((size - indent - 8) / 7);
  const shown = shorten(name, letters);
  if (title.textContent !== shown) title.textContent = shown;
  if (second.textContent !== detail) second.textContent = detail;
}

/** The ends of an address tell more than its middle. */
function shorten(text, letters) {
  if (text.length <= letters) return text;
  const half = Math.max(2, (letters - 1) / 2);
  return `${text.slice(0, Math.ceil(half))}…${text.slice(-Math.floor(half))}`;
}

/** Nodes of the three columns, and links between them. */
function graph(most) {
  const all = [...rows.values()];
  const one = choose(all, most);
  const sessions = new Map();
  const peers = new Map();
  const targets = new Map();
  const links = new Map();
  const add = (map, key, more) => {
    const node = map.get(key) ?? { key, count: 0, flow: 0, names: new Set(), channels: 0, open: 0 };
    node.count++;
    node.flow += more.flow;
    node.channels += more.channels ?? 0;
    node.open += more.open ?? 0;
    node.names.add(more.name);
    map.set(key, node);
    return node;
  };
  const link = (from, to, flow, toTarget) => {
    const key = `${from}→${to}`;
    const at = links.get(key) ?? { from, to, flow: 0, toTarget: 0 };
    at.flow += flow;
    at.toTarget += toTarget;
    links.set(key, at);
  };
  for (const row of all) {
    const flow = row.toSpeed + row.fromSpeed;
    const id = one.names.has(`1:${row.id}`) ? row.id : OTHERS;
    const node = add(sessions, id, { flow, name: row.id, channels: row.channels, open: row.open });
    Object.assign(node, id === OTHERS ? {} : { row });
    const share = row.toSpeed / (flow || 1);
    for (const peer of row.peers) {
      const key = one.names.has(`0:${peer}`) ? peer : OTHERS;
      add(peers, key, { flow: flow / row.peers.length, name: peer });
      link(`0:${key}`, `1:${id}`, flow / row.peers.length, flow * share / row.peers.length);
    }
    for (const [target, channels, speed] of row.targets) {
      const host = hostOf(target);
      const key = one.names.has(`2:${host}`) ? host : OTHERS;
      add(targets, key, { flow: speed, name: target, channels });
      link(`1:${id}`, `2:${key}`, speed, speed * share);
    }
  }
  return {
    columns: [
      inOrder(peers).map((node) => place(node, "hosts")),
      inOrder(sessions).map(sessionNode),
      inOrder(targets).map((node) => place(node, "targets")),
    ],
    links,
  };
}

function sessionNode({ key, row, names, channels, flow }) {
  const detail = isNarrow() ? speed(flow) : `${channels} ch · ${speed(flow)}`;
  if (key === OTHERS) return { key, name: `${names.size} others`, detail };
  const name = isNarrow() ? row.id : `${row.id} ${row.role}`;
  return { key, name, detail, state: row.state };
}

function place({ key, names, flow }, what) {
  const [only] = names;
  const name = key === OTHERS
    ? isNarrow() ? `${names.size} others` : `${names.size} other ${what}`
    : names.size === 1 && !isNarrow()
    ? only
    : key;
  return { key, name, detail: speed(flow) };
}

/** Of `host:port`. */
function hostOf(place) {
  return /^(\[.*\]|[^:]+):\d+$/.exec(place)?.[1] ?? place;
}

/** On a phone, where there is room for one thing a line. */
function isNarrow() {
  return width < 480;
}

/** The order that they came in, and the others last. */
function inOrder(map) {
  return [...map.values()].sort((a, b) => Number(a.key === OTHERS) - Number(b.key === OTHERS));
}

/** What is drawn one by one: where there is no room for all, what has the most flow. */
function choose(all, most) {
  const now = performance.now();
  const of = `${most} ${all.map(({ id, peers, targets }) => [id, peers.length, targets.length])}`;
  if (chosen.of === of && now - chosen.at < CHOICE_MS) return chosen;
  const flows = [new Map(), new Map(), new Map()];
  const add = (column, key, flow) => flows[column].set(key, (flows[column].get(key) ?? 0) + flow);
  for (const row of all) {
    const flow = row.toSpeed + row.fromSpeed;
    add(1, row.id, flow);
    for (const peer of row.peers) add(0, peer, flow / row.peers.length);
    for (const [target, , speed] of row.targets) add(2, hostOf(target), speed);
  }
  const names = new Set();
  flows.forEach((flow, column) => {
    const sorted = [...flow.entries()].sort(([, a], [, b]) => b - a);
    const room = sorted.length <= most ? most : most - 1;
    for (const [key] of sorted.slice(0, room)) names.add(`${column}:${key}`);
  });
  return chosen = { at: now, of, names };
}
