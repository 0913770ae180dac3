import {
  providerFlags,
  readProvider,
  readSecret,
  secretFlags,
  warnOfShownSecret,
} from "../../lib/cli/auth_flags.ts";
import { command, Exit } from "../../lib/cli/command.ts";
import { text, UsageError } from "../../lib/cli/flags.ts";
import { jsonLine } from "../../lib/cli/json.ts";
import { jsonFlag } from "../../lib/cli/session_flags.ts";

export default command({
  name: "create-scope",
  summary: "Make the scope of a new control server at Globus Auth, once",
  details:
    `For a facility: register a client at https://app.globus.org/settings/developers first, and
give its id and secret here and to s2cs.`,
  flags: {
    clientId: text("the control server's client", { value: "ID" }),
    ...secretFlags,
    suffix: text("last part of the scope", { value: "NAME", default: "scistream" }),
    globusUrl: providerFlags.globusUrl,
    issuerCa: providerFlags.issuerCa,
    json: jsonFlag,
  },
  needs: ["net", "read", "env"],
  args: [],
  examples: [
    "s2uc create-scope --client-id 92c36fec-6d3c-41f6-a487-dfda1281c4e5 --client-secret-file globus.secret",
  ],
  async run(line, io) {
    const { options } = line;
    warnOfShownSecret(line, io);
    const { clientId, suffix } = options;
    const secret = await readSecret(options, (sentence) => io.err(`WARNING: ${sentence}`));
    if (!clientId || !secret) {
      throw new UsageError(
        "--client-id and --client-secret-file are needed: whose scope is to be made?",
      );
    }
    const { Provider } = await import("../../lib/auth/provider.ts");
    const { createScope } = await import("../../lib/auth/create_scope.ts");
    using provider = new Provider(await readProvider(options));
    const scope = await createScope(provider, { id: clientId, secret }, suffix);
    if (options.json) io.out(jsonLine("scope", { scope: scope.scope_string, answer: scope }));
    else {
      io.out(scope.scope_string);
      io.err(`now: s2cs --client-id ${clientId} --client-secret-file FILE`);
      io.err(`users: s2uc login --scope ${clientId}`);
    }
    return Exit.OK;
  },
});
