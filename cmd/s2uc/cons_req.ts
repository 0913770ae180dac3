import { command } from "../../lib/cli/command.ts";
import { CLIENT_POWERS } from "../../lib/cli/powers.ts";
import {
  mockFlag,
  prodListenersArgument,
  requestFlags,
  s2csFlag,
  uidArgument,
} from "../../lib/cli/session_flags.ts";
import { Endpoint } from "../../lib/protocol/endpoint.ts";
import { Uid } from "../../lib/protocol/uid.ts";

export default command({
  name: "cons-req",
  summary: "Ask the consumer's control server for the other side of a session",
  details: `Reserves listeners at the consumer's gateway, waits for the application's hello and
forwards them to the producer side's listeners. The consumer's application connects to
the listeners that it prints.`,
  flags: { s2cs: s2csFlag("localhost:6000"), ...requestFlags, mock: mockFlag },
  needs: CLIENT_POWERS,
  args: [uidArgument, prodListenersArgument],
  examples: ["s2uc cons-req --s2cs 192.168.30.10:5007 UID 192.168.20.10:5100,192.168.20.10:5101"],
  async run(line, io) {
    const { options, args } = line;
    const uid = Uid.parse(args.UID ?? "");
    const prodListeners = Endpoint.parseList(args.PROD_LSTN ?? "", "producer's listener");
    const { runRequest } = await import("../../lib/s2uc/flow.ts");
    await runRequest({ ...options, reach: line, uid, role: "CONS", prodListeners, io });
    return 0;
  },
});
