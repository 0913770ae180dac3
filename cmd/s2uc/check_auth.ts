import { command, Exit } from "../../lib/cli/command.ts";
import { CLIENT_POWERS } from "../../lib/cli/powers.ts";
import { clientFlags } from "../../lib/cli/connection.ts";
import { bool, text } from "../../lib/cli/flags.ts";
import { jsonLine } from "../../lib/cli/json.ts";
import { jsonFlag } from "../../lib/cli/session_flags.ts";

export default command({
  name: "check-auth",
  summary: "Show what you are logged in for, and whether control servers accept it",
  details:
    `Asks each control server under [servers] of the configuration file whom it takes you for. The
exit code is 1 when you are not logged in, or a control server refuses you.`,
  flags: {
    ip: text("the control server at this address only", { value: "HOST[:PORT]" }),
    ...clientFlags,
    showToken: bool("print the token too, which is as good as your password until it expires"),
    json: jsonFlag,
  },
  needs: CLIENT_POWERS,
  args: [],
  examples: ["s2uc check-auth", "s2uc check-auth --ip 192.168.10.11"],
  async run(line, io) {
    const { options } = line;
    const { authLines, checkAuth } = await import("../../lib/s2uc/check_auth.ts");
    const reports = await checkAuth(options, line, io);
    for (const [i, report] of reports.entries()) {
      if (options.json) io.out(jsonLine("auth", report));
      else {
        if (i > 0) io.out("");
        for (const text of authLines(report, Date.now())) io.out(text);
      }
    }
    const refused = reports.some(({ servers }) => servers.some((each) => each.accepted === false));
    return refused ? Exit.FAILED : Exit.OK;
  },
});
