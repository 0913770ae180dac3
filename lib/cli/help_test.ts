import { assertEquals } from "@std/assert";
import { bool, text } from "./flags.ts";
import { renderHelp } from "./help.ts";

Deno.test("a help page: what it is, usage, arguments, options, examples", () => {
  const page = renderHelp({
    path: "x run",
    summary: "Run it",
    details: "Details stand here.",
    flags: {
      logFile: text("where lines go", { value: "FILE", default: "x.log", short: "l" }),
      loud: bool("say more"),
    },
    args: [{ name: "UID", help: "which one" }, { name: "IP", help: "where", default: "127.0.0.1" }],
    rest: { name: "COMMAND", help: "what to run" },
    examples: ["x run abc -- true"],
  });
  assertEquals(
    page,
    `Run it

Usage: scistream x run [OPTIONS] UID [IP] -- COMMAND

Details stand here.

Arguments:
  UID      which one
  IP       where (default 127.0.0.1)
  COMMAND  what to run

Options (in a file: the same names; each also from the environment):
  -l, --log-file FILE  [SCISTREAM_LOG_FILE]
      where lines go (default x.log)
  --loud  [SCISTREAM_LOUD]
      say more (default False)

Examples:
  x run abc -- true
`,
  );
});

Deno.test("a group's page lists its commands", () => {
  const page = renderHelp({
    path: "x",
    summary: "Things",
    commands: [{ name: "run", summary: "Run it" }],
  });
  assertEquals(
    page,
    `Things

Usage: scistream x COMMAND

Commands:
  run  Run it

\`scistream help x COMMAND\` tells more of one.
`,
  );
});
