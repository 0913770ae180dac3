import { assertEquals } from "@std/assert";
import { Counter, Histogram } from "./counters.ts";

Deno.test("a histogram counts what is at most each bound, and keeps the sum", () => {
  const histogram = new Histogram([0.1, 1, 10], "a");
  assertEquals(histogram.entries(), [{ label: "a", upTo: [0, 0, 0], count: 0, sum: 0 }]);
  for (const seconds of [0.1, 0.5, 4, 1000]) histogram.observe("b", seconds);
  assertEquals(histogram.entries()[1], { label: "b", upTo: [1, 2, 3], count: 4, sum: 1004.6 });
});

Deno.test("a counter tells the labels that it knows before they are counted", () => {
  const counter = new Counter("store", "audit");
  counter.add("audit");
  counter.add("audit");
  assertEquals(counter.entries(), [
    { labels: ["store"], count: 0 },
    { labels: ["audit"], count: 2 },
  ]);
});
