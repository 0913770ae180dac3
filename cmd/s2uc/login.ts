import { providerFlags } from "../../lib/cli/auth_flags.ts";
import { command, Exit } from "../../lib/cli/command.ts";
import { connectionFlags } from "../../lib/cli/connection.ts";
import { bool, list, text } from "../../lib/cli/flags.ts";
import { jsonFlag } from "../../lib/cli/session_flags.ts";
import { CLIENT_POWERS, keepOnly } from "../../lib/cli/powers.ts";

export default command({
  name: "login",
  summary: "Log in, so that control servers know who you are",
  details:
    `Shows an address to open in any browser, on this machine or another, and asks for the code
that the page shows afterwards. The tokens are kept in a file that only you can read, and
refreshed by themselves. Without --scope it logs in for every control server under
[servers] of the configuration file:

    [servers."192.168.10.11:5007"]
    scope = "92c36fec-6d3c-41f6-a487-dfda1281c4e5"
    server-cert = "gateway.crt"`,
  flags: {
    scope: list("scope of a control server, or its client id", (scope) => scope, {
      value: "SCOPE,…",
      default: "",
    }),
    browser: bool("open the browser of this machine, and take the code from it"),
    ...providerFlags,
    clientId: text("client of SciStream's users at the issuer", { value: "ID" }),
    resource: text("what the tokens are for, where the issuer wants it named (RFC 8707)", {
      value: "URI",
    }),
    redirectUri: text(
      "where the issuer sends the browser, as registered there; http://127.0.0.1/callback with any port if not given, and Globus' own page",
      { value: "URI" },
    ),
    config: connectionFlags.config,
    json: jsonFlag,
  },
  needs: [...CLIENT_POWERS, "run"],
  args: [],
  examples: [
    "s2uc login --scope 92c36fec-6d3c-41f6-a487-dfda1281c4e5",
    "s2uc login --scope scistream --issuer https://idp.example.org/realms/lab --client-id scistream --browser",
  ],
  async run({ options, servers }, io) {
    // Only the browser is a program.
    if (!options.browser) keepOnly(CLIENT_POWERS);
    const { logIn } = await import("../../lib/s2uc/login.ts");
    await logIn(options, servers, io);
    return Exit.OK;
  },
});
