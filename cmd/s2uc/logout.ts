import { command, Exit } from "../../lib/cli/command.ts";
import { CLIENT_POWERS } from "../../lib/cli/powers.ts";
import { jsonFlag } from "../../lib/cli/session_flags.ts";
import { list } from "../../lib/cli/flags.ts";

export default command({
  name: "logout",
  summary: "Give your tokens back and forget them",
  details:
    `The provider is asked to revoke them. Where it cannot be asked they are removed here all the
same, and the exit code is 1.`,
  flags: {
    scope: list("only those of these scopes; all if not given", (scope) => scope, {
      value: "SCOPE,…",
      default: "",
    }),
    json: jsonFlag,
  },
  needs: CLIENT_POWERS,
  args: [],
  async run({ options }, io) {
    const { logOut } = await import("../../lib/s2uc/login.ts");
    return await logOut(options, io) ? Exit.OK : Exit.FAILED;
  },
});
