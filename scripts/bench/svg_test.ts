import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { svg } from "./svg.ts";
import type { Figure } from "./result.ts";

const figures: Figure[] = [
  {
    title: "One flow & more",
    unit: "Gbit/s",
    better: "more",
    bars: [{ name: "S2DS", value: 11.37 }, { name: "haproxy <default>", value: 5.684 }],
    goals: [{ measure: "m", goal: "≥ 1.3× haproxy", seen: "2.00× (11.4 / 5.68)", met: true }],
  },
  {
    title: "Round trip",
    unit: "µs",
    better: "less",
    bars: [{ name: "S2DS pair, TLS", value: 134.4 }, { name: "nobody", value: 0 }],
    goals: [
      { measure: "m", goal: "≤ 1.1× haproxy", seen: "1.20× (134 / 112)", met: false },
      { measure: "m", goal: "≤ 0.7× stunnel", seen: "not measured" },
    ],
  },
  { title: "Of nothing", unit: "MB", better: "less", bars: [], goals: [] },
];
const file = svg({ title: "Benchmarks", lines: ["a machine; deno 2.9.3"] }, figures);

const [comment, ...rest] = file.split("\n");
const drawn = rest.join("\n");

Deno.test("an SVG is not formatted by deno fmt, and says where it is from", () => {
  assertEquals(comment, "<!-- Made by deno task bench. deno-fmt-ignore-file -->");
  assertEquals(comment?.slice(4, -3).includes("--"), false, "XML allows no -- in a comment");
});

Deno.test("an SVG is well-formed: every element closed, nothing unescaped, no number that is none", () => {
  const open: string[] = [];
  let at = 0;
  for (const tag of drawn.matchAll(/<(\/?)([a-z]+)((?: [\w-]+="[^"<&]*")*)(\/?)>/g)) {
    const between = drawn.slice(at, tag.index);
    assertEquals(/[<>]|&(?!(amp|lt|gt);)/.test(between), false, between);
    at = tag.index + tag[0].length;
    const [, closing, name, attributes, alone] = tag as unknown as string[];
    const names = [...(attributes ?? "").matchAll(/ ([\w-]+)=/g)].map((match) => match[1]);
    assertEquals(new Set(names).size, names.length, tag[0]);
    if (closing) assertEquals(open.pop(), name);
    else if (!alone) open.push(name as string);
  }
  assertEquals(open, []);
  assertEquals(drawn.slice(at), "\n");
  assertEquals(/NaN|Infinity|undefined/.test(drawn), false);
});

Deno.test("an SVG holds every name, value and goal, and loads nothing", () => {
  for (
    const each of [
      ...["Benchmarks", "a machine; deno 2.9.3", "One flow &amp; more", "Round trip", "Of nothing"],
      ...[">S2DS<", ">haproxy &lt;default&gt;<", ">11.4<", ">5.68<", ">134<", ">0.00<"],
      ...["Gbit/s, more is better", "µs, less is better"],
      ...["met: 2.00×, goal ≥ 1.3× haproxy", "MISSED: 1.20×", "-: not measured, goal ≤ 0.7×"],
    ]
  ) assertStringIncludes(drawn, each);
  const inside = drawn.replace('xmlns="http://www.w3.org/2000/svg"', "");
  assertEquals(/https?:|<script|<image|@import|url\(|\shref|\son\w+=/.test(inside), false);
});

Deno.test("bars are as long as their values, ours stand out", () => {
  const bars = [...drawn.matchAll(/<rect class="(bar[^"]*)".*? width="([\d.]+)"/g)];
  assertEquals(bars.map((bar) => bar[1]), ["bar ours", "bar", "bar ours", "bar"]);
  const [ours, theirs] = bars.map((bar) => Number(bar[2])) as [number, number];
  assert(Math.abs(ours / theirs - 11.37 / 5.684) < 0.01);
});
