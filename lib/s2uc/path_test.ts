import { assertEquals } from "@std/assert";
import { pathLines, pathOf } from "./path.ts";
import { idle, sessionOf } from "./test_sessions.ts";

const prod = (...listeners: string[]) => ({
  s2cs: "prod:1",
  status: sessionOf({
    channels: listeners.map((listener) => idle({ listener, target: "10.0.0.1:80" })),
  }),
});
const cons = (...targets: string[]) => ({
  s2cs: "cons:1",
  status: sessionOf({
    role: "CONS",
    channels: targets.map((target) => idle({ listener: "10.9.9.9:5200", target })),
  }),
});
const meets = (...[p, c]: [string[], string[]]) => {
  const path = pathOf([prod(...p), cons(...c)]);
  return [path?.meets, path?.channels.map((each) => each.meets).join()];
};

Deno.test("the consumer's side leads to the producer's, or it does not", () => {
  assertEquals(meets(["a:1", "a:2"], ["a:1", "a:2"]), [true, "yes,yes"]);
  assertEquals(meets(["a:1"], ["a:1", "a:1"]), [true, "yes,yes"]);
  assertEquals(meets(["0.0.0.0:1"], ["wan:1"]), [true, "port"]);
  assertEquals(meets(["a:1"], ["a:1", "a:3"]), [false, "yes,no"]);
  assertEquals(meets(["a:1"], [""]), [false, "no"]);
  assertEquals(meets(["a:1"], []), [false, ""]);
});

Deno.test("to the node that a session was moved from, nothing leads; what to type is said", () => {
  const here = prod("b:1", "b:2");
  const moved = { ...here, status: { ...here.status, node: "gw2", moved_ms: 1 } };
  const lost = [moved, cons("a:1", "a:2")];
  assertEquals(pathOf(lost)?.channels.map(({ meets }) => meets), ["no", "no"]);
  assertEquals(
    pathLines(lost, pathOf(lost), 2000).at(-1),
    "the consumer's side does NOT lead to the producer's: s2uc update UID --s2cs cons:1 --targets b:1,b:2",
  );
  assertEquals(pathOf([moved, cons("b:1", "b:2")])?.meets, true);
});

Deno.test("a path needs one side of each", () => {
  assertEquals(pathOf([prod("a:1")]), undefined);
  assertEquals(pathOf([prod("a:1"), prod("a:1")]), undefined);
  assertEquals(pathOf([prod("a:1"), cons("a:1"), cons("a:1")]), undefined);
});

Deno.test("the path is drawn under both sides", () => {
  const shown = (...sides: Parameters<typeof pathLines>[0]) =>
    pathLines(sides, pathOf(sides), 2000).filter((line) => !line.startsWith("  session"));
  const lines = shown(prod("a:1"), cons("a:1"));
  assertEquals(lines.slice(-3), [
    "path: application → consumer's gateway → producer's gateway → application",
    "  application → 10.9.9.9:5200 → a:1 → 10.0.0.1:80",
    "the consumer's side leads to the producer's",
  ]);
  assertEquals(lines[0], "producer's side, at prod:1");
  assertEquals(
    shown(prod("a:1"), cons("b:1")).at(-2),
    "  application → 10.9.9.9:5200 → b:1 (a:1) → 10.0.0.1:80",
  );
  assertEquals(shown(prod("a:1"), cons("b:2")).at(-2), "  application → 10.9.9.9:5200 → b:2 ✗");
});
