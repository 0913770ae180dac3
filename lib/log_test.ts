import { assertEquals, assertMatch } from "@std/assert";
import { inModule, type Levels, lineLog } from "./log.ts";

function setUp(levels: Levels, format: "text" | "json") {
  const lines: string[] = [];
  return { lines, log: lineLog(levels, format, (line) => lines.push(line)) };
}

Deno.test("text: one event is one line, whatever its message quotes", () => {
  const { lines, log } = setUp({ least: "info", modules: {} }, "text");
  log("warn", "a\r\nb\x1b[2J\u009bc");
  assertEquals(lines.length, 1);
  assertMatch(lines[0] as string, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARN {2}a b\?\[2J\?c$/);
});

Deno.test("JSON: time, level, module, message, and the session that the message names", () => {
  const { lines, log } = setUp({ least: "info", modules: {} }, "json");
  log("info", "stopped");
  inModule(log, "s2ds")("error", "all of session 0123abcd is gone:\n1\u001b");
  inModule(inModule(log, "docker"), "s2ds")("info", "session 0123abcdef is no public id");
  const entries = lines.map((line) => JSON.parse(line));
  for (const entry of entries) assertMatch(entry.time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assertEquals(entries.map(({ time: _, ...rest }) => rest), [
    { level: "info", module: "s2cs", message: "stopped" },
    {
      level: "error",
      module: "s2ds",
      message: "all of session 0123abcd is gone:\n1\u001b",
      session: "0123abcd",
    },
    { level: "info", module: "s2ds", message: "session 0123abcdef is no public id" },
  ]);
  assertEquals(lines.join("").includes("\n"), false);
});

Deno.test("each module has its own level, or that of all; and both may change", () => {
  const levels: Levels = { least: "warn", modules: { s2ds: "debug", auth: "error" } };
  const { lines, log } = setUp(levels, "json");
  const say = () => {
    lines.length = 0;
    for (const module of ["s2cs", "s2ds", "auth"] as const) {
      for (const level of ["debug", "info", "warn", "error"] as const) log(level, "", module);
    }
    return lines.map((line) => JSON.parse(line)).map(({ module, level }) => `${module} ${level}`);
  };
  const all = ["debug", "info", "warn", "error"].map((level) => `s2ds ${level}`);
  assertEquals(say(), ["s2cs warn", "s2cs error", ...all, "auth error"]);
  Object.assign(levels, { least: "error", modules: {} });
  assertEquals(say(), ["s2cs error", "s2ds error", "auth error"]);
});
