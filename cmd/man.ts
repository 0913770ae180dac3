import { command, Exit, type Group } from "../lib/cli/command.ts";
import { text, UsageError } from "../lib/cli/flags.ts";
import { manualPages, type Page } from "../lib/cli/man/pages.ts";
import { messageOf, quote } from "../lib/protocol/errors.ts";

/** Takes every group of commands, and what scistream is: the pages are made from them. */
export default (everyGroup: () => Promise<readonly Group[]>, details: string): Group => ({
  name: "man",
  summary: "Print a manual page, or write all of them",
  commands: [command({
    name: "print",
    summary: "Print a manual page, or write all of them",
    details: `A page is named as its command is typed, with dashes: scistream, s2cs, s2uc-prod-req;
scistream.toml is about configuration files. scripts/install.sh writes all of them to where
man looks.`,
    flags: {
      dir: text("write all pages below this folder, in its man1 and man5", { value: "DIR" }),
    },
    needs: ["write"],
    args: [{ name: "PAGE", help: "which one", default: "scistream" }],
    examples: [
      "scistream man s2uc-prod-req | man -l -",
      "scistream man --dir ~/.local/share/man",
    ],
    async run({ options, args }, io) {
      const pages = manualPages(await everyGroup(), details);
      if (options.dir !== undefined) {
        await write(options.dir, pages);
        io.out(`wrote ${pages.length} pages below ${options.dir}`);
        return Exit.OK;
      }
      const page = pages.find((each) => each.name === args.PAGE);
      if (page === undefined) {
        const names = pages.map((each) => each.name).join(", ");
        throw new UsageError(`no page ${quote(args.PAGE ?? "")}; there are ${names}`);
      }
      io.out(page.text.trimEnd());
      return Exit.OK;
    },
  })],
  standard: "print",
});

async function write(dir: string, pages: readonly Page[]): Promise<void> {
  try {
    for (const { name, section, text } of pages) {
      await Deno.mkdir(`${dir}/man${section}`, { recursive: true });
      await Deno.writeTextFile(`${dir}/man${section}/${name}.${section}`, text);
    }
  } catch (error) {
    throw new UsageError(`cannot write manual pages below ${dir}: ${messageOf(error)}`);
  }
}
