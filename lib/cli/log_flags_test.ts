import { assertEquals, assertThrows } from "@std/assert";
import { parseCommandLine, UsageError } from "./flags.ts";
import { levelsOf, logFlags, openLog } from "./log_flags.ts";

const parse = (line: string) =>
  parseCommandLine(line.split(" ").filter(Boolean), logFlags, []).options;

Deno.test("--log-level: one for all, and one for each module", () => {
  assertEquals(levelsOf(parse("")), { least: "info", modules: {} });
  assertEquals(levelsOf(parse("--log-level warn")), { least: "warn", modules: {} });
  assertEquals(levelsOf(parse("--log-level=error,s2ds=debug,docker=warn")), {
    least: "error",
    modules: { s2ds: "debug", docker: "warn" },
  });
  assertEquals(levelsOf(parse("--log-level s2ds=debug")), {
    least: "info",
    modules: { s2ds: "debug" },
  });
  assertEquals(levelsOf(parse("--log-level s2ds=warn -v")), { least: "debug", modules: {} });
});

Deno.test("what is no level, module or format is named, with what there is", () => {
  const wrong: [string, string][] = [
    ["--log-level loud", '--log-level: "loud" is no level; there are debug, info, warn, error'],
    ["--log-level=", '--log-level: "" is no level; there are debug, info, warn, error'],
    ["--log-level s2ds=2", '--log-level: "2" is no level; there are debug, info, warn, error'],
    [
      "--log-level info,s2dx=debug",
      '--log-level: "s2dx" is no module; there are s2cs, protocol, auth, s2ds, docker',
    ],
    ["--log-level s2ds=info=debug", '--log-level: "s2ds=info=debug" is not MODULE=LEVEL'],
    ["--log-format xml", '--log-format: "xml" is neither text nor json'],
    ["--log-file-size 0", '--log-file-size: "0" is not a whole number from 1 to 100000'],
  ];
  for (const [line, sentence] of wrong) {
    assertEquals(assertThrows(() => parse(line), UsageError).message, sentence);
  }
});

Deno.test("a log file that cannot be written, or that others can, is refused", () => {
  const folder = Deno.makeTempDirSync({ prefix: "scistream-log-" });
  try {
    const open = (path: string) => openLog(parse(`--log-file=${path}`), () => {});
    assertThrows(() => open("/nonexistent/s2cs.log"), UsageError, "cannot write the log file");
    assertThrows(() => open(folder), UsageError, "it is not a file");
    Deno.writeTextFileSync(`${folder}/shared`, "");
    Deno.chmodSync(`${folder}/shared`, 0o666);
    assertThrows(() => open(`${folder}/shared`), UsageError, "other users can write to it");
    open(`${folder}/s2cs.log`)[Symbol.dispose]();
    assertEquals((Deno.statSync(`${folder}/s2cs.log`).mode ?? 0) & 0o777, 0o600);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
