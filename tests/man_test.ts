// Manual pages as their readers have them: mandoc and groff find nothing wrong, and man shows all.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { everyGroup } from "../cmd/scistream.ts";
import { Exit } from "../lib/cli/command.ts";
import { envName, flagName } from "../lib/cli/flags.ts";
import { roff } from "../lib/cli/man/roff.ts";
import { missing } from "../scripts/setup.ts";
import { assertOk, leftOutIf, run, scistream, tempFolder } from "./harness.ts";

const GROUPS = await everyGroup();
const lacking = missing().filter((each) => ["man-db", "mandoc"].includes(each));
const { ignore, because } = leftOutIf(
  lacking.length > 0 ? `${lacking.join(", ")} not installed` : undefined,
);

/** Every page, by its file's name. */
async function pages(folder: string): Promise<Map<string, string>> {
  assertOk(await scistream(["man", "--dir", folder]));
  const sections = [...Deno.readDirSync(folder)].map((entry) => entry.name);
  assertEquals(sections.sort(), ["man1", "man5"]);
  return new Map(
    sections.flatMap((section) =>
      [...Deno.readDirSync(`${folder}/${section}`)].map(({ name }): [string, string] => {
        assertEquals(name.at(-1), section.at(-1));
        return [name, `${folder}/${section}/${name}`];
      })
    ),
  );
}

/** A page as a reader sees it, one space between words. */
async function shown(path: string): Promise<string> {
  const env = { LC_ALL: "C.UTF-8", MANWIDTH: "120" };
  return assertOk(await run(["man", "--no-hyphenation", "-l", path], { env })).out.replaceAll(
    /\s+/g,
    " ",
  );
}

Deno.test({ name: `there is a good manual page for every command${because}`, ignore }, async () => {
  using folder = tempFolder();
  const found = await pages(folder.path);
  const expected = ["scistream.1", "scistream.toml.5"];
  for (const group of GROUPS) {
    const first = group.program ? group.name : `scistream-${group.name}`;
    if (group.standard === undefined) expected.push(`${first}.1`);
    for (const { name } of group.commands) {
      expected.push(name === group.standard ? `${first}.1` : `${first}-${name}.1`);
    }
  }
  assertEquals([...found.keys()].sort(), expected.sort());
  for (const path of found.values()) {
    assertEquals(await run(["mandoc", "-T", "lint", "-W", "warning", path]), OK, path);
    assertEquals(await run(["groff", "-man", "-ww", "-z", "-T", "utf8", path]), OK, path);
    for (const line of Deno.readTextFileSync(path).trimEnd().split("\n")) {
      assertMatch(line, WRITTEN, path);
    }
  }
});

const OK = { code: 0, out: "", err: "" };

/** One of the requests that pages are made of, or text in which all that means something is escaped. */
const WRITTEN =
  /^(?:\.(?:TH .*|ad l|SH [\w .]+|PP|TP|br|RS 4|EX|EE|RE|B .+|BR .+)|(?:[^\\.'\-`^~"\x80-\uffff]|\\(?:[-e%&]|\((?:aq|ga|ha|ti|dq)|f[BIR])|(?!^)\.)+)$/;

Deno.test({ name: `man shows every command's flags and arguments${because}`, ignore }, async () => {
  using folder = tempFolder();
  const found = await pages(folder.path);
  for (const group of GROUPS) {
    const first = group.program ? group.name : `scistream-${group.name}`;
    for (const { name, flags, args, summary, examples = [] } of group.commands) {
      const page = name === group.standard ? first : `${first}-${name}`;
      const text = await shown(found.get(`${page}.1`) as string);
      assertStringIncludes(text, ` NAME ${page} - ${summary} SYNOPSIS `);
      for (const [key, flag] of Object.entries(flags)) {
        assertStringIncludes(text, ` --${flagName(key)} `, page);
        assertStringIncludes(text, ` Environment: ${envName(key, flag)}.`, page);
        if (flag.default) assertStringIncludes(text, ` Default: ${flag.default}. `, page);
        for (const choice of flag.choices ?? []) assertStringIncludes(text, choice, page);
      }
      for (const arg of args) assertStringIncludes(text, ` ${arg.name} `, page);
      for (const line of examples) assertStringIncludes(text, line.replaceAll(/\s+/g, " "), page);
      for (const code of Object.values(Exit)) {
        assertMatch(text, RegExp(` EXIT STATUS (.* )?${code} `));
      }
    }
    const others = group.commands.filter((each) => each.name !== group.standard);
    if (others.length === 0) continue;
    const text = await shown(found.get(`${first}.1`) as string);
    for (const each of others) assertStringIncludes(text, `${first}-${each.name}(1)`);
  }
});

Deno.test({ name: `scistream.toml(5) tells of every key${because}`, ignore }, async () => {
  const { out } = assertOk(await scistream(["man", "scistream.toml"]));
  using folder = tempFolder();
  Deno.writeTextFileSync(`${folder.path}/page`, out);
  const text = await shown(`${folder.path}/page`);
  for (const group of GROUPS) {
    const flags = group.commands.filter((each) => "config" in each.flags).map((each) => each.flags);
    if (flags.length === 0) continue;
    const keys = text.split(`KEYS OF ${group.name}.toml`)[1]?.split(/KEYS OF|CONTROL SERVERS/)[0];
    for (const key of flags.flatMap(Object.keys).filter((key) => key !== "config")) {
      assert(keys?.includes(` ${flagName(key)} `), `${group.name}.toml: ${key}`);
    }
  }
});

Deno.test(
  { name: `what means something to roff is shown as it is${because}`, ignore },
  async () => {
    const nasty = [
      ".TH at the start",
      "'br likewise",
      String.raw`a\fBb \n(.x \\ \" \(aq`,
      `--flag=-1 it's a "quote" and \`code\` ^ ~ é €`,
      "..",
      "SCISTREAM_STATE_DIR",
    ];
    for (const text of nasty) {
      using folder = tempFolder();
      const path = `${folder.path}/page.1`;
      const head = ".TH X 1 2026-11-21\n.SH NAME\nx \\- y\n.SH TEXT\n";
      Deno.writeTextFileSync(path, `${head}${roff(text)}\n`);
      const mandoc = assertOk(await run(["mandoc", "-T", "utf8", path])).out;
      assertStringIncludes(mandoc, `     ${text}\n`);
      const groff = assertOk(await run(["groff", "-man", "-P-cbou", "-T", "utf8", path])).out;
      assertStringIncludes(groff, `     ${text}\n`);
    }
  },
);

Deno.test("a page that does not exist, a folder that cannot be written", async () => {
  const page = await scistream(["man", "s2uc-prod"]);
  assertEquals(page.code, 2);
  assertMatch(page.err, /^error: no page "s2uc-prod"; there are scistream, .*s2uc-prod-req, .*\n$/);
  const folder = await scistream(["man", "--dir", "/dev/null"]);
  assertEquals(folder.code, 2);
  assertMatch(folder.err, /^error: cannot write manual pages below \/dev\/null: .*\n$/);
});
