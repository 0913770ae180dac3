import { command, Exit, type Group } from "../lib/cli/command.ts";
import { completionScript, SHELLS } from "../lib/cli/completions/script.ts";
import { choose } from "../lib/cli/flags.ts";

/** Takes every group of commands: the scripts are made from their tables. */
export default (everyGroup: () => Promise<readonly Group[]>): Group => ({
  name: "completions",
  summary: "Print a script that completes command lines in a shell",
  commands: [command({
    name: "print",
    summary: "Print a script that completes command lines in a shell",
    details:
      `The script is for scistream and for s2cs, s2uc, appctrl and s2ds, and holds all that it
offers. scripts/install.sh puts it where the shells look.`,
    flags: {},
    needs: [],
    args: [{ name: "SHELL", help: "bash, zsh or fish", choices: SHELLS }],
    examples: [
      "source <(scistream completions bash)",
      "source <(scistream completions zsh)",
      "scistream completions fish | source",
    ],
    async run({ args }, io) {
      const shell = choose(args.SHELL ?? "", SHELLS);
      io.out(completionScript(shell, await everyGroup()).trimEnd());
      return Exit.OK;
    },
  })],
  standard: "print",
});
