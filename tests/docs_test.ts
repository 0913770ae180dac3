/**
 * Every block of every page is run, or says why not (docs/developer-guide.md, "Pages that run").
 * @module
 */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { parse as parseToml } from "@std/toml";
import { Exit } from "../lib/cli/command.ts";
import { ERROR_CODES } from "../lib/protocol/errors.ts";
import { type Block, blocksOf, useOf, wasPrinted } from "./docs/page.ts";
import { play } from "./docs/play.ts";
import { pages, ROOT } from "./docs/pages.ts";
import { leftOutIf } from "./harness.ts";
import { unavailable } from "./topology.ts";

const { ignore, because } = leftOutIf(unavailable());

for (const page of pages()) {
  const blocks = () => blocksOf(Deno.readTextFileSync(ROOT + page));

  Deno.test(`${page}: every block is run, or says why not`, () => {
    for (const [i, block] of blocks().entries()) {
      const { lang, text, marker } = block;
      useOf(block, blocks()[i - 1]);
      if (lang === "toml") parseToml(text);
      if (lang === "json") JSON.parse(text);
      if (marker?.kind !== "run by") continue;
      assertMatch(marker.test, /^tests\/\w+_test\.ts$/);
      assert(Deno.readTextFileSync(ROOT + marker.test).includes(page.slice(page.indexOf("/") + 1)));
    }
  });

  if (!hasCommands(blocks)) continue;
  Deno.test({ name: `${page}: run as it stands${because}`, ignore, fn: () => play(blocks()) });
}

/** Whether anything is to be run; of a page that is wrong another test tells. */
function hasCommands(blocks: () => Block[]): boolean {
  try {
    return blocks().some((block, i, all) => useOf(block, all[i - 1]) === "command");
  } catch {
    return false;
  }
}

Deno.test("docs/troubleshooting.md has every error code and exit code, with what is printed", () => {
  const source = Deno.readTextFileSync(`${ROOT}docs/troubleshooting.md`);
  const blocks = blocksOf(source);
  const outputs = blocks.filter((block, i) => useOf(block, blocks[i - 1]) === "output")
    .map(({ text }) => text);
  for (const code of Object.keys(ERROR_CODES)) {
    assert(source.includes(`\n### \`${code}\`\n`), code);
    assert(outputs.some((text) => text.includes(`error: [${code}] `)), code);
  }
  for (const code of Object.values(Exit)) {
    assertMatch(source, new RegExp(`^\\| ${code} +\\| `, "m"));
    const ends = ({ marker }: Block) => marker?.kind === "run" && (marker.exits ?? 0) === code;
    assert(blocks.some(ends), `no command ends with ${code}`);
  }
});

Deno.test("what comments say of blocks is understood, or refused", () => {
  const page = [
    '<!-- run: on producer, until "a, b", exits 3, with x = y z -->',
    "",
    "    one",
    "",
    "- in a list",
    "",
    "  <!-- not run: no account -->",
    "",
    "  ```sh",
    "  two",
    "  ```",
    "",
    "<!-- run: in the checkout",
    "three",
    "-->",
  ].join("\n");
  assertEquals(blocksOf(page), [
    {
      text: "one",
      lang: "",
      marker: { kind: "run", on: "producer", until: "a, b", exits: 3, replaced: [["x", "y z"]] },
    },
    { text: "two", lang: "sh", marker: { kind: "not run", reason: "no account" } },
    { text: "three", lang: "", marker: { kind: "run", inCheckout: true, replaced: [] } },
  ]);
  for (
    const wrong of [
      "<!-- run: on the moon -->\n\n    x",
      "<!-- not run -->\n\n    x",
      "<!-- run -->\n\ntext\n\n    x",
      "    x\n\n<!-- run -->",
    ]
  ) assertThrows(() => blocksOf(wrong), Error);
  const use = (page: string) => blocksOf(page).map((each, i, all) => useOf(each, all[i - 1]));
  assertEquals(use("```sh\nx\n```\n\n```text\ny\n```"), ["command", "output"]);
  for (const wrong of ["```text\ny\n```", "```yaml\ny\n```"]) assertThrows(() => use(wrong), Error);
});

Deno.test("… stands for what differs in its line, or for lines", () => {
  assert(wasPrinted("uid …\n…\nend.", "uid 5 a\n1\n2\nend.\n"));
  assert(wasPrinted("…\nend", "end"));
  assert(!wasPrinted("end.", "ends"));
  assert(!wasPrinted("uid …", "uid 5\nmore"));
  assert(!wasPrinted("more", "uid 5\nmore"));
});
