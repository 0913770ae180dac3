import { assert, assertEquals } from "@std/assert";
import { STATES, transitions } from "../lib/s2cs/state.ts";
import { drawStates, STATES_SVG } from "./draw_states.ts";

const ROOT = new URL("..", import.meta.url);

Deno.test("docs/pictures/states.svg is what `deno task draw` makes", () => {
  assertEquals(Deno.readTextFileSync(new URL(STATES_SVG, ROOT)), drawStates());
});

Deno.test("the picture has every state and an arrow for every two that follow each other", () => {
  const svg = drawStates();
  for (const state of STATES) assert(svg.includes(`>${state}</text>`), state);
  const pairs = new Set(transitions().map(([from, , to]) => `${from} ${to}`));
  // And one from the start.
  assertEquals(svg.match(/class="arrow"/g)?.length, pairs.size + 1);
  const labels = [...svg.matchAll(/class="label"[^>]*>([^<]*)</g)].flatMap(([, text]) =>
    (text as string).split(", ")
  );
  assertEquals(labels.sort(), ["req", ...transitions().map(([, event]) => event)].sort());
});
